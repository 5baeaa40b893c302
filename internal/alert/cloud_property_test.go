package alert_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"riposte/internal/alert"
	"riposte/internal/event"
	"riposte/internal/expr"
)

// TestNoMutilationOfAnEventLosesIt drops and changes fields of real events at
// random. What the mapping that read the whole event makes of the rest is still
// a record that people can work with.
func TestNoMutilationOfAnEventLosesIt(t *testing.T) {
	t.Parallel()
	dir, all := corpora(t), everyMapping(t)
	rng := rand.New(rand.NewSource(20261124))
	total, kept := 0, 0
	for _, f := range cloudFacts {
		events(t, filepath.Join(dir, f.file+".jsonl"), func(n int, raw []byte) {
			m := detects(t, all, raw)
			if m == nil {
				return
			}
			for range 4 {
				object, err := expr.DecodeJSON(raw)
				if err != nil {
					t.Fatal(err)
				}
				for range 1 + rng.Intn(6) {
					object = mutilate(rng, object)
				}
				b, err := json.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				total++
				if wrong := judge(m, b); wrong != "" {
					t.Errorf("%s:%d by %s: %s: %s", f.file, n, m.ID, wrong, b)
				}
				if other := detects(t, all, b); other != nil && other.ID == m.ID {
					kept++
				}
			}
		})
	}
	if kept < total*3/4 {
		t.Errorf("of %d mutilated events %d are still known as the product's", total, kept)
	}
	t.Logf("%d mutilated events, %d still known as the product's", total, kept)
}

// judge tells what is wrong with the record that a mapping makes of an event.
func judge(m *alert.Mapping, raw []byte) string {
	a, ok, err := m.Read("any", raw, now)
	switch {
	case err != nil:
		// An event that is not the product's any more may be refused: it is kept
		// with its error then.
		if e, derr := event.Read(raw, now); derr == nil && !m.Detects(e) {
			return ""
		}
		return err.Error()
	case !ok:
		return ""
	case a.Title == "" || !utf8.ValidString(a.Title):
		return fmt.Sprintf("the title is %q", a.Title)
	case a.Severity < 0 || a.Severity > 5:
		return fmt.Sprintf("the severity is %d", a.Severity)
	case a.IdentityKey == "":
		return "it has no identity"
	case a.Time.IsZero():
		return "it has no time"
	}
	if _, err := json.Marshal(a); err != nil {
		return err.Error()
	}
	if _, err := json.Marshal(a.Object()); err != nil {
		return err.Error()
	}
	return ""
}

// mutilate changes one place of a value.
func mutilate(rng *rand.Rand, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return v
		}
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		k := keys[rng.Intn(len(keys))]
		if rng.Intn(3) > 0 {
			v[k] = mutilate(rng, v[k])
		} else if rng.Intn(2) == 0 {
			delete(v, k)
		} else {
			v[k] = odd(rng, v[k])
		}
		return v
	case []any:
		if len(v) == 0 || rng.Intn(4) == 0 {
			return odd(rng, v)
		}
		i := rng.Intn(len(v))
		v[i] = mutilate(rng, v[i])
		return v
	}
	return odd(rng, v)
}

// odd is a value where another was expected.
func odd(rng *rand.Rand, v any) any {
	odds := []any{nil, "", "odd", "-", 0, -1, 1e18, 1.5, true, []any{}, []any{v}, []any{nil, "x", map[string]any{"a": 1}}, map[string]any{}, map[string]any{"a": v}, "\u202e\x00\u0007" + fmt.Sprint(v), fmt.Sprint(v)}
	return odds[rng.Intn(len(odds))]
}

// TestWhatACloudProductSendsAgainIsTheSameAlert changes what a product changes when it
// sends an alert again.
func TestWhatACloudProductSendsAgainIsTheSameAlert(t *testing.T) {
	t.Parallel()
	dir, all := corpora(t), everyMapping(t)
	for file, changes := range map[string]map[string]any{
		"azure-sentinel-incident":                {"properties.status": "Closed", "properties.severity": "High", "properties.lastModifiedTimeUtc": "2030-01-01T00:00:00Z", "etag": "x"},
		"microsoft-defender-incident":            {"status": "Resolved", "severity": "High", "lastUpdateTime": "2030-01-01T00:00:00Z", "assignedTo": "ann", "alerts": []any{}},
		"microsoft-defender-atp-alert":           {"status": "Resolved", "lastUpdateTime": "2030-01-01T00:00:00Z", "severity": "High", "evidence": []any{}},
		"panther-microsoftgraph-securityalertv2": {"status": "resolved", "lastUpdateDateTime": "2030-01-01T00:00:00Z"},
		"panther-aws-guardduty":                  {"updatedAt": "2030-01-01T00:00:00Z", "service.count": 9, "service.eventLastSeen": "2030-01-01T00:00:00Z", "severity": 2},
		"panther-aws-securityfindingformat":      {"UpdatedAt": "2030-01-01T00:00:00Z", "Workflow.Status": "RESOLVED", "Severity.Label": "LOW"},
		"google-scc-finding":                     {"finding.state": "INACTIVE", "finding.eventTime": "2030-01-01T00:00:00Z"},
		"panther-orca-alert":                     {"state.status": "closed", "state.last_updated": "2030-01-01T00:00:00Z"},
		"panther-upwind-detections":              {"status": "closed", "occurrence_count": 99, "last_seen_time": "2030-01-01T00:00:00Z"},
		"panther-socradar-incidents":             {"status": "CLOSED", "alarm_risk_level": "LOW"},
		"panther-tracebit-alert":                 {"severity": "Low", "timestamp": "2030-01-01T00:00:00Z", "event.id": "another"},
		"darktrace-alert":                        {"commentCount": 3, "acknowledged": true, "score": 0.1},
		"secops-jamf":                            {"timestamp": 1},
	} {
		events(t, filepath.Join(dir, file+".jsonl"), func(n int, raw []byte) {
			m := detects(t, all, raw)
			if m == nil {
				return
			}
			object, err := expr.DecodeJSON(raw)
			if err != nil {
				t.Fatal(err)
			}
			for path, v := range changes {
				put(object, path, v)
			}
			later, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			a, _, err := m.Read("any", raw, now)
			b, _, err2 := m.Read("any", later, now)
			if err != nil || err2 != nil || a.IdentityKey != b.IdentityKey {
				t.Errorf("%s:%d: %s makes two alerts of an update (%v, %v)", file, n, m.ID, err, err2)
			}
		})
	}
}

// put sets a field that is there, or a new one at the top.
func put(object any, path string, v any) {
	at, rest, nested := strings.Cut(path, ".")
	o, ok := object.(map[string]any)
	switch {
	case !ok:
	case nested:
		put(o[at], rest, v)
	default:
		o[at] = v
	}
}
