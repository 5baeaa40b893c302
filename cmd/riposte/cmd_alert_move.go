package main

import (
	"fmt"
	"net/http"

	"riposte/internal/httpapi"
)

// alertMove is what all commands take that do something to alerts.
type alertMove struct {
	IDs    []string `arg:"" name:"alert" help:"The alerts, such as A-5521."`
	Reason string   `name:"reason" placeholder:"TEXT" help:"Why; it stands in the alert's history."`
}

// do does one thing to each alert, in order, and stops where it does not work.
func (c *alertMove) do(w *world, verb string, body map[string]any) error {
	paths := make([]string, len(c.IDs))
	for i, id := range c.IDs {
		path, err := recordPath("alerts", "A", id)
		if err != nil {
			return err
		}
		paths[i] = path
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	if c.Reason != "" {
		body["reason"] = c.Reason
	}
	var done []httpapi.Alert
	for _, path := range paths {
		var a httpapi.Alert
		if _, err := s.do(request{method: http.MethodPost, path: path + "/" + verb, body: body}, &a); err != nil {
			return err
		}
		if done = append(done, a); !w.json {
			fmt.Fprintf(w.out, "%s: %s\n", a.ID, oneLine(a.Outcome))
		}
	}
	if w.json {
		return w.printJSON(map[string]any{"items": done})
	}
	return nil
}

type alertCloseCmd struct {
	alertMove
	Verdict string `name:"verdict" required:"" enum:"true_positive,benign_positive,false_positive,undetermined" help:"What it turned out to be: ${enum}."`
}

// Examples leads the command's help.
func (*alertCloseCmd) Examples() string {
	return "riposte alert close A-5521 --verdict false_positive --reason \"the scanner of our own team\""
}

// Run closes alerts.
func (c *alertCloseCmd) Run(w *world) error {
	return c.do(w, "close", map[string]any{"verdict": c.Verdict})
}

type alertReopenCmd struct{ alertMove }

// Examples leads the command's help.
func (*alertReopenCmd) Examples() string {
	return "riposte alert reopen A-5521 --reason \"it came back\""
}

// Run opens alerts again.
func (c *alertReopenCmd) Run(w *world) error { return c.do(w, "reopen", map[string]any{}) }

type alertDropCmd struct{ alertMove }

// Examples leads the command's help.
func (*alertDropCmd) Examples() string { return "riposte alert drop A-5521 --reason \"a test\"" }

// Run drops alerts.
func (c *alertDropCmd) Run(w *world) error { return c.do(w, "drop", map[string]any{}) }

type alertAttachCmd struct {
	alertMove
	Case string `name:"case" placeholder:"CASE" help:"The case, such as C-1042; default: that of its group, else a new one."`
}

// Examples leads the command's help.
func (*alertAttachCmd) Examples() string {
	return "riposte alert attach A-5521 --case C-1042\nriposte alert attach A-5521"
}

// Run puts alerts into a case.
func (c *alertAttachCmd) Run(w *world) error {
	body := map[string]any{}
	if c.Case != "" {
		body["case"] = c.Case
	}
	return c.do(w, "attach", body)
}

type alertDetachCmd struct {
	alertMove
	Case string `name:"case" placeholder:"CASE" help:"The case, where it is in several."`
}

// Examples leads the command's help.
func (*alertDetachCmd) Examples() string { return "riposte alert detach A-5521" }

// Run takes alerts out of their case.
func (c *alertDetachCmd) Run(w *world) error {
	body := map[string]any{}
	if c.Case != "" {
		body["case"] = c.Case
	}
	return c.do(w, "detach", body)
}

type alertFoldCmd struct {
	alertMove
	Into string `name:"into" required:"" placeholder:"ALERT" help:"The open alert, such as A-5520."`
}

// Examples leads the command's help.
func (*alertFoldCmd) Examples() string { return "riposte alert fold A-5521 A-5522 --into A-5520" }

// Run folds alerts into one.
func (c *alertFoldCmd) Run(w *world) error { return c.do(w, "fold", map[string]any{"into": c.Into}) }

type alertUnfoldCmd struct{ alertMove }

// Examples leads the command's help.
func (*alertUnfoldCmd) Examples() string { return "riposte alert unfold A-5521" }

// Run lets folded alerts stand by themselves.
func (c *alertUnfoldCmd) Run(w *world) error { return c.do(w, "unfold", map[string]any{}) }
