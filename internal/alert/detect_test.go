package alert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"riposte/internal/event"
)

// What a mapping is asked only where certain fields are there must be what it
// answers when it is always asked.
func TestLookingAtTheFieldsFirstChangesNoAnswer(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../content/sources/*.source.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []*Mapping
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ParseMapping(f, src)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	shared := os.Getenv("RIPOSTE_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	samples, err := filepath.Glob("../../content/samples/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.Glob(filepath.Join(shared, "data", "alerts", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, f := range append(samples, real...) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(raw), "\n") {
			if i%7 > 0 { // one of seven is enough
				continue
			}
			e, err := event.Read([]byte(line), time.Time{})
			if err != nil {
				continue
			}
			env := env(e, time.Time{})
			for _, m := range all {
				if m.detect == nil {
					continue
				}
				asked++
				want, err := m.detect.EvalBool(env)
				if got := m.detects(env); got != (want && err == nil) {
					t.Errorf("%s:%d: %s says %v, asked at once it says %v", filepath.Base(f), i+1, m.ID, got, want)
				}
			}
		}
	}
	t.Logf("%d answers of %d mappings; %d files of real events", asked, len(all), len(real))
}
