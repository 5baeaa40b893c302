package playbook

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTriggersFillInputsByWithThenByName(t *testing.T) {
	plan := mustLoad(t, `
playbook: x-y
title: Triggers
inputs:
  ip: { type: string }
  why: { type: string, default: none }
  since: { type: string, default: never }
on:
  - alert: alert.severity >= 3
    with: { why: "${{ alert.title }}", since: "${{ ago(\"1d\") }}" }
  - indicator: indicator.verdict == "malicious"
  - webhook: hook
  - case: "true"
steps:
  - action: case.note
    with: { text: "${{ inputs.ip }} ${{ inputs.why }} ${{ inputs.since }}" }
`)
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		trigger int
		o       Occasion
		want    map[string]any
		err     string
	}{
		{"an alert by with and by its fields", 0, Occasion{Now: now, Alert: m{"title": "T", "severity": 4, "fields": m{"ip": "10.0.0.1"}}},
			m{"ip": "10.0.0.1", "why": "T", "since": "2026-03-01T08:00:00Z"}, ""},
		{"an indicator by its type", 1, Occasion{Indicator: m{"type": "ip", "value": "10.0.0.2"}}, m{"ip": "10.0.0.2", "why": "none", "since": "never"}, ""},
		{"a webhook by its body", 2, Occasion{Body: m{"ip": "10.0.0.3", "other": 1}}, m{"ip": "10.0.0.3", "why": "none", "since": "never"}, ""},
		{"a case without such a field", 3, Occasion{Case: m{"id": "C-1"}}, nil, "ip is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := plan.InputsFor(plan.Triggers[tt.trigger], tt.o)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatal(err)
				}
				return
			}
			for k, v := range got {
				if at, ok := v.(time.Time); ok {
					got[k] = at.Format(time.RFC3339)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
	for severity, want := range map[int]bool{2: false, 3: true} {
		if ok, err := plan.Triggers[0].Matches(Occasion{Alert: m{"severity": severity}}); ok != want || err != nil {
			t.Error(severity, ok, err)
		}
	}
}
