package expr

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNeedsAreWhatACertainTruthRequires(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		`event.a != nil and event.b == "x"`:                           {"a", "b"},
		`event.a?.b == 1`:                                             {"a"},
		`event.a == nil and event.b contains "x"`:                     {"b"},
		`(event.a != nil or event.b != nil) and event["c"] == true`:   {"c"},
		`(event.a != nil and event.x == 1) or event.a startsWith "q"`: {"a"},
		`event.a != "x"`:                                              nil,
		`not (event.a != nil)`:                                        nil,
		`other.a != nil`:                                              nil,
		`event.list[0] == "x"`:                                        nil,
		`(event.a ?? "x") == "x"`:                                     nil,
		`any(event.a, # == "x")`:                                      nil,
		`event.a matches "^[0-9]+$"`:                                  {"a"},
	} {
		p, err := Compile(source, NewScope().With("event", Any()).With("other", Any()), Bool())
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if diff := cmp.Diff(want, p.Needs("event")); diff != "" && len(p.Needs("event"))+len(want) > 0 {
			t.Errorf("%s: %s", source, diff)
		}
	}
}
