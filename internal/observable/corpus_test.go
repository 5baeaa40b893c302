package observable_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"riposte/internal/observable"
)

// corpus opens a file of the shared corpora, or skips the test.
func corpus(t *testing.T, name string) *os.File {
	t.Helper()
	dir := os.Getenv("RIPOSTE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	f, err := os.Open(filepath.Join(dir, "data", "ioc-extraction", name))
	if err != nil {
		t.Skipf("the shared corpora are not here (set RIPOSTE_SHARED): %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// item is one text of the corpus with what it holds.
type item struct {
	Text      string
	Complete  bool
	Source    string
	Expected  []struct{ Type, Value string }
	Options   map[string]any
	Forbidden []string `json:"forbidden_types"`
}

// scored are the types that are scored, by the corpus's names for them.
var scored = map[string]observable.Type{
	"ip": observable.IP, "ipv4": observable.IP, "ipv6": observable.IP, "domain": observable.Domain, "url": observable.URL,
	"email": observable.Email, "md5": observable.MD5, "sha1": observable.SHA1, "sha256": observable.SHA256, "sha512": observable.SHA512,
	"cve": observable.CVE, "ipv4_cidr": observable.CIDR,
}

// tally counts what was found.
type tally struct{ hit, missed, extra int }

func (c tally) score() (precision, recall, f1 float64) {
	precision, recall = 1, 1
	if c.hit+c.extra > 0 {
		precision = float64(c.hit) / float64(c.hit+c.extra)
	}
	if c.hit+c.missed > 0 {
		recall = float64(c.hit) / float64(c.hit+c.missed)
	}
	if precision+recall > 0 {
		f1 = 2 * precision * recall / (precision + recall)
	}
	return precision, recall, f1
}

// TestExtractionFromTheCorpus scores by type. Values are compared in their
// normal form. What else is found counts against us where the corpus says that
// it lists everything.
func TestExtractionFromTheCorpus(t *testing.T) {
	counts := map[observable.Type]*tally{}
	for lines := bufio.NewScanner(corpus(t, "iocs.jsonl")); lines.Scan(); {
		var it item
		if err := json.Unmarshal(lines.Bytes(), &it); err != nil {
			t.Fatal(err)
		}
		score(t, it, counts)
	}
	for _, typ := range observable.Types() {
		c := counts[typ]
		if c == nil {
			continue
		}
		p, r, f1 := c.score()
		t.Logf("%-7s precision %.3f  recall %.3f  F1 %.3f  (%d found, %d missed, %d too many)", typ, p, r, f1, c.hit, c.missed, c.extra)
		if f1 < 0.9 {
			t.Errorf("%s: F1 is %.3f", typ, f1)
		}
	}
}

func score(t *testing.T, it item, counts map[observable.Type]*tally) {
	want := map[observable.Observable]bool{}
	for _, e := range it.Expected {
		typ, ok := scored[e.Type]
		if !ok {
			continue
		}
		o, err := observable.Parse(typ, e.Value)
		if err != nil {
			t.Logf("the corpus expects %s %q, which is none: %v", e.Type, e.Value, err)
			o = observable.Observable{Type: typ, Value: e.Value}
		}
		want[o] = true
	}
	count := func(typ observable.Type) *tally {
		if counts[typ] == nil {
			counts[typ] = &tally{}
		}
		return counts[typ]
	}
	got := observable.Distinct(observable.Extract(it.Text))
	for o := range want {
		if slices.Contains(got, o) {
			count(o.Type).hit++
		} else {
			count(o.Type).missed++
			t.Logf("missed %s in %.200q (%s)", o, it.Text, it.Source)
		}
	}
	for _, o := range got {
		forbidden := slices.Contains(it.Forbidden, string(o.Type))
		if o.Type == observable.CIDR {
			continue // most of the libraries do not know networks
		}
		if !want[o] && (it.Complete || forbidden) && (it.Options == nil || forbidden) {
			count(o.Type).extra++
			t.Logf("found  %s in %.200q (%s)", o, it.Text, it.Source)
		}
	}
}

func TestRefangOfTheCorpus(t *testing.T) {
	good, all := 0, 0
	for lines := bufio.NewScanner(corpus(t, "refang.jsonl")); lines.Scan(); {
		var it struct{ Text, Refanged, Value string }
		if err := json.Unmarshal(lines.Bytes(), &it); err != nil {
			t.Fatal(err)
		}
		all++
		got, want := observable.Refang(it.Text), it.Refanged
		if it.Value != "" {
			got, want = observable.Defang(it.Value), it.Text
		}
		// The library puts a scheme in front of what has none; we add nothing.
		if got == want || "http://"+got == want && !strings.Contains(it.Text, "://") {
			good++
		} else {
			t.Logf("%q became %q, not %q", it.Text, got, want)
		}
	}
	t.Logf("%d of %d", good, all)
	if good*10 < all*9 {
		t.Errorf("only %d of %d", good, all)
	}
}

func TestTheLongTextOfTheCorpus(t *testing.T) {
	var long struct {
		Text           string
		MustContain    []string `json:"must_contain_raw"`
		MustNotContain []string `json:"must_not_contain"`
	}
	if err := json.NewDecoder(corpus(t, "corpus-iocextract.json")).Decode(&long); err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for _, f := range observable.Extract(long.Text) {
		written[f.AsWritten] = true
	}
	missed := 0
	for _, w := range long.MustContain {
		if !written[w] {
			missed++
			t.Logf("missed %q", w)
		}
	}
	for _, w := range long.MustNotContain {
		if written[w] {
			t.Errorf("found %q", w)
		}
	}
	if missed*10 > len(long.MustContain) {
		t.Errorf("missed %d of %d", missed, len(long.MustContain))
	}
}
