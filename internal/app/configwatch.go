package app

import (
	"fmt"
	"time"
)

// longestSpan is how far back the watch of a source can look.
const longestSpan = 7 * 24 * time.Hour

// watchProblems finds what is wrong with what a source is expected to send.
func (s SourceConfig) watchProblems(t *troubles, name string) {
	span := func(d time.Duration, path ...any) {
		if d < 0 || d > longestSpan || d > 0 && d < time.Minute {
			t.add("expected 1m to 7d", fmt.Sprintf("%s cannot be watched over", d), append([]any{"sources", name}, path...)...)
		}
	}
	span(s.Expect.Within, "expect", "within")
	span(s.Flood.Within, "flood", "within")
	if s.Expect.AtLeast > 0 && s.Expect.Within == 0 {
		t.add("add within: such as 1h", "nothing says in which time so many must come", "sources", name, "expect")
	}
	if s.Flood.Within > 0 && s.Flood.MoreThan == 0 {
		t.add("add more_than:", "nothing says how many are too much in this time", "sources", name, "flood")
	}
	if s.Unwatched && (s.Expect.Within > 0 || s.Flood != FloodConfig{}) {
		t.add("remove one of them", "unwatched says that expect and flood do not count", "sources", name, "unwatched")
	}
}
