package main

import (
	"fmt"
	"net/http"
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
	File    string `arg:"" default:"-" help:"The file; - is standard input. It is read whole before anything is sent, and a wrong row sends nothing."`
	Format  string `name:"format" enum:"auto,text,csv,json,ndjson" default:"auto" help:"text: one value a line, # begins a comment. csv: a header with value, and note and expires if there are any. json: one array. ndjson: one object a line, as export writes them. auto looks at the file's name and beginning."`
	Column  string `name:"column" placeholder:"NAME" help:"The column of a CSV file that holds the values, if that is not value; columns that are not known are left out then."`
	Replace bool   `name:"replace" help:"Take out all others."`
	sure
}

// Examples leads the command's help.
func (*listsImportCmd) Examples() string {
	return "riposte lists import own-domains domains.txt\nriposte lists import vips people.csv --column mail\nriposte lists export vips | riposte lists import vips-copy -\nriposte lists import own-domains domains.txt --replace --yes"
}

// Run imports a list.
func (c *listsImportCmd) Run(w *world) error {
	path, err := listPath(c.Name)
	if err != nil {
		return err
	}
	entries, err := readEntries(w.in, c.File, c.Format, c.Column)
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
