package lab_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// documentation holds the ranges that stand for nobody (RFC 5737).
var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
}

// addressLike finds dotted quads; versions such as 1.2.3 have no four parts.
var addressLike = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)

func TestSamplesHaveWhatADemoNeeds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file string
		// key names an event: two lines with the same key are the same event.
		key func(t *testing.T, line []byte) string
	}{
		{"sagan-eve.jsonl", func(t *testing.T, line []byte) string { return string(line) }},
		{"crowdsec-alerts.jsonl", func(t *testing.T, line []byte) string {
			var a struct {
				ID      int    `json:"id"`
				Machine string `json:"machine_id"`
			}
			decode(t, line, &a)
			return fmt.Sprint(a.Machine, a.ID)
		}},
		{"rsyslog.log", func(t *testing.T, line []byte) string { return string(applianceID.Find(line)) }},
		{"rsyslog.jsonl", func(t *testing.T, line []byte) string {
			decode(t, line, &map[string]any{})
			return string(applianceID.Find(line))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			lines := sample(t, tt.file)
			if len(lines) < 30 || len(lines) > 200 {
				t.Errorf("%d events, want 30 to 200", len(lines))
			}
			seen, sources := map[string]bool{}, map[string]bool{}
			for i, line := range lines {
				key := tt.key(t, line)
				if key == "" {
					t.Errorf("line %d has no identity", i+1)
				}
				seen[key] = true
				for _, a := range addressLike.FindAllString(string(line), -1) {
					sources[a] = true
				}
			}
			if len(seen) == len(lines) {
				t.Error("no event comes twice")
			}
			if len(sources) < 5 {
				t.Errorf("only %d addresses", len(sources))
			}
			for a := range sources {
				if !documented(a) {
					t.Errorf("address %s is not from a documentation range", a)
				}
			}
		})
	}
}

// applianceID is the identifier an appliance gives its message, in structured
// data, as JSON or in CEF.
var applianceID = regexp.MustCompile(`\b(id"?[=:] ?"|externalId=)[a-z0-9-]+`)

func sample(t *testing.T, name string) [][]byte {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "content", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines [][]byte
	in := bufio.NewScanner(file)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		lines = append(lines, append([]byte(nil), in.Bytes()...))
	}
	if in.Err() != nil {
		t.Fatal(in.Err())
	}
	return lines
}

func decode(t *testing.T, line []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(line, into); err != nil {
		t.Errorf("%v in %.80s", err, line)
	}
}

func documented(address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, p := range documentation {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
