package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"riposte/internal/httpapi"
)

type listsCmd struct {
	Show   listsShowCmd   `cmd:"" help:"Show what lists there are, or what is in one."`
	Import listsImportCmd `cmd:"" help:"Put values into a list."`
	Export listsExportCmd `cmd:"" help:"Write a list in the form that import reads."`
}

type listsShowCmd struct {
	paging
	Name string `arg:"" optional:"" help:"The list; without it all lists are named."`
}

// Examples leads the command's help.
func (*listsShowCmd) Examples() string { return "riposte lists show\nriposte lists show own-domains" }

// Run shows lists.
func (c *listsShowCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	if c.Name == "" {
		l, err := fetch[httpapi.List[httpapi.ListInfo]](s, "/api/lists", nil)
		if err != nil {
			return err
		}
		return printList(w, l.Items, "no lists", []string{"list", "entries"}, func(i httpapi.ListInfo) []string {
			return []string{i.Name, fmt.Sprint(i.Entries)}
		})
	}
	path, err := listPath(c.Name)
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.ListEntry](s, path, nil, c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "the list is empty", []string{"value", "added", "by", "expires", "note"}, func(e httpapi.ListEntry) []string {
		return []string{e.Value, stamp(e.Added), e.By, stamp(e.Expires), clip(e.Note, 60)}
	})
}

// listPath checks a list's name before it becomes a part of a path.
func listPath(name string) (string, error) {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || name[0] < 'a' {
		return "", misusef("%q cannot be a list's name; small letters, digits, hyphens and underscores, a letter first", name)
	}
	return "/api/lists/" + name, nil
}

type listsImportCmd struct {
	Name    string `arg:"" help:"The list; it is made if it is not there."`
	File    string `arg:"" default:"-" help:"A file with one value a line, or one JSON object a line as export writes it; - is standard input."`
	Replace bool   `name:"replace" help:"Take out all others."`
	sure
}

// Examples leads the command's help.
func (*listsImportCmd) Examples() string {
	return "riposte lists import own-domains domains.txt\nriposte lists export vips | riposte lists import vips-copy -\nriposte lists import own-domains domains.txt --replace --yes"
}

// Run imports a list.
func (c *listsImportCmd) Run(w *world) error {
	path, err := listPath(c.Name)
	if err != nil {
		return err
	}
	entries, err := c.read(w)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	if c.Replace {
		if err := w.confirm(c.sure, fmt.Sprintf("Replace all of %s by %d values?", c.Name, len(entries))); err != nil {
			return err
		}
	}
	var out httpapi.Imported
	body := map[string]any{"entries": entries, "replace": c.Replace}
	if _, err := s.do(request{method: http.MethodPost, path: path + "/import", body: body}, &out); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(out)
	}
	fmt.Fprintf(w.out, "%s: %d added, %d were there, %d removed\n", c.Name, out.Added, out.Kept, out.Removed)
	return nil
}

const maxImport = 12 << 20

// read takes the file apart: everything must be right before anything is sent.
func (c *listsImportCmd) read(w *world) ([]httpapi.ListEntry, error) {
	in := w.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxImport+1))
	if err != nil {
		return nil, misusef("read %s: %s", c.File, pathError(err))
	}
	if len(raw) > maxImport {
		return nil, misusef("%s: larger than %d MiB; import it in parts", c.File, maxImport>>20)
	}
	entries := []httpapi.ListEntry{}
	lines := bufio.NewScanner(bytes.NewReader(raw))
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		e, err := listLine(strings.TrimSpace(lines.Text()))
		if err != nil {
			return nil, misusef("%s:%d:1: %s", c.File, n, err)
		}
		if e.Value != "" {
			entries = append(entries, e)
		}
	}
	if lines.Err() != nil {
		return nil, misusef("%s:%d:1: a line is longer than 64 KiB", c.File, len(entries)+1)
	}
	return entries, nil
}

// listLine reads a value, or an object; empty lines and comments are nothing.
func listLine(line string) (e httpapi.ListEntry, err error) {
	switch {
	case line == "" || strings.HasPrefix(line, "#"):
		return e, nil
	case !strings.HasPrefix(line, "{"):
		e.Value = line
	default:
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&e); err != nil {
			return e, fmt.Errorf("not an entry: %w; expected {\"value\": …} with note and expires, or the bare value", err)
		}
		if e.Value == "" {
			return e, fmt.Errorf("the entry has no value")
		}
		e.Added, e.By = httpapi.ListEntry{}.Added, ""
	}
	if len(e.Value) > 2048 {
		return e, fmt.Errorf("the value is longer than 2048 bytes")
	}
	return e, nil
}

type listsExportCmd struct {
	Name string `arg:"" help:"The list."`
}

// Examples leads the command's help.
func (*listsExportCmd) Examples() string {
	return "riposte lists export own-domains >own-domains.jsonl"
}

// Run writes one JSON object a line, whatever --json says: that is what import
// reads.
func (c *listsExportCmd) Run(w *world) error {
	path, err := listPath(c.Name)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.ListEntry](s, path, nil, paging{Limit: 1, All: true})
	if err != nil {
		return err
	}
	for _, e := range items {
		if err := w.printJSON(e); err != nil {
			return err
		}
	}
	return nil
}
