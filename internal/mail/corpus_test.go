package mail_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"riposte/internal/mail"
)

// corpus is a folder of the mails that are kept outside the repository.
func corpus(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("RIPOSTE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(root, "data", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("not run: there are no mails in %s; set RIPOSTE_SHARED", dir)
	}
	return dir
}

// labelled is what is known of a mail.
type labelled struct {
	File        string   `json:"file"`
	Label       string   `json:"label"`
	Subject     string   `json:"subject"`
	Attachments []string `json:"attachments"`
	Nested      int      `json:"nested_messages"`
	Types       []string `json:"content_types"`
	Defects     []string `json:"mime_defects"`
}

func labels(t *testing.T, path string) (list []labelled) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var l labelled
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

func nested(m *mail.Message) (n int) {
	for _, a := range m.Attachments {
		if a.Message != nil {
			n += 1 + nested(a.Message)
		}
	}
	return n
}

func names(m *mail.Message) (list []string) {
	for _, a := range m.Attachments {
		if a.Name != "" {
			list = append(list, a.Name)
		}
		if a.Message != nil {
			list = append(list, names(a.Message)...)
		}
	}
	return list
}

func plainText(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestLabelledMailsAreRead(t *testing.T) {
	t.Parallel()
	dir := corpus(t, "email")
	wrongSubjects, wrongNested, wrongNames, noText := 0, 0, 0, 0
	list := labels(t, filepath.Join(dir, "labels.jsonl"))
	for _, l := range list {
		raw, err := os.ReadFile(filepath.Join(dir, l.File))
		if err != nil {
			t.Fatal(err)
		}
		m := mail.Parse(raw)
		if got, want := latin(m.Subject), latin(l.Subject); got != want {
			wrongSubjects++
			t.Logf("%s: subject %q, labelled %q", l.File, got, want)
		}
		if got := nested(m); got != l.Nested {
			wrongNested++
			t.Logf("%s: %d nested, labelled %d", l.File, got, l.Nested)
		}
		if m.Text == "" {
			noText++
		}
		got := names(m)
		for _, n := range l.Attachments {
			if !slices.ContainsFunc(got, func(g string) bool { return plainText(g) == plainText(n) }) {
				wrongNames++
				t.Logf("%s: no attachment %q among %q", l.File, n, got)
			}
		}
		if !utf8.ValidString(m.Text) || !utf8.ValidString(m.Subject) {
			t.Errorf("%s: what was read is no UTF-8", l.File)
		}
		if len(m.From) == 0 || m.Date.IsZero() && l.Label == "phishing" {
			t.Logf("%s: from %v at %v", l.File, m.From, m.Date)
		}
	}
	t.Logf("%d mails: %d subjects, %d nested, %d names differ, %d without a text", len(list), wrongSubjects, wrongNested, wrongNames, noText)
	// A few mails have no text but pictures, one has the headers of a mail inside,
	// which the labels do not count, and three subjects the labels give undecoded.
	if wrongSubjects > 3 || wrongNested > 1 || wrongNames > 0 || noText > 8 {
		t.Error("more differ from their labels than the label's reader explains")
	}
}

// latin is what of a subject does not depend on how its charset was read: the
// labels hold undecoded bytes, and blanks that their reader put in.
func latin(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return -1
		}
		return r
	}, s)
}

// facts are what another library found in a mail.
type facts struct {
	texts  []string
	binary []string // SHA-256
}

func (f *facts) read(parts []expectedPart) {
	for _, p := range parts {
		for kind, body := range p.Body {
			switch kind {
			case "Text", "Html":
				var text string
				if json.Unmarshal(body, &text) == nil {
					f.texts = append(f.texts, text)
				}
			case "Binary", "InlineBinary":
				var numbers []int
				if json.Unmarshal(body, &numbers) == nil {
					b := make([]byte, len(numbers))
					for i, n := range numbers {
						b[i] = byte(n)
					}
					sum := sha256.Sum256(b)
					f.binary = append(f.binary, hex.EncodeToString(sum[:]))
				}
			case "Message":
				var m struct{ Parts []expectedPart }
				if json.Unmarshal(body, &m) == nil {
					f.read(m.Parts)
				}
			}
		}
	}
}

type expectedPart struct {
	Body map[string]json.RawMessage
}

// found collects what we found.
func found(m *mail.Message) (text string, hashes []string) {
	text = m.Text + "\n" + m.HTMLText + "\n"
	for _, a := range m.Attachments {
		hashes = append(hashes, a.SHA256)
		if a.Message != nil {
			t, h := found(a.Message)
			text, hashes = text+t, append(hashes, h...)
		}
	}
	return text, hashes
}

func TestHardMailsAreReadAsAnotherLibraryReadsThem(t *testing.T) {
	t.Parallel()
	dir := corpus(t, "email-mime-edge")
	all, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil || len(all) == 0 {
		t.Fatal(err, len(all))
	}
	texts, missing, binaries, lost := 0, 0, 0, 0
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := mail.Parse(raw)
		text, hashes := found(m)
		text = letters(text)
		if len(text) == 0 && len(hashes) == 0 && len(raw) > 2000 {
			t.Logf("%s: neither text nor attachment: %v", filepath.Base(path), m.Defects)
		}
		expected, err := os.ReadFile(strings.TrimSuffix(path, ".eml") + ".expected.json")
		if err != nil {
			continue // there is no truth for it: it was read without harm
		}
		var e struct{ Parts []expectedPart }
		if err := json.Unmarshal(expected, &e); err != nil {
			t.Fatal(err)
		}
		var f facts
		f.read(e.Parts)
		for _, want := range f.texts {
			if texts++; !strings.Contains(text, letters(plainHTML(want))) && !slices.Contains(hashes, hashOf(want)) && !attachedText(m, want) {
				missing++
				t.Logf("%s: not found: %.200q\nin %.300q %v", filepath.Base(path), want, m.Text, m.Defects)
			}
		}
		for _, want := range f.binary {
			if binaries++; !slices.Contains(hashes, want) {
				lost++
				t.Logf("%s: an attachment is not found: %+v", filepath.Base(path), m.Attachments)
			}
		}
	}
	t.Logf("%d mails; %d of %d texts and %d of %d attachments differ", len(all), missing, texts, lost, binaries)
	// The other library keeps boundaries of outer parts as text of inner ones, and
	// takes named texts that are shown inline for the body.
	if missing > 9 || lost > 0 {
		t.Error("more differ than is explained")
	}
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// attachedText tells whether a text of about this size is attached: the other
// library turns attached texts into UTF-8, we keep them as they are.
func attachedText(m *mail.Message, want string) bool {
	for _, a := range m.Attachments {
		if strings.HasPrefix(a.Type, "text/") && a.Size > 0 && a.Size <= len(want)+8 && a.Size >= len(want)/3 {
			return true
		}
		if a.Message != nil && attachedText(a.Message, want) {
			return true
		}
	}
	return false
}

var tags = regexp.MustCompile(`(?s)<(style|script)[^>]*>.*?</(style|script)>|<!--.*?-->|<[^>]*>`)

func plainHTML(s string) string { return html.UnescapeString(tags.ReplaceAllString(s, "")) }

// letters are the letters and digits of a text.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}
