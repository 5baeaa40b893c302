package app

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"riposte/internal/run"
)

func TestAStepIsToldInOneSentence(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	tests := []struct {
		name string
		step run.StepView
		want string
	}{
		{"a lookup with what it found", run.StepView{
			Step: "known", Verb: "action", Action: "intel.lookup", Status: run.Succeeded, Connection: "intel",
			Inputs: raw(`{"type":"ip","value":"198.51.100.23"}`), Output: raw(`{"verdict":"malicious","confidence":90,"known":true,"sources":["own"],"note":null}`),
		}, "Step known (intel.lookup) with type ip, value 198.51.100.23: succeeded on intel → confidence 90, known true, verdict malicious"},
		{"numbers as they came, long and broken texts not at all", run.StepView{
			Step: "s", Verb: "action", Action: "a.b", Status: run.Succeeded,
			Inputs: raw(`{"n":10000000,"long":"` + strings.Repeat("x", 61) + `","lines":"a\nb"}`),
		}, "Step s (a.b) with n 10000000: succeeded"},
		{"a way that was taken", run.StepView{Step: "act", Verb: "switch", Status: run.Succeeded, Taken: "else"}, "Step act (switch): succeeded, went else"},
		{"what went wrong", run.StepView{
			Step: "block", Verb: "action", Action: "fw.block", Status: run.Denied, By: "ann", Error: &run.Error{Code: "denied", Message: "not this one"},
		}, "Step block (fw.block): denied, decided by ann (denied: not this one)"},
		{"no more than a few values", run.StepView{
			Step: "s", Verb: "action", Action: "a.b", Status: run.Failed, Output: raw(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`),
		}, "Step s (a.b): failed → a 1, b 2, c 3, d 4, e 5, f 6, g 7, h 8, …"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if r, _ := stepRecord(tt.step, time.Time{}); r.What != tt.want {
				t.Errorf("told is\n%s\nwant\n%s", r.What, tt.want)
			}
		})
	}
}

func TestOnlyAQuestionIsToldByItself(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		step run.StepView
		want bool
	}{
		{"an approval", run.StepView{Verb: "action", Status: run.Waiting}, true},
		{"an ask", run.StepView{Verb: "ask", Status: run.Waiting, Attempts: 1}, true},
		{"a wait", run.StepView{Verb: "wait", Status: run.Waiting}, false},
		{"a next try", run.StepView{Verb: "action", Status: run.Waiting, Attempts: 2}, false},
		{"an answered ask", run.StepView{Verb: "ask", Status: run.Succeeded}, false},
	}
	for _, tt := range tests {
		if got := asks(tt.step); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
