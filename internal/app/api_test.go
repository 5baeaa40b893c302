package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/app"
	"riposte/internal/httpapi"
)

const asking = `playbook: asking
title: Ask somebody
on: [{ manual: true }]
inputs:
  who: { type: string, enum: [analyst, nobody] }
  days: { type: integer, minimum: 1 }
steps:
  - id: fail
    if: inputs.days > 1
    then:
      - stop: failed
        reason: too many days
  - id: question
    ask: Go on?
    to: ["role:${{ inputs.who }}"]
    options: ["yes", "no"]
    within: 1h
outputs: { said: "${{ steps.question.answer }}" }
`

// publish publishes a playbook.
func (s *server) publish(slug, text string) {
	s.t.Helper()
	s.send(http.MethodPost, "/api/playbooks/"+slug+"/publish", map[string]any{"text": text}, nil)
}

func TestWrongPartsOfARequestAreNamedByPointer(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "")
	s.publish("days", "playbook: days\ntitle: Days\non: [{ manual: true }]\ninputs:\n  days: { type: integer, minimum: 1 }\n  more: { type: object, default: {}, properties: { ips: { type: array, items: { type: string, format: ipv4 } } } }\nvars: { y: null }\nsteps: [{ id: x, set: { y: \"${{ inputs.days }}\" } }]\noutputs: { y: \"${{ vars.y }}\", more: \"${{ inputs.more }}\" }\n")
	for _, tt := range []struct {
		name, path string
		body       any
		want       []httpapi.ProblemError
	}{
		{"inputs of a run", "/api/runs", map[string]any{"playbook": "days", "inputs": map[string]any{"dayz": 3, "more": map[string]any{"ips": []string{"192.0.2.1", "x"}}}}, []httpapi.ProblemError{
			{Pointer: "#/inputs/days", Detail: "is missing"}, {Pointer: "#/inputs/dayz", Detail: `is not an input of it; did you mean "days"?`},
			{Pointer: "#/inputs/more/ips/1", Detail: "is not an IPv4 address such as 203.0.113.9"},
		}},
		{"an alert that is not there", "/api/runs", map[string]any{"playbook": "days", "alert": "A-99"}, []httpapi.ProblemError{{Pointer: "#/alert", Detail: "there is no alert A-99"}}},
		{"an alert for a case", "/api/cases", map[string]any{"title": "x", "alerts": []string{"A-99"}}, []httpapi.ProblemError{{Pointer: "#/alerts/0", Detail: "there is no alert A-99"}}},
		{"a permission of a token", "/api/tokens", map[string]any{"name": "t", "only": []string{"runs:read", "runs:red"}}, []httpapi.ProblemError{{Pointer: "#/only/1"}}},
		{"a token that is over", "/api/tokens", map[string]any{"name": "t", "expires": "2020-01-01T00:00:00Z"}, []httpapi.ProblemError{{Pointer: "#/expires", Detail: "it expires at 2020-01-01T00:00:00Z, which is over"}}},
		{"a connection's name", "/api/connections", map[string]any{"name": "EDR 1", "connector": "edr-sim"}, []httpapi.ProblemError{
			{Pointer: "#/name", Detail: "expected a name such as firewall-berlin: a small letter, then up to 62 small letters, digits, hyphens or underscores"}}},
		{"a connection's fields", "/api/connections", map[string]any{"name": "edr", "connector": "edr-sim", "config": map[string]any{"base_urll": "http://192.0.2.1"}}, []httpapi.ProblemError{
			{Pointer: "#/config/base_url", Detail: "it is missing"}, {Pointer: "#/config/base_urll", Detail: `there is no such field; did you mean "base_url"?`},
			{Pointer: "#/secrets/token", Detail: "it is missing; it is secret, so send it under secrets"},
		}},
		{"what all connections have", "/api/connections", map[string]any{"name": "edr", "connector": "edr-sim", "config": map[string]any{"rate_per_second": "fast"}}, []httpapi.ProblemError{
			{Pointer: "#/config/rate_per_second", Detail: "expected a number"}}},
		{"a marking", "/api/connections", map[string]any{"name": "edr", "connector": "edr-sim", "config": map[string]any{"base_url": "http://192.0.2.1", "clearance": map[string]any{"tlp": "blue"}}, "secrets": map[string]any{"token": "x"}}, []httpapi.ProblemError{
			{Pointer: "#/config/clearance/tlp", Detail: `"blue" is no marking; expected one of clear, green, amber, amber+strict, red`}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := s.refused(http.StatusUnprocessableEntity, http.MethodPost, tt.path, tt.body)
			for i := range p.Errors {
				if i < len(tt.want) && tt.want[i].Detail == "" {
					p.Errors[i].Detail = ""
				}
			}
			if diff := cmp.Diff(tt.want, p.Errors); diff != "" {
				t.Errorf("%s\n%s", p.Detail, diff)
			}
		})
	}
}

func TestAListThatIsNotThereIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "")
	p := s.refused(http.StatusNotFound, http.MethodGet, "/api/lists/own", nil)
	if p.Detail != "there is no list own, or nothing is left in it" {
		t.Errorf("%q", p.Detail)
	}
	var l httpapi.List[httpapi.ListEntry]
	s.send(http.MethodGet, "/api/lists/"+app.AllowList, nil, &l)
	s.send(http.MethodPost, "/api/lists/own/import", map[string]any{"entries": []any{map[string]any{"value": "a"}}}, nil)
	if s.send(http.MethodGet, "/api/lists/own", nil, &l); len(l.Items) != 1 {
		t.Errorf("%+v", l)
	}
}

func TestAKeyIsGoodAfterARestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s, password := serve(t, data, "")
	body := map[string]any{"title": "Once"}
	first, raw := s.ask(http.MethodPost, "/api/cases", body, "Idempotency-Key", "k")
	s.stop()
	s, _ = serve(t, data, password)
	second, again := s.ask(http.MethodPost, "/api/cases", body, "Idempotency-Key", "k")
	if string(raw) != string(again) || first.StatusCode != second.StatusCode || second.Header.Get("Idempotency-Replayed") != "true" || first.Header.Get("ETag") != second.Header.Get("ETag") {
		t.Errorf("%s\n%s", raw, again)
	}
	s.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/cases", map[string]any{"title": "Twice"}, "Idempotency-Key", "k")
	var list httpapi.List[httpapi.Case]
	s.send(http.MethodGet, "/api/cases", nil, &list)
	if len(list.Items) != 1 {
		t.Errorf("%d cases", len(list.Items))
	}
}

func TestPagesOfFiltersAreFull(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "", func(c *app.Config) {
		c.Roles = map[string]app.RoleConfig{"nobody": {}}
		c.People = map[string]app.PersonConfig{"ned": {Roles: []string{"nobody"}}}
	})
	s.publish("asking", asking)
	for i := range 12 {
		who, days := "nobody", 1
		if i%4 == 0 {
			who = "analyst"
		}
		if i%3 == 0 {
			days = 2
		}
		s.send(http.MethodPost, "/api/runs", map[string]any{"playbook": "asking", "inputs": map[string]any{"who": who, "days": days}}, nil)
	}
	count := func(path string) (pages []int) {
		for cursor := ""; ; {
			var list httpapi.List[map[string]any]
			s.send(http.MethodGet, path+cursor, nil, &list)
			pages = append(pages, len(list.Items))
			if list.NextCursor == "" {
				return pages
			}
			cursor = "&cursor=" + list.NextCursor
		}
	}
	s.until("all questions", func() bool {
		return len(count("/api/approvals?limit=8")) == 1 && count("/api/approvals?limit=50")[0] == 8
	})
	if got := fmt.Sprint(count("/api/approvals?mine=true&limit=2")); got != "[2]" && got != "[2 0]" {
		t.Errorf("pages of mine are %s", got)
	}
	s.until("all failures", func() bool { return count("/api/runs?status=failed&limit=50")[0] == 4 })
	var failed httpapi.List[httpapi.Run]
	s.send(http.MethodGet, "/api/runs?status=failed", nil, &failed)
	if got := fmt.Sprint(count("/api/runs?limit=3&code=" + failed.Items[0].Error.Code)); got != "[3 1]" {
		t.Errorf("pages by code are %s", got)
	}
	p := s.refused(http.StatusUnprocessableEntity, http.MethodGet, "/api/approvals?mine=true&cursor=x", nil)
	if !strings.HasPrefix(p.Detail, "cursor: ") {
		t.Errorf("%q", p.Detail)
	}
}
