package main

import (
	"fmt"
	"net/http"
	"strings"

	"riposte/internal/httpapi"
)

type ledgerCmd struct {
	List ledgerListCmd `cmd:"" help:"List what was done and can be taken back, the newest first."`
	Undo ledgerUndoCmd `cmd:"" help:"Take one thing back, or all of a run, a playbook or a target."`
}

type ledgerListCmd struct {
	paging
	State    string `name:"state" enum:",open,taken,undone,failed" default:"" help:"Only entries of this state; open is what is in force."`
	OfRun    string `name:"run" help:"Only what this run did."`
	Case     string `name:"case" help:"Only what was done in this case."`
	Playbook string `name:"playbook" help:"Only what this playbook did."`
	Target   string `name:"target" help:"Only what holds this target."`
}

// Examples leads the command's help.
func (*ledgerListCmd) Examples() string {
	return "riposte ledger list --state open\nriposte ledger list --target 198.51.100.23 --json"
}

// Run lists entries.
func (c *ledgerListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.LedgerEntry](s, "/api/ledger",
		filters("state", c.State, "run", c.OfRun, "case", c.Case, "playbook", c.Playbook, "target", c.Target), c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "nothing is in the ledger", []string{"id", "state", "done", "on", "connection", "by", "due", "note"}, func(e httpapi.LedgerEntry) []string {
		return []string{e.ID, e.State, e.Done, clip(targetText(e.Targets), 40), e.Connection, e.Run, stamp(e.Due), clip(orDash(e.Problem, e.Reason), 60)}
	})
}

func targetText(targets []httpapi.Target) string {
	var all []string
	for _, t := range targets {
		all = append(all, t.Value)
	}
	return strings.Join(all, ", ")
}

type ledgerUndoCmd struct {
	ID       string `arg:"" optional:"" help:"The entry, such as L-771."`
	OfRun    string `name:"run" help:"Instead: all that this run did."`
	Playbook string `name:"playbook" help:"Instead: all that this playbook did."`
	Target   string `name:"target" placeholder:"KIND:VALUE" help:"Instead: all that holds this target."`
	Reason   string `name:"reason" required:"" enum:"wrong,no_longer_needed" help:"wrong or no_longer_needed."`
	Note     string `name:"note" help:"For the record."`
	sure
}

// Examples leads the command's help.
func (*ledgerUndoCmd) Examples() string {
	return "riposte ledger undo L-771 --reason wrong --note \"it is our own proxy\"\nriposte ledger undo --run R-88213 --reason no_longer_needed --yes"
}

// Run takes back.
func (c *ledgerUndoCmd) Run(w *world) error {
	body := map[string]any{"reason": c.Reason, "note": c.Note}
	what, ways := "", 0
	for _, way := range []struct{ given, name string }{{c.ID, ""}, {c.OfRun, "run"}, {c.Playbook, "playbook"}, {c.Target, "target"}} {
		if way.given != "" {
			ways++
			what = strings.TrimSpace(way.name + " " + way.given)
			if way.name != "" {
				body[way.name] = way.given
			}
		}
	}
	if ways != 1 {
		return misusef("name one thing to take back: an entry, --run, --playbook or --target")
	}
	if c.Target != "" {
		kind, value, ok := strings.Cut(c.Target, ":")
		if !ok || value == "" {
			return misusef("--target: %q is not KIND:VALUE, such as ip:198.51.100.23", c.Target)
		}
		body["target"] = httpapi.Target{Kind: kind, Value: value}
	}
	if c.ID != "" {
		return c.one(w, body)
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Take back everything of "+what+"?"); err != nil {
		return err
	}
	var out struct {
		Entries []httpapi.LedgerEntry `json:"entries"`
	}
	if _, err := s.do(request{method: http.MethodPost, path: "/api/ledger/undo", body: body}, &out); err != nil {
		return err
	}
	return w.taken(out.Entries)
}

func (c *ledgerUndoCmd) one(w *world, body map[string]any) error {
	path, err := recordPath("ledger", "L", c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var e httpapi.LedgerEntry
	if _, err := s.do(request{method: http.MethodPost, path: path + "/undo", body: body}, &e); err != nil {
		return err
	}
	return w.taken([]httpapi.LedgerEntry{e})
}

func (w *world) taken(entries []httpapi.LedgerEntry) error {
	if w.json {
		return w.printJSON(map[string]any{"items": entries})
	}
	for _, e := range entries {
		fmt.Fprintf(w.out, "%s: %s %s\n", e.ID, e.State, e.UndoRun)
	}
	return nil
}
