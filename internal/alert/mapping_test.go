package alert_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

var now = time.Date(2026, 12, 5, 12, 0, 0, 0, time.UTC)

// shipped reads a mapping of the product.
func shipped(t testing.TB, name string) *alert.Mapping {
	t.Helper()
	file := filepath.Join("../../content/sources", name+".source.yaml")
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := alert.ParseMapping(file, src)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// events calls visit with each line of a file.
func events(t *testing.T, file string, visit func(n int, raw []byte)) int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, alert.MaxEventBytes)
	n := 0
	for sc.Scan() {
		n++
		visit(n, append([]byte(nil), sc.Bytes()...))
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// corpora is the folder of real events, which is not part of the project.
func corpora(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("RIPOSTE_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	dir = filepath.Join(dir, "data", "alerts")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpora are not here (%v); set RIPOSTE_SHARED to the folder that holds data/", err)
	}
	return dir
}

func TestSaganEventsOfTheSampleAreRead(t *testing.T) {
	t.Parallel()
	m := shipped(t, "suricata-eve")
	keys := map[string]bool{}
	users := 0
	n := events(t, "../../content/samples/sagan-eve.jsonl", func(n int, raw []byte) {
		a, ok, err := m.Read("sagan", raw, now)
		if err != nil || !ok {
			t.Fatalf("line %d: %v, %v", n, ok, err)
		}
		var e struct {
			Src   string `json:"src_ip"`
			Alert struct {
				Signature string
				Severity  int
			}
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		o := a.Object()
		if a.Title != e.Alert.Signature || a.Severity != 5-e.Alert.Severity || o["src_ip"] != e.Src {
			t.Errorf("line %d: %q %d %v, want %q %d %v", n, a.Title, a.Severity, o["src_ip"], e.Alert.Signature, 5-e.Alert.Severity, e.Src)
		}
		keys[a.IdentityKey] = true
		if o["user"] != nil {
			users++
		}
	})
	if len(keys) == n || len(keys) < n/2 || users == 0 {
		t.Errorf("%d events gave %d keys and %d users; some are duplicates, most are not", n, len(keys), users)
	}
}

func TestRealSuricataEventsAreRead(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	m := shipped(t, "suricata-eve")
	n := events(t, filepath.Join(dir, "suricata-eve-alert.jsonl"), func(n int, raw []byte) {
		a, ok, err := m.Read("eve", raw, now)
		if err != nil || !ok {
			t.Errorf("line %d: %v, %v", n, ok, err)
			return
		}
		if a.Time.IsZero() || a.Time.Equal(now) || a.Severity == 0 || len(a.Observables) < 2 {
			t.Errorf("line %d: time %v, severity %d, %d observables", n, a.Time, a.Severity, len(a.Observables))
		}
	})
	t.Logf("%d events", n)
}

func TestTheGenericMappingReadsEveryRealEvent(t *testing.T) {
	t.Parallel()
	dir := corpora(t)
	m := shipped(t, "generic-json")
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	total, odd := 0, 0
	for _, f := range files {
		total += events(t, f, func(n int, raw []byte) {
			if !json.Valid(raw) {
				return
			}
			a, ok, err := m.Read("any", raw, now)
			if err != nil || !ok {
				t.Errorf("%s:%d: %v, %v", filepath.Base(f), n, ok, err)
			}
			if notes, _ := a.Fields["unread"].([]any); len(notes) > 0 {
				odd++
				t.Logf("%s:%d: %v", filepath.Base(f), n, notes)
			}
		})
	}
	if odd > total/100 {
		t.Errorf("%d of %d events have parts that are not read", odd, total)
	}
	t.Logf("%d events of %d files", total, len(files))
}

func TestTheGenericMappingTakesTheUsualNames(t *testing.T) {
	t.Parallel()
	m := shipped(t, "generic-json")
	for name, c := range map[string]struct{ event, want string }{
		"flat names":           {`{"id": 7, "title": "T", "severity": "HIGH", "host": "ws1", "user": "ann", "src_ip": "203.0.113.9", "timestamp": "2026-01-02T03:04:05Z"}`, `T 4 ws1 ann 203.0.113.9 2026-01-02T03:04:05Z`},
		"nested names":         {`{"uuid": "u", "rule": {"name": "T"}, "level": 3, "host": {"name": "ws1"}, "user": {"name": "ann"}, "source": {"ip": "203.0.113.9"}, "@timestamp": 1767323045000}`, `T 3 ws1 ann 203.0.113.9 2026-01-02T03:04:05Z`},
		"nothing known":        {`{"x": 1}`, `Alert without a title 0 <nil> <nil> <nil> 2026-12-05T12:00:00Z`},
		"a level of a hundred": {`{"name": "T", "severity": 12, "src": "not an address"}`, `T 1 <nil> <nil> <nil> 2026-12-05T12:00:00Z`},
	} {
		a, ok, err := m.Read("any", []byte(c.event), now)
		if err != nil || !ok {
			t.Errorf("%s: %v, %v", name, ok, err)
			continue
		}
		o := a.Object()
		got := strings.Join([]string{show(o["title"]), show(o["severity"]), show(o["host"]), show(o["user"]), show(o["src_ip"]), show(o["time"])}, " ")
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func show(v any) string {
	if v == nil {
		return "<nil>"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return strings.Trim(string(b), `"`)
}

func TestAnEventThatCannotBeReadIsKeptWithItsError(t *testing.T) {
	t.Parallel()
	m := shipped(t, "generic-json")
	for name, c := range map[string]struct{ event, want string }{
		"no JSON":      {`{"a" 1}`, "event is not JSON"},
		"no object":    {`[1]`, "event is no generic-json (Any JSON object), it is text"},
		"a sentence":   {`hello`, "event is no generic-json (Any JSON object), it is text"},
		"many objects": {`[{"a": 1}, {"a": 2}]`, "event is a list of 2; expected one JSON object"},
	} {
		_, ok, err := m.Read("any", []byte(c.event), now)
		if ok || !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			continue
		}
		kept := alert.Keep("any", []byte(c.event), err, now)
		if kept.IdentityKey == "" || kept.Error == "" || !json.Valid(kept.Raw) {
			t.Errorf("%s: kept as %+v", name, kept)
		}
	}
}

func TestAPartThatCannotBeReadHoldsNoAlertBack(t *testing.T) {
	t.Parallel()
	m := shipped(t, "generic-json")
	a, ok, err := m.Read("any", []byte(`{"title": "T", "time": "soon", "severity": "high"}`), now)
	if err != nil || !ok || a.Title != "T" || a.Severity != 4 || !a.Time.Equal(now) {
		t.Fatalf("%+v, %v, %v", a, ok, err)
	}
	want := []any{`time: time "soon" is in no known form; expected RFC 3339, such as 2026-01-31T10:00:00Z`}
	if d := cmp.Diff(want, a.Fields["unread"]); d != "" {
		t.Error(d)
	}
}

func TestTechniquesAreReadInEveryUsualForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		v    any
		want []string
	}{
		"a list":              {[]any{"T1059", "T1059.001", "T1059"}, []string{"T1059", "T1059.001"}},
		"with a tactic":       {[]any{"TA0002:T1078", "Credential Access"}, []string{"T1078"}},
		"in a name":           {"PowerShell - T1059.001, T1003_008", []string{"T1059.001", "T1003.008"}},
		"an address":          {"https://attack.mitre.org/techniques/T1110/003/", []string{"T1110.003"}},
		"a tactic, a word":    {[]any{"TA0005", "Trojan", 1059, nil}, nil},
		"small letters":       {"t1566.002", []string{"T1566.002"}},
		"digits of something": {"T10590", nil},
	} {
		if d := cmp.Diff(c.want, alert.Techniques(c.v)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestTheSameEventHasTheSameKeyHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	m := shipped(t, "generic-json")
	key := func(s string) string {
		a, _, err := m.Read("any", []byte(s), now)
		if err != nil {
			t.Fatal(err)
		}
		return a.IdentityKey
	}
	if key(`{"title":"T","n":1}`) != key(`{ "n": 1.0, "title": "T" }`) {
		t.Error("order and blanks change the key")
	}
	if key(`{"title":"T","n":1}`) == key(`{"title":"T","n":2}`) {
		t.Error("another event has the same key")
	}
}

func TestAWrongMappingIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ src, want string }{
		"unknown key":      {"mapping: plain\ntitle: T\nversion: 1\nalert: { identity: 1, title: T, severity: 1, tilte: x }\n", `plain.source.yaml:4:46: unknown key "tilte"`},
		"wrong expression": {"mapping: plain\ntitle: T\nversion: 1\nalert:\n  identity: 1\n  title: \"${{ evnt.x }}\"\n  severity: 1\n", `plain.source.yaml:6:10: unknown name "evnt"; did you mean "event"?`},
		"no condition":     {"mapping: plain\ntitle: T\nversion: 1\ndetect: 1 + 1\nalert: { identity: 1, title: T, severity: 1 }\n", `plain.source.yaml:4:9: `},
		"missing part":     {"mapping: plain\ntitle: T\nversion: 1\nalert: { identity: 1, title: T }\n", `severity`},
		"wrong name":       {"mapping: other\ntitle: T\nversion: 1\nalert: { identity: 1, title: T, severity: 1 }\n", `mapping is "other" in a file called plain.source.yaml; expected plain`},
	} {
		_, err := alert.ParseMapping("plain.source.yaml", []byte(c.src))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

func TestTimesOfEveryUsualFormAreRead(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, v := range []any{
		"2026-01-02T03:04:05Z", "2026-01-02T04:04:05.000000+0100", "2026-01-02 03:04:05", "2026-01-02 03:04:05 +0000 UTC",
		1767323045, 1767323045.0, 1767323045000, 1767323045000000, 1767323045000000000, "1767323045", "1767323045.0", "/Date(1767323045000)/",
		134117966450000000, "134117966450000000", 639029198450000000, "20260102030405", "20260102T030405Z", "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05+00",
		"2026/01/02 03:04:05", "2026-01-02:03:04:05Z", "2026-01-02 03:04:05 UTC", "2026-01-02 04:04:05 CET", "2026-01-01 22:04:05.000 EST", "2026-01-02 03:04:05,000",
		"Fri, 02 Jan 2026 03:04:05 GMT", "Fri Jan  2 03:04:05 2026", "Fri Jan  2 04:04:05 CET 2026", "02/Jan/2026:03:04:05 +0000", "1/2/2026 3:04:05 AM", "Jan  2 2026 03:04:05",
		"2026 Jan 02 03:04:05", "01/02/2026-03:04:05.000000", []any{"2026-01-02T03:04:05Z"}, time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600)),
	} {
		got, err := alert.Time(v)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%v: %v %s", v, err, d)
		}
	}
}

func TestWhatIsNoTimeIsAnError(t *testing.T) {
	t.Parallel()
	for _, v := range []any{
		"soon", "", "2026-13-01", "2026-02-30T00:00:00Z", "2026-01-02T25:00:00Z", "2026-01-02T03:04:05+99:00", "2026-01-02T03:04:05 QQT", "2026-01-02Tx", nil, true,
		map[string]any{}, "99999999999999999999999", "0000-01-01T00:00:00Z",
	} {
		if got, err := alert.Time(v); err == nil {
			t.Errorf("%v is read as %v", v, got)
		}
	}
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{"2026-01-02T03:04:05.123+01:00", "Fri, 02 Jan 2026 03:04:05 GMT", "1767323045", "2026-01-02 03:04:05 +0000 UTC", "1/2/2026 3:04:05 AM"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := alert.Time(s)
		if err != nil {
			return
		}
		if again, err := alert.Time(got.Format(time.RFC3339Nano)); err != nil || !again.Equal(got) {
			t.Fatalf("%q is %v, which is read as %v, %v", s, got, again, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	m, eve := shipped(f, "generic-json"), shipped(f, "suricata-eve")
	f.Add([]byte(`{"title": "T", "severity": "high", "time": 1, "event_type": "alert", "alert": {"signature": "S"}, "src_ip": "::1"}`))
	f.Add([]byte(`{"host": {"name": [1]}, "user": {}, "files": [null, {"sha256": 1}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, m := range []*alert.Mapping{m, eve} {
			a, ok, err := m.Read("any", raw, now)
			if err != nil {
				a = alert.Keep("any", raw, err, now)
			} else if !ok {
				continue
			}
			if a.IdentityKey == "" || a.Title == "" || !json.Valid(a.Raw) {
				t.Fatalf("%+v", a)
			}
			if _, err := json.Marshal(a.Object()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestWhatCannotBeShownIsNotKeptAsItCame(t *testing.T) {
	t.Parallel()
	m := shipped(t, "generic-json")
	for _, at := range []string{`1e300`, `"-1e300"`, `"0000-01-01T00:00:00Z"`, `99999999999999999999999`, `-9e15`} {
		a, _, err := m.Read("any", []byte(`{"id": 1, "title": "T", "timestamp": `+at+`}`), now)
		if err == nil {
			if _, err := json.Marshal(a); err != nil {
				t.Errorf("time %s is read as %v and cannot be written: %v", at, a.Time, err)
			}
		}
	}
	raw := []byte("{\"id\": 1, \"title\": \"caf\xe9\"}")
	a, _, err := m.Read("any", raw, now)
	if err != nil || !utf8.Valid(a.Raw) {
		t.Errorf("the event is kept as %q, %v", a.Raw, err)
	}
	if kept := alert.Keep("any", raw, fault.Invalid, now); !utf8.Valid(kept.Raw) {
		t.Errorf("the event that could not be read is kept as %q", kept.Raw)
	}
}
