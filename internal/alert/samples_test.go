package alert_test

import (
	"testing"
)

func TestTheSamplesAreReadAndTheirDuplicatesFold(t *testing.T) {
	t.Parallel()
	for mapping, c := range map[string]struct {
		file         string
		events, keys int
	}{
		"crowdsec":     {"crowdsec-alerts.jsonl", 43, 25},
		"rsyslog-json": {"rsyslog.jsonl", 36, 24},
	} {
		m, keys := shipped(t, mapping), map[string]bool{}
		n := events(t, "../../content/samples/"+c.file, func(n int, raw []byte) {
			a, ok, err := m.Read("any", raw, now)
			if err != nil || !ok {
				t.Fatalf("%s:%d: %v, %v", c.file, n, ok, err)
			}
			o := a.Object()
			if o["src_ip"] == nil && o["user"] == nil && o["email"] == nil {
				t.Errorf("%s:%d: %q has neither address nor person", c.file, n, a.Title)
			}
			keys[a.IdentityKey] = true
		})
		if n != c.events || len(keys) != c.keys {
			t.Errorf("%s: %d events are %d alerts, want %d and %d", c.file, n, len(keys), c.events, c.keys)
		}
	}
}
