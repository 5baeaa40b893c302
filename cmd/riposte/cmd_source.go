package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/app"
	wire "riposte/internal/event"
	"riposte/internal/fault"
)

type sourceCmd struct {
	Status sourceStatusCmd `cmd:"" help:"How sources do: what comes, what is usual, what waits."`
	List   sourceListCmd   `cmd:"" help:"The mappings that read events."`
	Detect sourceDetectCmd `cmd:"" help:"Name the mapping that fits the events of a file."`
	Test   sourceTestCmd   `cmd:"" help:"Show what a mapping makes of events, beside them."`
	Map    sourceMapCmd    `cmd:"" help:"Make the alert record of each event of a file."`
}

// mappingSet is what every command takes that reads events here.
type mappingSet struct {
	Content string `name:"content" placeholder:"DIR" env:"RIPOSTE_CONTENT" help:"A content folder, with mappings of your own in sources/."`
}

func (c *mappingSet) open(w *world) (*alert.Mappings, error) {
	if c.Content != "" {
		if info, err := os.Stat(c.Content); err != nil || !info.IsDir() {
			return nil, misusef("--content: %s is not a folder", c.Content)
		}
	}
	set, err := app.Mappings(c.Content)
	if err != nil {
		return nil, w.diagnosed(err)
	}
	return set, nil
}

// named is the set in which only one mapping reads: that of a name, or of a file.
func (c *mappingSet) named(w *world, name string) (*alert.Mappings, error) {
	set, err := c.open(w)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(name); err == nil && !info.IsDir() {
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		m, err := alert.ParseMapping(name, src)
		if err != nil {
			return nil, w.diagnosed(err)
		}
		return set.With(m).Only(m.ID)
	}
	if strings.ContainsRune(name, filepath.Separator) || strings.HasSuffix(name, ".yaml") {
		return nil, misusef("%s: there is no such file", name)
	}
	if name == "auto" {
		return set, nil
	}
	only, err := set.Only(name)
	if errors.Is(err, fault.NotFound) {
		return nil, misusef("there is no mapping %s; riposte source list names them, and FILE.source.yaml may be one of yours", name)
	}
	return only, err
}

type sourceListCmd struct {
	mappingSet
}

// Examples leads the command's help.
func (*sourceListCmd) Examples() string {
	return "riposte source list\nriposte source list --content /etc/riposte/content --json"
}

// mappingInfo is a mapping as --json writes it.
type mappingInfo struct {
	Mapping     string `json:"mapping"`
	Product     string `json:"product"`
	Title       string `json:"title"`
	Version     int    `json:"version"`
	Basis       string `json:"basis,omitempty"` // events or documentation
	Specificity int    `json:"specificity"`
	Own         bool   `json:"own"`
}

var basisWords = map[string]string{"events": "tested on real events", "documentation": "written from documentation", "": "not told"}

// Run lists the mappings.
func (c *sourceListCmd) Run(w *world) error {
	set, err := c.open(w)
	if err != nil {
		return err
	}
	var items []mappingInfo
	for _, m := range set.All() {
		items = append(items, mappingInfo{m.ID, m.Product, m.Title, m.Version, m.Basis, m.Specificity, c.own(m.ID)})
	}
	slices.SortFunc(items, func(a, b mappingInfo) int { return strings.Compare(a.Mapping, b.Mapping) })
	return printList(w, items, "there is no mapping", []string{"mapping", "product", "version", "basis", "from"}, func(m mappingInfo) []string {
		from := "shipped"
		if m.Own {
			from = "your own"
		}
		return []string{m.Mapping, clip(m.Product, 60), strconv.Itoa(m.Version), basisWords[m.Basis], from}
	})
}

// own tells whether a mapping is of the content folder.
func (c *mappingSet) own(id string) bool {
	if c.Content == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(c.Content, "sources", id+".source.yaml"))
	return err == nil
}

type sourceDetectCmd struct {
	mappingSet
	Files []string `arg:"" name:"file" help:"Files of events; - is standard input."`
}

// Examples leads the command's help.
func (*sourceDetectCmd) Examples() string {
	return "riposte source detect alerts.jsonl\nriposte source detect firewall.log mail.log\nriposte source detect answer.json --json"
}

// detected is one event of riposte source detect --json.
type detected struct {
	File    string `json:"file"`
	Event   int    `json:"event"` // counted from 1
	Line    int    `json:"line,omitempty"`
	Mapping string `json:"mapping,omitempty"`
	Title   string `json:"title,omitempty"`
	Format  string `json:"format,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Run names the mapping of each file: the one that reads most of its events, and
// the others with their numbers.
func (c *sourceDetectCmd) Run(w *world) error {
	set, err := c.open(w)
	if err != nil {
		return err
	}
	wrong := false
	for _, file := range c.Files {
		items, how, err := readEvents(w, file, set)
		if err != nil {
			return err
		}
		kinds := map[string]*kindCount{}
		for n, item := range items {
			d := detected{File: file, Event: n + 1, Line: item.Line}
			e, err := wire.Read(item.Raw, time.Now().UTC())
			switch m := set.Detect(e); {
			case err != nil:
				d.Error = plainError(err)
			case m == nil:
				d.Format, d.Error = string(e.Format), "no mapping reads this event"
			default:
				d.Mapping, d.Title, d.Format = m.ID, m.Title, string(e.Format)
			}
			wrong = wrong || d.Error != ""
			countKind(kinds, d)
			if w.json {
				if err := w.printJSON(d); err != nil {
					return err
				}
			}
		}
		if !w.json {
			w.kinds(file, how, len(items), kinds)
		}
	}
	if wrong {
		return silent{exitFailed}
	}
	return nil
}

// kindCount is how many events of a file a mapping reads.
type kindCount struct {
	mapping, title, problem string
	events                  int
	first                   int // event
}

func countKind(kinds map[string]*kindCount, d detected) {
	k := kinds[d.Mapping]
	if k == nil {
		k = &kindCount{mapping: d.Mapping, title: d.Title, problem: d.Error, first: d.Event}
		kinds[d.Mapping] = k
	}
	k.events++
}

// kinds tells what a file holds.
func (w *world) kinds(file, how string, events int, kinds map[string]*kindCount) {
	all := make([]*kindCount, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *kindCount) int {
		if a.events != b.events {
			return b.events - a.events
		}
		return strings.Compare(a.mapping, b.mapping)
	})
	switch {
	case len(all) == 0:
		fmt.Fprintf(w.out, "%s: no event\n", file)
	case len(all) == 1 && all[0].mapping != "":
		fmt.Fprintf(w.out, "%s: %s  (%s; %s, %s)\n", file, all[0].mapping, all[0].title, count(events, "event"), how)
	default:
		fmt.Fprintf(w.out, "%s: %d kinds of events  (%s, %s)\n", file, len(all), count(events, "event"), how)
		for _, k := range all {
			if k.mapping == "" {
				fmt.Fprintf(w.out, "  %6d  unreadable; the first is event %d: %s\n", k.events, k.first, oneLine(k.problem))
				continue
			}
			fmt.Fprintf(w.out, "  %6d  %s  (%s)\n", k.events, k.mapping, k.title)
		}
	}
}

type sourceMapCmd struct {
	mappingSet
	Mapping string   `name:"mapping" placeholder:"NAME" help:"Read with this mapping only: a name, or a file. Without it the one that fits reads each event."`
	Files   []string `arg:"" name:"file" help:"Files of events; - is standard input."`
}

// Examples leads the command's help.
func (*sourceMapCmd) Examples() string {
	return "riposte source map alerts.jsonl --json\nzcat firewall.log.gz | riposte source map - --json\nriposte source map draft.jsonl --mapping draft.source.yaml"
}

// mapped is one record of riposte source map --json.
type mapped struct {
	alert.Alert
	Skipped bool `json:"skipped,omitempty"` // the mapping says that the event is no alert: a source would leave it out
}

// Run makes the record of each event; one that cannot be read has its error in
// it.
func (c *sourceMapCmd) Run(w *world) error {
	set, err := c.open(w)
	if c.Mapping != "" && err == nil {
		set, err = c.named(w, c.Mapping)
	}
	if err != nil {
		return err
	}
	var rows [][]string
	events, unread := 0, 0
	for _, file := range c.Files {
		items, _, err := readEvents(w, file, set)
		if err != nil {
			return err
		}
		for _, item := range items {
			seen := set.Show(sourceName(file), item.Raw, time.Now().UTC().Truncate(time.Microsecond))
			events++
			if seen.Err != nil {
				unread++
			}
			if w.json {
				if err := w.printJSON(mapped{seen.Alert, !seen.Is}); err != nil {
					return err
				}
				continue
			}
			rows = append(rows, rowOf(seen))
		}
	}
	if !w.json {
		w.table([]string{"mapping", "time", "severity", "title", "about"}, rows)
	}
	if unread > 0 {
		fmt.Fprintf(w.err, "%d of %s could not be read; each is kept with its error\n", unread, count(events, "event"))
	}
	return nil
}

func rowOf(seen alert.Seen) []string {
	a := seen.Alert
	if seen.Err != nil {
		return []string{"-", stamp(a.Time), "", clip("unreadable: "+a.Error, 100), ""}
	}
	var about []string
	for _, e := range a.Entities {
		about = append(about, e.Value)
	}
	for _, o := range a.Observables {
		about = append(about, o.Value)
	}
	return []string{a.Mapping, stamp(a.Time), strconv.Itoa(a.Severity), clip(a.Title, 70), clip(strings.Join(about, " "), 60)}
}

// sourceName is the name that records of a file have as their source.
func sourceName(file string) string {
	if file == "-" {
		return "stdin"
	}
	return filepath.Base(file)
}

// pretty writes a value as indented JSON.
func pretty(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}
