package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"riposte/internal/httpapi"
)

// What one import takes; the server takes no more.
const (
	maxImport        = 12 << 20
	maxImportEntries = 200_000
	maxListValue     = 2048
	maxListNote      = 1000
)

// listFile is the text of a file with entries of a list.
type listFile struct {
	name, column string
	text         string
	entries      []httpapi.ListEntry
}

// readEntries takes a file apart: everything must be right before anything is
// sent.
func readEntries(in io.Reader, name, format, column string) ([]httpapi.ListEntry, error) {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err != nil {
		return nil, misusef("read %s: %s", name, pathError(err))
	}
	if len(raw) > maxImport {
		return nil, misusef("%s: larger than %d MiB; import it in parts", name, maxImport>>20)
	}
	f := &listFile{name: name, column: column, text: string(raw)}
	if err := f.read(format); err != nil {
		return nil, err
	}
	if len(f.entries) > maxImportEntries {
		return nil, misusef("%s: %d values, more than %d; import it in parts", name, len(f.entries), maxImportEntries)
	}
	return f.entries, nil
}

func (f *listFile) read(format string) error {
	if err := f.decode(); err != nil {
		return err
	}
	if format == "auto" {
		format = f.format()
	}
	if f.column != "" && format != "csv" {
		return misusef("--column is for CSV, and %s is read as %s; say --format csv if it is", f.name, format)
	}
	f.entries = []httpapi.ListEntry{}
	switch format {
	case "csv":
		return f.csv()
	case "json":
		return f.array()
	case "ndjson":
		return f.objects()
	case "text":
		return f.lines(false)
	default:
		return f.lines(true)
	}
}

// decode takes the byte order mark off, which is no part of the first value, and
// refuses what is no UTF-8.
func (f *listFile) decode() error {
	if strings.HasPrefix(f.text, "\xff\xfe") || strings.HasPrefix(f.text, "\xfe\xff") {
		return f.wrong(1, "this is UTF-16; save the file as UTF-8")
	}
	f.text = strings.TrimPrefix(f.text, "\ufeff")
	if at := invalidUTF8(f.text); at >= 0 {
		return f.wrong(f.line(at), "byte 0x%02x is no UTF-8; save the file as UTF-8", f.text[at])
	}
	return nil
}

// invalidUTF8 finds the first byte that does not belong, -1 for none.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// format tells what a file is by its name and by how it begins; "" is bare
// values, in which what looks like something else is refused.
func (f *listFile) format() string {
	begin := f.beginning()
	switch filepath.Ext(strings.ToLower(f.name)) {
	case ".csv", ".tsv":
		return "csv"
	case ".ndjson", ".jsonl":
		return "ndjson"
	case ".json":
		if strings.HasPrefix(begin, "{") {
			return "ndjson"
		}
		return "json"
	}
	switch {
	case f.column != "":
		return "csv"
	case strings.HasPrefix(begin, "{"):
		return "ndjson"
	case isArray(begin):
		return "json"
	case slices.Contains(columns(begin), "value"):
		return "csv"
	}
	return ""
}

// beginning is the first line that says something, with what follows.
func (f *listFile) beginning() string {
	rest := f.text
	for {
		rest = strings.TrimSpace(rest)
		if !strings.HasPrefix(rest, "#") {
			return rest
		}
		_, rest, _ = strings.Cut(rest, "\n")
	}
}

// isArray tells a JSON array from an address in brackets, such as [::1]:443.
func isArray(text string) bool {
	rest, ok := strings.CutPrefix(text, "[")
	rest = strings.TrimSpace(rest)
	return ok && (rest == "" || strings.ContainsRune("\"{]", rune(rest[0])))
}

// columns reads the first line of a text as the header of a CSV file.
func columns(text string) []string {
	line, _, _ := strings.Cut(text, "\n")
	r := csv.NewReader(strings.NewReader(line))
	r.Comma = separator(line)
	header, err := r.Read()
	if err != nil {
		return nil
	}
	for i := range header {
		header[i] = strings.ToLower(strings.TrimSpace(header[i]))
	}
	return header
}

// separator is what stands between the cells: spreadsheets write semicolons where
// the comma is a decimal mark.
func separator(line string) rune {
	for _, c := range ",;\t" {
		if strings.ContainsRune(line, c) {
			return c
		}
	}
	return ','
}

// lines reads one value a line. Unless the format was named, a line that looks
// like another one is refused, not taken for a value.
func (f *listFile) lines(guessed bool) error {
	for n, line := range strings.Split(f.text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		switch {
		case guessed && (strings.HasPrefix(line, "{") || isArray(line)):
			return f.wrong(n+1, "not an entry: JSON among bare values; say --format text if it is one, or write all as JSON")
		case guessed && strings.ContainsAny(line, ",;\t"):
			return f.wrong(n+1, "this looks like CSV without a header that names the column value; say --column NAME, or --format text if the whole line is the value")
		}
		if err := f.add(n+1, httpapi.ListEntry{Value: line}); err != nil {
			return err
		}
	}
	return nil
}

// objects reads one JSON object a line, as export writes them.
func (f *listFile) objects() error {
	for n, line := range strings.Split(f.text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := f.object(n+1, []byte(line)); err != nil {
			return err
		}
	}
	return nil
}

// array reads one JSON array of objects or texts.
func (f *listFile) array() error {
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(f.text), &all); err != nil {
		at := int64(0)
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			at = syntax.Offset - 1
		}
		return f.wrong(f.line(int(at)), "not a JSON array: %s", err)
	}
	dec := json.NewDecoder(strings.NewReader(f.text))
	if _, err := dec.Token(); err != nil {
		return f.wrong(1, "not a JSON array: %s", err)
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return f.wrong(f.line(int(dec.InputOffset())), "not an entry: %s", err)
		}
		if err := f.object(f.line(int(dec.InputOffset())-len(raw)), raw); err != nil {
			return err
		}
	}
	return nil
}

// object reads an entry, or a text, which is its value.
func (f *listFile) object(line int, raw []byte) error {
	const expected = `expected {"value": …} with note and expires, or the value as a text`
	var e httpapi.ListEntry
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	into := any(&e)
	switch {
	case bytes.HasPrefix(raw, []byte(`"`)):
		into = &e.Value
	case !bytes.HasPrefix(raw, []byte("{")):
		return f.wrong(line, "not an entry; "+expected)
	}
	if err := dec.Decode(into); err != nil {
		return f.wrong(line, "not an entry: %s; %s", strings.TrimPrefix(err.Error(), "json: "), expected)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return f.wrong(line, "something follows the entry; write one a line")
	}
	return f.add(line, e)
}

// csv reads rows below a header that names the columns.
func (f *listFile) csv() error {
	first, _, _ := strings.Cut(strings.TrimLeft(f.text, "\r\n"), "\n")
	r := csv.NewReader(strings.NewReader(f.text))
	r.Comma = separator(first)
	var at map[string]int
	for {
		row, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return f.wrongRow(err)
		}
		line, _ := r.FieldPos(0)
		if at == nil {
			if at, err = f.header(line, row); err != nil {
				return err
			}
			continue
		}
		if err := f.row(line, row, at); err != nil {
			return err
		}
	}
}

// header tells where the columns stand.
func (f *listFile) header(line int, row []string) (map[string]int, error) {
	known := []string{"note", "expires", "added", "by"} // the last two as export writes them
	values := "value"
	if f.column != "" {
		values = strings.ToLower(strings.TrimSpace(f.column))
	}
	at, seen := map[string]int{}, map[string]bool{}
	for i, cell := range row {
		name := strings.ToLower(strings.TrimSpace(cell))
		twice := seen[name]
		seen[name] = true
		switch {
		case twice && (name == values || slices.Contains(known, name)):
			return nil, f.wrong(line, "the column %q is there twice", name)
		case name == values:
			at["value"] = i
		case slices.Contains(known, name):
			at[name] = i
		case f.column == "":
			return nil, f.wrong(line, "the header has the column %q; value, note and expires are known, and --column NAME names another one for the values and leaves out the rest", cell)
		}
	}
	if !seen[values] {
		return nil, f.wrong(line, "the header has no column %q; it has %s", values, strings.Join(row, ", "))
	}
	return at, nil
}

func (f *listFile) row(line int, row []string, at map[string]int) error {
	cell := func(name string) string {
		if i, ok := at[name]; ok {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	e := httpapi.ListEntry{Value: cell("value"), Note: cell("note")}
	if until := cell("expires"); until != "" {
		var err error
		if e.Expires, err = time.Parse(time.RFC3339, until); err != nil {
			return f.wrong(line, "expires is %q; expected a time such as 2026-11-24T08:00:00Z", until)
		}
	}
	return f.add(line, e)
}

func (f *listFile) wrongRow(err error) error {
	if parse := (*csv.ParseError)(nil); errors.As(err, &parse) {
		why := parse.Err.Error()
		if errors.Is(parse.Err, csv.ErrFieldCount) {
			why = "the row has not as many cells as the header"
		}
		return misusef("%s:%d:%d: %s", f.name, parse.Line, max(parse.Column, 1), why)
	}
	return misusef("%s: %s", f.name, err)
}

// add checks an entry as the server will, while its line is known.
func (f *listFile) add(line int, e httpapi.ListEntry) error {
	e.Value = strings.TrimSpace(e.Value)
	switch {
	case e.Value == "":
		return f.wrong(line, "the entry has no value")
	case utf8.RuneCountInString(e.Value) > maxListValue:
		return f.wrong(line, "the value is longer than %d characters", maxListValue)
	case utf8.RuneCountInString(e.Note) > maxListNote:
		return f.wrong(line, "the note is longer than %d characters", maxListNote)
	case !e.Expires.IsZero() && !e.Expires.After(time.Now()):
		return f.wrong(line, "it expired at %s", e.Expires.UTC().Format(time.RFC3339))
	}
	if i := strings.IndexFunc(e.Value, unicode.IsControl); i >= 0 {
		r, _ := utf8.DecodeRuneInString(e.Value[i:])
		return f.wrong(line, "the value holds the control character %U", r)
	}
	f.entries = append(f.entries, httpapi.ListEntry{Value: e.Value, Note: e.Note, Expires: e.Expires})
	return nil
}

// line counts the lines up to a byte.
func (f *listFile) line(at int) int {
	return 1 + strings.Count(f.text[:min(max(at, 0), len(f.text))], "\n")
}

func (f *listFile) wrong(line int, what string, args ...any) error {
	return misusef("%s:%d:1: %s", f.name, line, fmt.Sprintf(what, args...))
}
