package event_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/event"
)

func TestAnEventIsTakenOutOfItsCollectorsEnvelope(t *testing.T) {
	t.Parallel()
	inner := map[string]any{"action": "repo.create", "actor": "ann"}
	for name, c := range map[string]struct {
		raw  string
		want map[string]any
	}{
		"with its name":              {`{"integration": "github", "github": {"action": "repo.create", "actor": "ann"}}`, inner},
		"without":                    {`{"gcp": {"action": "repo.create", "actor": "ann"}}`, inner},
		"another name":               {`{"integration": "aws", "github": {"a": 1, "b": 2}}`, map[string]any{"integration": "aws", "github": map[string]any{"a": 1, "b": 2}}},
		"more beside it":             {`{"rule": {"id": 1}, "integration": "aws", "aws": {"a": 1, "b": 2}}`, map[string]any{"rule": map[string]any{"id": 1}, "integration": "aws", "aws": map[string]any{"a": 1, "b": 2}}},
		"hardly anything in it":      {`{"aws": {"region": "x"}}`, map[string]any{"aws": map[string]any{"region": "x"}}},
		"a text where an event goes": {`{"integration": "aws", "aws": "x"}`, map[string]any{"integration": "aws", "aws": "x"}},
	} {
		e, err := event.Read([]byte(c.raw), time.Time{})
		if d := cmp.Diff(c.want, e.Value); err != nil || d != "" {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
}
