package app

import (
	"testing"
	"time"
)

func TestASchedulesTimes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cron, zone, after string
		want              []string
	}{
		"every quarter of an hour": {"*/15 * * * *", "", "2026-01-05T10:07:00Z", []string{"2026-01-05T10:15:00Z", "2026-01-05T10:30:00Z"}},
		"in a zone":                {"0 8 * * 1", "Europe/Berlin", "2026-01-05T08:00:00Z", []string{"2026-01-12T07:00:00Z"}},
		"the hour that comes twice in autumn fires once": {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		"the hour left out in spring is made up":         {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"}},
	} {
		next, err := cronTimes(c.cron, c.zone)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		at, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			at = next(at)
			if got := at.Format(time.RFC3339); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
}
