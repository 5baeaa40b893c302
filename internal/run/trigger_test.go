package run_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/run"
	"riposte/playbook"
)

func TestInputsAreFilledByWithThenByName(t *testing.T) {
	t.Parallel()
	plan, diagnostics := playbook.Load("", []byte(`
playbook: x-y
title: Triggers
inputs:
  ip: { type: string }
  why: { type: string, default: none }
on:
  - alert: alert.severity >= 3
    with: { why: "${{ alert.title }}" }
  - indicator: indicator.verdict == "malicious"
  - webhook: hook
steps:
  - wait: "${{ inputs.ip == inputs.why ? \"1s\" : \"2s\" }}"
`), playbook.Options{})
	if plan == nil {
		t.Fatal(diagnostics)
	}
	type m = map[string]any
	tests := []struct {
		name    string
		trigger int
		object  run.Object
		want    m
	}{
		{"an alert by with and by its fields", 0, run.Object{Alert: m{"title": "T", "fields": m{"ip": "10.0.0.1"}}}, m{"ip": "10.0.0.1", "why": "T"}},
		{"an indicator by its type", 1, run.Object{Indicator: m{"type": "ip", "value": "10.0.0.2"}}, m{"ip": "10.0.0.2"}},
		{"an indicator of another type not", 1, run.Object{Indicator: m{"type": "url", "value": "10.0.0.2"}}, m{}},
		{"a webhook by its body", 2, run.Object{Body: m{"ip": "10.0.0.3", "other": 1}}, m{"ip": "10.0.0.3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := run.FromTrigger(plan, &plan.Triggers[tt.trigger], tt.object, time.Time{})
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}
