package expr

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheWaysToBeTrueNameTheFieldsOfEach(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][][]string{
		`event.a != nil and event.b == "x"`:                             {{"a", "b"}},
		`event.a != nil or event.b.c != nil`:                            {{"a"}, {"b"}},
		`event.a != nil and event.b != nil or event.a != nil`:           {{"a"}},
		`event.a != nil and (event.b ?? event.c) != nil`:                {{"a", "b"}, {"a", "c"}},
		`at(event, "a.b", "c") != nil`:                                  {{"a"}, {"a.b"}, {"c"}},
		`some(event.a, event.b) != nil and at(event.c, "x.y") != nil`:   {{"a", "c"}, {"b", "c"}},
		`number(event.n) != nil and event.s in ["x", "y"]`:              {{"n", "s"}},
		`string(event.a ?? "") contains "x" or event.b startsWith "y"`:  {{"a"}, {"b"}},
		`event.a == nil or event.b != nil`:                              nil,
		`event.a != "x"`:                                                nil,
		`not (event.a != nil)`:                                          nil,
		`string(event.a ?? "") contains ""`:                             nil,
		`event.a in ["x", nil]`:                                         nil,
		`(event.a ?? "z") == "z"`:                                       nil,
		`event.a == nil and event.list[0] == 1`:                         {{"list"}},
		`any(event.a, # == 1) and event.b != nil`:                       {{"b"}},
		`format == "json"`:                                              nil,
		`(event.a != nil and event.b != nil) or string(event.c) == "x"`: nil,
	} {
		s := NewScope().Lenient().With("event", Any()).With("format", Text())
		p, err := Compile(source, s, Bool())
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		if d := cmp.Diff(want, p.Either("event")); d != "" {
			t.Errorf("%s: %s", source, d)
		}
	}
}
