package main

import (
	"fmt"
	"net/http"
	"net/url"

	"riposte/internal/httpapi"
)

type switchCmd struct {
	List switchListCmd `cmd:"" help:"List what is switched off."`
	Off  switchOffCmd  `cmd:"" help:"Stop automation: everything, or a part."`
	On   switchOnCmd   `cmd:"" help:"Let automation act again."`
}

type switchListCmd struct{}

// Examples leads the command's help.
func (switchListCmd) Examples() string { return "riposte switch list" }

type switched struct {
	Off []httpapi.Switch `json:"off"`
}

// Run lists switches.
func (switchListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[switched](s, "/api/switches", nil)
	if err != nil {
		return err
	}
	return w.switches(l)
}

func (w *world) switches(l switched) error {
	if w.json {
		return w.printJSON(l)
	}
	return printList(w, l.Off, "nothing is switched off", []string{"off", "since", "by", "reason"}, func(s httpapi.Switch) []string {
		return []string{s.Scope, stamp(s.Since), s.By, s.Reason}
	})
}

type switchOffCmd struct {
	Scope  string `arg:"" help:"everything, connector:NAME, connection:NAME, capability:NAME or playbook:SLUG."`
	Reason string `name:"reason" required:"" help:"Why."`
}

// Examples leads the command's help.
func (*switchOffCmd) Examples() string {
	return "riposte switch off everything --reason \"it blocks our own network\"\nriposte switch off connector:acme-edr --reason maintenance"
}

// Run stops automation. It does not ask: stopping must be quick.
func (c *switchOffCmd) Run(w *world) error { return w.turn(c.Scope, true, c.Reason) }

type switchOnCmd struct {
	Scope  string `arg:"" help:"What is off."`
	Reason string `name:"reason" required:"" help:"Why."`
	sure
}

// Examples leads the command's help.
func (*switchOnCmd) Examples() string {
	return "riposte switch on everything --reason \"fixed in v12\""
}

// Run lets automation act again.
func (c *switchOnCmd) Run(w *world) error {
	if err := w.confirm(c.sure, "Let "+c.Scope+" act again?"); err != nil {
		return err
	}
	return w.turn(c.Scope, false, c.Reason)
}

func (w *world) turn(scope string, off bool, reason string) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	var l switched
	body := map[string]any{"scope": scope, "off": off, "reason": reason}
	if _, err := s.do(request{method: http.MethodPost, path: "/api/switches", body: body}, &l); err != nil {
		return err
	}
	if !w.json {
		word := "on"
		if off {
			word = "off"
		}
		fmt.Fprintf(w.err, "%s: %s\n", scope, word)
	}
	return w.switches(l)
}

func pathPart(s string) string { return url.PathEscape(s) }
