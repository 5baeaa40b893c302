package alert_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/alert"
)

// written reads a mapping that a test writes; alert is what stands under alert.
func written(t testing.TB, more, parts string) *alert.Mapping {
	t.Helper()
	src := "mapping: plain\ntitle: T\nversion: 1\n" + more + "alert:\n" + parts
	m, err := alert.ParseMapping("plain.source.yaml", []byte(src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	return m
}

func mustRead(t testing.TB, m *alert.Mapping, event string) alert.Alert {
	t.Helper()
	a, ok, err := m.Read("any", []byte(event), now)
	if err != nil || !ok {
		t.Fatalf("%s: %v, %v", event, ok, err)
	}
	return a
}

func TestAnOddPartIsLeftOutWithANoteAndTheRestIsRead(t *testing.T) {
	t.Parallel()
	m := written(t, "", `  identity: "${{ event.id }}"
  title: "${{ event.a.title }}"
  severity: "${{ event.level }}"
  time: "${{ event.time }}"
  category: "${{ event.a.kind }}"
  entities: [{ kind: user, value: "${{ event.a.user }}" }]
  observables: [{ type: ip, value: "${{ event.ip }}" }]
  fields: { n: "${{ event.n }}" }
`)
	for name, c := range map[string]struct{ event, note, title string }{
		"a time that is none":     {`{"id": 1, "a": {"title": "T"}, "time": "soon", "ip": "192.0.2.1", "n": 1}`, `time: time "soon" is in no known form`, "T"},
		"a severity that is none": {`{"id": 1, "a": {"title": "T"}, "level": "purple", "ip": "192.0.2.1", "n": 1}`, `severity: severity "purple" is not known`, "T"},
		"a part of another type":  {`{"id": 1, "a": "text", "ip": "192.0.2.1", "n": 1}`, "", "T"},
		"nothing that identifies": {`{"a": {"title": "T"}, "ip": "192.0.2.1", "n": 1}`, `identity: the event has none of the fields`, "T"},
	} {
		a := mustRead(t, m, c.event)
		notes := fmt.Sprint(a.Fields["unread"])
		if a.Title != c.title || !strings.Contains(notes, c.note) || a.Fields["n"] != 1 || len(a.Observables) != 1 || a.IdentityKey == "" {
			t.Errorf("%s: %+v; want the note %q", name, a, c.note)
		}
	}
	if _, _, err := m.Read("any", []byte(`{"x": 1}`), now); err == nil || !strings.Contains(err.Error(), "mapping plain: identity: ") {
		t.Errorf("an event of another product is read: %v", err)
	}
	if a := mustRead(t, m, `{"id": 1, "a": {"title": "T"}}`); a.Fields["unread"] != nil {
		t.Errorf("a sound event has notes: %v", a.Fields)
	}
}

func TestATimeThatCannotBeIsTheTimeOfReceipt(t *testing.T) {
	t.Parallel()
	m := written(t, "", "  identity: 1\n  title: T\n  severity: 1\n  time: \"${{ event.t }}\"\n")
	for name, c := range map[string]struct {
		at, as any
		want   time.Time
	}{
		"now":                    {"2026-12-05T12:00:00Z", nil, now},
		"a clock a little ahead": {"2026-12-05T12:05:00Z", nil, now.Add(5 * time.Minute)},
		"a clock far ahead":      {"2026-12-05T12:05:01Z", "2026-12-05T12:05:01Z", now},
		"another year":           {"2031-01-01 00:00:00", "2031-01-01 00:00:00", now},
		"years ago":              {"2012-01-01T00:00:00Z", nil, time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)},
		"the zero of Unix":       {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", now},
		"the zero of .NET":       {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", now},
	} {
		a := mustRead(t, m, fmt.Sprintf(`{"t": %q}`, c.at))
		if d := cmp.Diff(c.want, a.Time); d != "" || a.Fields["event_time"] != c.as || (a.Fields["unread"] != nil) != (c.as != nil) {
			t.Errorf("%s: %s %v", name, d, a.Fields)
		}
	}
}

func TestNamedValuesAreSeenByWhatFollows(t *testing.T) {
	t.Parallel()
	m := written(t, "let:\n  - { name: e, value: \"${{ event._source ?? event }}\" }\n  - { name: who, value: \"${{ upper(e.user) }}\" }\n",
		"  when: e.kind == \"alert\"\n  identity: \"${{ e.id }}\"\n  title: \"${{ who }} did it\"\n  severity: 3\n")
	if a := mustRead(t, m, `{"_source": {"id": 1, "user": "ann", "kind": "alert"}}`); a.Title != "ANN did it" {
		t.Errorf("%q", a.Title)
	}
	a, ok, err := m.Show("any", []byte(`{"id": 1, "user": "bob", "kind": "flow"}`), now)
	if ok || err != nil || a.Title != "BOB did it" {
		t.Errorf("what is no alert is shown as %q, %v, %v", a.Title, ok, err)
	}
	if _, ok, err := m.Read("any", []byte(`{"id": 1, "user": "bob", "kind": "flow"}`), now); ok || err != nil {
		t.Errorf("what is no alert is read: %v, %v", ok, err)
	}
	_, err = alert.ParseMapping("plain.source.yaml", []byte("mapping: plain\ntitle: T\nversion: 1\nlet:\n  - { name: event, value: 1 }\nalert: { identity: 1, title: T, severity: 1 }\n"))
	if err == nil || !strings.Contains(err.Error(), `plain.source.yaml:5:13: "event" has a meaning already; take another name`) {
		t.Errorf("a taken name: %v", err)
	}
}

func TestTechniquesAreFoundHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   any
		want []string
	}{
		"an ID":               {"T1059", []string{"T1059"}},
		"a list":              {[]any{"t1059.001", "T1059.001", nil, 7, "T1003"}, []string{"T1059.001", "T1003"}},
		"a Sysmon rule":       {"technique_id=T1055.011,technique_name=Extra Window Memory", []string{"T1055.011"}},
		"a Sigma tag":         {[]any{"attack.execution", "attack.t1218.011"}, []string{"T1218.011"}},
		"a link":              {"https://attack.mitre.org/techniques/T1547/001/", []string{"T1547.001"}},
		"tactic and ID":       {"TA0006:T1003", []string{"T1003"}},
		"deep in an object":   {map[string]any{"a": []any{map[string]any{"id": "T1110"}}, "T1078": true}, []string{"T1078", "T1110"}},
		"of a control system": {"T0855", []string{"T0855"}},
		"no IDs":              {[]any{"SRV-T1234", "T105", "T10591", "XT1059", "2024-01-02T1003Z", "T9999", "User Execution", ""}, nil},
		"nothing":             {nil, nil},
	} {
		if d := cmp.Diff(c.want, alert.Techniques(c.in)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestSeverityIsReadAsProductsWriteIt(t *testing.T) {
	t.Parallel()
	for v, want := range map[any]int{
		nil: 0, 0: 0, 5: 5, 3.0: 3, "4": 4, "HIGH": 4, "Very High": 5, "E_CRITICAL": 5, "SEVERITY_LOW": 2, "Informational": 1, "p1": 5, "sev-2": 4, "emerg": 5,
		"crit": 5, "err": 4, "notice": 1, "Warning": 3, "debug": 1, "unknown": 0, " medium ": 3,
	} {
		if got, err := alert.Severity(v); err != nil || got != want {
			t.Errorf("%v is %d, %v; want %d", v, got, err, want)
		}
	}
	for _, v := range []any{6, -1, 2.5, "purple", "12", true, []any{}} {
		if got, err := alert.Severity(v); err == nil {
			t.Errorf("%v is %d", v, got)
		}
	}
}

func TestAWholeObjectGivesItsObservablesWithRoles(t *testing.T) {
	t.Parallel()
	m := written(t, "", "  identity: 1\n  title: T\n  severity: 1\n  observables: [{ type: any, value: \"${{ event }}\" }]\n")
	a := mustRead(t, m, `{
		"src_ip": "192.0.2.1", "network": {"dst": {"addr": "198.51.100.2:443"}}, "clientIP": "192.0.2.3, 192.0.2.4", "device_ip": "10.0.0.5",
		"sender": "bad@example.net", "to": ["ann@example.com"], "console_url": "https://console.example.com/a/1", "request": {"url": "http://evil.example.org/x"},
		"file": {"sha256": "`+strings.Repeat("ab", 32)+`", "md5": "`+strings.Repeat("0", 32)+`"}, "trace_id": "`+strings.Repeat("cd", 16)+`",
		"dns": {"query": "evil.example.org"}, "event_type": "process.name", "version": "10.2.3.4", "mac": "00:11:22:33:44:55",
		"message": "seen 203.0.113.77 and hxxp://bad[.]example[.]com/y", "time": "2026-01-02T03:04:05Z", "none": "-", "any": "0.0.0.0"}`)
	var got []string
	for _, o := range a.Observables {
		got = append(got, strings.TrimSpace(o.Type+" "+o.Value+" "+o.Role))
	}
	want := []string{
		"ip 192.0.2.3 source", "ip 192.0.2.4 source", "url https://console.example.com/a/1 reference", "ip 10.0.0.5", "domain evil.example.org",
		"sha256 " + strings.Repeat("ab", 32), "mac 00:11:22:33:44:55", "ip 203.0.113.77", "url http://bad.example.com/y", "domain bad.example.com",
		"ip 198.51.100.2 destination", "url http://evil.example.org/x", "email bad@example.net sender", "ip 192.0.2.1 source", "email ann@example.com recipient",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestOfSeveralTimesTheFirstThatIsOneIsTaken(t *testing.T) {
	t.Parallel()
	m, err := alert.ParseMapping("plain.source.yaml", []byte("mapping: plain\ntitle: X\nversion: 1\nalert:\n  identity: \"${{ event }}\"\n  title: T\n  severity: 1\n"+
		"  time: [\"${{ event.a }}\", \"${{ event.b }}\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		`{"a": "2026-01-02T03:04:05Z", "b": "2026-02-02T03:04:05Z"}`: "2026-01-02T03:04:05Z",
		`{"a": "redacted", "b": "2026-02-02T03:04:05Z"}`:             "2026-02-02T03:04:05Z",
		`{"a": 0, "b": "2026-02-02T03:04:05Z"}`:                      "2026-02-02T03:04:05Z",
		`{"b": null}`:                                                now.Format(time.RFC3339),
	} {
		a, _, err := m.Read("any", []byte(raw), now)
		if err != nil || a.Time.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v", raw, a.Time, err)
		}
	}
}
