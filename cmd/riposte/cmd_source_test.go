package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// eventsOf writes a file of events.
func eventsOf(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// source runs riposte source and gives its output and exit code.
func source(t *testing.T, in string, args ...string) (out, talk string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	w := &world{in: strings.NewReader(in), out: &o, err: &e, getenv: func(string) string { return "" }}
	code = execute(t.Context(), append([]string{"source"}, args...), w)
	return o.String(), e.String(), code
}

const asaLine = `%ASA-4-106023: Deny tcp src inside:192.0.2.1/4022 dst outside:198.51.100.9/443 by access-group "x"`

func TestTheMappingOfAFileIsNamed(t *testing.T) {
	t.Parallel()
	one := eventsOf(t, "one.log", asaLine+"\n"+asaLine+"\n")
	out, _, code := source(t, "", "detect", one)
	if want := one + ": cisco-asa  (Cisco ASA, FTD, PIX and FWSM; 2 events, one event a line)\n"; out != want || code != 0 {
		t.Errorf("%d: %s, want %s", code, out, want)
	}
	mixed := eventsOf(t, "mixed.log", asaLine+"\nCEF:0|A|B|1|2|x|5|src=192.0.2.1\n{\"cut\": \n")
	out, _, code = source(t, "", "detect", mixed)
	for _, want := range []string{"3 kinds of events", "1  cisco-asa", "1  cef", "1  unreadable; the first is event 3: event is not JSON"} {
		if !strings.Contains(out, want) || code != exitFailed {
			t.Errorf("%d: %s, want %s", code, out, want)
		}
	}
	out, _, _ = source(t, "", "detect", mixed, "--json")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.Contains(lines[1], `"event":2,"line":2,"mapping":"cef"`) {
		t.Errorf("each event: %s", out)
	}
}

func TestRecordsOfAFileAreOneALine(t *testing.T) {
	t.Parallel()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(asaLine + "\n{\"cut\": \n")); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	out, talk, code := source(t, zipped.String(), "map", "-", "--json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || code != exitDone || !strings.Contains(talk, "1 of 2 events could not be read") {
		t.Fatalf("%d: %s%s", code, out, talk)
	}
	var a, b struct {
		Title, Mapping, Error string
		Severity              int
		Identity              string `json:"identity_key"`
		Observables           []struct{ Type, Value, Role string }
		Raw                   string
	}
	if json.Unmarshal([]byte(lines[0]), &a) != nil || json.Unmarshal([]byte(lines[1]), &b) != nil {
		t.Fatal(out)
	}
	if a.Mapping != "cisco-asa" || a.Severity == 0 || a.Identity == "" || len(a.Observables) != 2 || a.Observables[0].Role != "source" || a.Raw != asaLine {
		t.Errorf("the first record is %+v", a)
	}
	if b.Error == "" || b.Raw == "" || b.Identity == "" {
		t.Errorf("the second record is %+v", b)
	}
}

func TestAMappingIsTriedOnEvents(t *testing.T) {
	t.Parallel()
	events := eventsOf(t, "events.json", `{"value": [{"acme": 1, "name": "First"}, {"name": "Second"}]}`)
	own := eventsOf(t, "acme.source.yaml", "mapping: acme\ntitle: ACME\nversion: 1\ndetect: event.acme != nil\nalert: { identity: \"${{ event.acme }}\", title: \"${{ event.name }}\", severity: 4 }\n")
	out, talk, code := source(t, "", "test", own, events)
	for _, want := range []string{"event 1: acme", "| title: First", "| severity: 4", "event 2: unreadable: event is no acme: it looks like generic-json"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
	if code != exitFailed || !strings.Contains(talk, "2 events (the list under value): 1 alert, 0 no alert, 1 unreadable") {
		t.Errorf("%d: %s", code, talk)
	}
	if out, _, code = source(t, "", "test", own, events, "--event", "1"); code != exitDone || strings.Contains(out, "event 2") {
		t.Errorf("one event: %d: %s", code, out)
	}
	wrong := eventsOf(t, "acme.source.yaml", "mapping: acme\ntitle: ACME\nversion: 1\nalert: { identity: 1, title: \"${{ evnt.name }}\", severity: 4 }\n")
	if _, talk, code = source(t, "", "test", wrong, events); code != exitMisused || !strings.Contains(talk, `acme.source.yaml:4:30: unknown name "evnt"; did you mean "event"?`) {
		t.Errorf("a wrong mapping: %d: %s", code, talk)
	}
	if _, talk, code = source(t, "", "test", "nope", events); code != exitMisused || !strings.Contains(talk, "there is no mapping nope; riposte source list names them") {
		t.Errorf("no mapping: %d: %s", code, talk)
	}
}

func TestMappingsAreListedWithWhatTheyWereTestedOn(t *testing.T) {
	t.Parallel()
	content := t.TempDir()
	if err := os.Mkdir(filepath.Join(content, "sources"), 0o700); err != nil {
		t.Fatal(err)
	}
	own := "mapping: acme\ntitle: ACME\nproduct: ACME Wall\nbasis: documentation\nversion: 3\nalert: { identity: 1, title: T, severity: 4 }\n"
	if err := os.WriteFile(filepath.Join(content, "sources", "acme.source.yaml"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _, code := source(t, "", "list", "--content", content)
	for _, want := range []string{"acme", "ACME Wall", "written from documentation", "your own", "cisco-asa", "tested on real events", "shipped"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d: %s\nwant %s", code, out, want)
		}
	}
}
