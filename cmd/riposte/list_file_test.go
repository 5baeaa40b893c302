package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/httpapi"
)

func TestAListIsReadFromEveryFormatItIsWrittenIn(t *testing.T) {
	t.Parallel()
	two := []httpapi.ListEntry{{Value: "a.example"}, {Value: "b.example"}}
	noted := []httpapi.ListEntry{{Value: "a.example", Note: "ours, all"}, {Value: "b.example"}}
	tests := []struct {
		name, file, format, column, text string
		want                             []httpapi.ListEntry
	}{
		{"bare values", "l", "auto", "", "a.example\r\n# ours\n\n  b.example ", two},
		{"a byte order mark", "l", "auto", "", "\ufeffa.example\nb.example\n", two},
		{"CSV", "l", "auto", "", "value,note\na.example,\"ours, all\"\nb.example,\n", noted},
		{"CSV with a byte order mark", "l.csv", "auto", "", "\ufeffValue,Note\r\na.example,\"ours, all\"\r\nb.example,\r\n", noted},
		{"CSV of a spreadsheet with semicolons", "l.csv", "auto", "", "note;value\nours, all;a.example\n;b.example\n", noted},
		{"CSV of one column", "l", "auto", "", "value\na.example\nb.example\n", two},
		{"CSV of another column", "l", "auto", "Domain", "id,value,domain\n1,x,a.example\n2,y,b.example\n", two},
		{"a JSON array of texts", "l", "auto", "", "[\n\"a.example\", \"b.example\"]", two},
		{"a JSON array of objects", "l.json", "auto", "", `[{"value":"a.example","note":"ours, all"},{"value":"b.example","by":"ana"}]`, noted},
		{"an empty array", "l", "auto", "", "[]", []httpapi.ListEntry{}},
		{"NDJSON", "l", "auto", "", "{\"value\":\"a.example\",\"note\":\"ours, all\"}\n{\"value\":\"b.example\",\"added\":\"2026-01-01T00:00:00Z\"}\n", noted},
		{"an address in brackets", "l", "auto", "", "[2001:db8::1]:443\n", []httpapi.ListEntry{{Value: "[2001:db8::1]:443"}}},
		{"text with commas, when said so", "l", "text", "", "CN=a,OU=b\n{x}\n", []httpapi.ListEntry{{Value: "CN=a,OU=b"}, {Value: "{x}"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := readEntries(strings.NewReader(""), file(t, tt.file, tt.text), tt.format, tt.column)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAWrongListIsToldAtItsLineAndNothingIsSent(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	t.Cleanup(srv.Close)
	env := map[string]string{"RIPOSTE_URL": srv.URL, "RIPOSTE_TOKEN": "x"}
	tests := []struct{ name, file, text, want string }{
		{"Latin-1", "l", "a\nb\xe9\n", "l:2:1: byte 0xe9 is no UTF-8"},
		{"UTF-16", "l", "\xff\xfea\x00", "l:1:1: this is UTF-16"},
		{"a control character", "l", "a\nb\x00\n", "l:2:1: the value holds the control character U+0000"},
		{"CSV without a known header", "l", "domain,owner\na,b\n", "l:1:1: this looks like CSV"},
		{"an unknown column", "l.csv", "value,owner\na,b\n", `l.csv:1:1: the header has the column "owner"`},
		{"no column with values", "l.csv", "note\na\n", `l.csv:1:1: the header has no column "value"`},
		{"a column twice", "l.csv", "value,value\na,b\n", `l.csv:1:1: the column "value" is there twice`},
		{"too many cells", "l.csv", "value,note\na,b\nc,d,e\n", "l.csv:3:1: the row has not as many cells"},
		{"an open quote", "l.csv", "value,note\na,\"b\n", "l.csv:2:"},
		{"a row without a value", "l.csv", "value,note\na,b\n,d\n", "l.csv:3:1: the entry has no value"},
		{"a time that is none", "l.csv", "value,expires\na,soon\n", `l.csv:2:1: expires is "soon"`},
		{"a time that is over", "l", `{"value":"a","expires":"2020-01-01T00:00:00Z"}`, "l:1:1: it expired at"},
		{"two objects on a line", "l", `{"value":"a"} {"value":"b"}`, "l:1:1: something follows the entry"},
		{"an object over lines", "l", "{\n\"value\":\"a\"}", "l:1:1: not an entry: unexpected EOF"},
		{"a wrong element", "l", "[\n{\"value\":\"a\"},\n7]", "l:3:1: not an entry; expected"},
		{"an unknown key", "l", "[\n{\"value\":\"a\"},\n\n{\"valu\":\"a\"}]", `l:4:1: not an entry: unknown field "valu"`},
		{"an open array", "l", "[\n\"a\",\n", "l:2:1: not a JSON array: unexpected end"},
		{"text after an array", "l", "[\"a\"]\nb", "l:2:1: not a JSON array"},
		{"JSON among values", "l", "a\n{\"value\":\"a\"}", "l:2:1: not an entry: JSON among bare values"},
		{"a long value", "l", "a\n" + strings.Repeat("x", 70<<10), "l:2:1: the value is longer than 2048"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := command(t, env, "", "lists", "import", "own", file(t, tt.file, tt.text))
			if got.code != exitMisused || !strings.Contains(got.err, tt.want) || strings.Count(got.err, "\n") != 1 {
				t.Errorf("exit %d, stderr %q; want exit 2 and %q", got.code, got.err, tt.want)
			}
		})
	}
}

func TestAnExportedListIsReadAgain(t *testing.T) {
	t.Parallel()
	want := []httpapi.ListEntry{{Value: "#a,{\"", Note: "x\ny"}, {Value: "[b]"}}
	var text strings.Builder
	for _, e := range want {
		if err := json.NewEncoder(&text).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readEntries(strings.NewReader(""), file(t, "l", text.String()), "auto", "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
