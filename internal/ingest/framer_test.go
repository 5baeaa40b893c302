package ingest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// framed feeds pieces and gives the messages, and what is left at the end; a
// message that was cut stands in brackets.
func framed(most int, pieces ...string) []string {
	f := framer{max: most}
	var out []string
	add := func(m message) {
		if m.cut != "" {
			out = append(out, fmt.Sprintf("[%s: %s]", m.raw, m.cut))
			return
		}
		out = append(out, string(m.raw))
	}
	for _, p := range pieces {
		f.feed([]byte(p))
		for m, ok := f.next(); ok; m, ok = f.next() {
			add(m)
		}
	}
	if m, ok := f.rest("it ended"); ok {
		add(m)
	}
	return out
}

func TestMessagesAreToldApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sent string
		want       []string
	}{
		{"lines", "<13>one\n<14>two\n", []string{"<13>one", "<14>two"}},
		{"lines of Windows", "<13>one\r\n<14>two\r\n", []string{"<13>one", "<14>two"}},
		{"a last line without its end", "<13>one\n<14>two", []string{"<13>one", "<14>two"}},
		{"NUL after each", "<13>one\x00<14>two\x00", []string{"<13>one", "<14>two"}},
		{"NUL after each, with line feeds inside", "<13>one\nmore\x00<14>two\nmore\x00", []string{"<13>one\nmore", "<14>two\nmore"}},
		{"counted", "7 <13>one8 <14>two!", []string{"<13>one", "<14>two!"}},
		{"counted, with line feeds inside", "12 <13>one\nmore7 <14>two", []string{"<13>one\nmore", "<14>two"}},
		{"counted, with a line feed after each", "7 <13>one\n7 <14>two\n", []string{"<13>one", "<14>two"}},
		{"counted, with a line feed that is counted", "8 <13>one\n8 <14>two\n", []string{"<13>one", "<14>two"}},
		{"both on one connection", "7 <13>one<14>two\n7 <15>new<16>x\n", []string{"<13>one", "<14>two", "<15>new", "<16>x"}},
		{"counted after lines", "<13>one\n7 <14>two", []string{"<13>one", "<14>two"}},
		{"counted without a priority", "10 CEF:0|a|b|10 CEF:0|c|d|", []string{"CEF:0|a|b|", "CEF:0|c|d|"}},
		{"counted JSON", `9 {"a": 1} 9 {"a": 2} `, []string{`{"a": 1} `, `{"a": 2} `}},
		{"a line that begins with a number", "12 Jan 2026 something\n13 Jan 2026 other\n", []string{"12 Jan 2026 something", "13 Jan 2026 other"}},
		{"a line that begins with a year", "2026-01-02 something\n", []string{"2026-01-02 something"}},
		{"a line that begins with nought", "0 <13>x\n", []string{"0 <13>x"}},
		{"empty lines", "\n\n<13>one\n\n\n", []string{"<13>one"}},
		{"a count that is cut off", "300 <13>one", []string{"[<13>one: it ended after 7 of the message's 300 bytes]"}},
		{"a number and nothing else", "42", []string{"42"}},
		{"two bytes a character", "<\x001\x00>\x00a\x00\n\x00", []string{"<\x001\x00>\x00a\x00"}},
	} {
		for _, way := range []string{"at once", "byte by byte"} {
			pieces := []string{c.sent}
			if way == "byte by byte" {
				pieces = strings.Split(c.sent, "")
			}
			if way == "byte by byte" && (c.name == "NUL after each, with line feeds inside" || c.name == "a line that begins with a number") {
				continue // what the first message is like is not known before it has come
			}
			if d := cmp.Diff(c.want, framed(64, pieces...)); d != "" {
				t.Errorf("%s, %s (-want +got):\n%s", c.name, way, d)
			}
		}
	}
}

func TestAMessageThatIsTooLongIsCutAndTheNextOnesComeIn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 30)
	for name, c := range map[string]struct {
		sent string
		want []string
	}{
		"counted":               {"34 <13>" + long + "7 <14>two", []string{"[<13>xxxx: the message has 34 bytes; only the first 8 are kept]", "<14>two"}},
		"a line":                {"<13>" + long + "\n<14>two\n", []string{"[<13>xxxx: the message is longer than 8 bytes; only the first 8 are kept]", "<14>two"}},
		"a line without an end": {"<13>" + long, []string{"[<13>xxxx: the message is longer than 8 bytes; only the first 8 are kept]"}},
		"a count beyond belief": {"9999999999 <1>\n<14>two\n", []string{"[99999999: the message is longer than 8 bytes; only the first 8 are kept]", "<14>two"}},
	} {
		for _, pieces := range [][]string{{c.sent}, strings.Split(c.sent, "")} {
			if d := cmp.Diff(c.want, framed(8, pieces...)); d != "" {
				t.Errorf("%s in %d pieces (-want +got):\n%s", name, len(pieces), d)
			}
		}
	}
	got := framed(100, "9999999999 <13>one\n<14>two\n")
	if d := cmp.Diff([]string{"[9999999999 <13>one: the message says that it has 9999999999 bytes; the most that is believed is 67108864]", "<14>two"}, got); d != "" {
		t.Errorf("a count beyond belief (-want +got):\n%s", d)
	}
}

// However the bytes arrive, no message is longer than the limit, and no byte of
// one that can be told is made up.
func FuzzFramer(f *testing.F) {
	for _, s := range []string{"<13>one\n7 <14>two", "12 Jan 2026 x\n", "34 <13>xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "9999999999 <1>a\x00\x00b", "<\x001\x00", "1 1 1 1 1 1", "0 0\n"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		const most = 16
		size = max(1, size%64)
		x := framer{max: most}
		total := 0
		check := func(m message) {
			if total += len(m.raw); len(m.raw) > most+countDigits+2 && m.cut == "" || !bytes.Contains(sent, m.raw) {
				t.Fatalf("%q of %q", m.raw, sent)
			}
		}
		for rest := sent; len(rest) > 0; {
			n := min(size, len(rest))
			x.feed(rest[:n])
			rest = rest[n:]
			for m, ok := x.next(); ok; m, ok = x.next() {
				check(m)
			}
		}
		if m, ok := x.rest("it ended"); ok {
			check(m)
		}
		if total > len(sent) {
			t.Fatalf("%d bytes came out of %d", total, len(sent))
		}
	})
}
