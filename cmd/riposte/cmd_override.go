package main

import (
	"net/http"
	"strings"
	"time"

	"riposte/internal/httpapi"
	"riposte/internal/strictyaml"
)

type overrideCmd struct {
	List overrideListCmd `cmd:"" help:"List what is set aside and not used yet."`
	Give overrideGiveCmd `cmd:"" help:"Let one action pass the protected lists on one target, once."`
}

type overrideListCmd struct{}

// Examples leads the command's help.
func (overrideListCmd) Examples() string { return "riposte override list" }

// Run lists overrides.
func (overrideListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[struct {
		Overrides []httpapi.Override `json:"overrides"`
	}](s, "/api/overrides", nil)
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(l)
	}
	return w.overrides(l.Overrides)
}

func (w *world) overrides(list []httpapi.Override) error {
	return printList(w, list, "nothing is set aside", []string{"action", "target", "until", "by", "reason"}, func(o httpapi.Override) []string {
		return []string{o.Action, o.Target.Kind + ":" + o.Target.Value, stamp(o.Until), o.By, o.Reason}
	})
}

type overrideGiveCmd struct {
	Action string `arg:"" help:"The action, such as firewall.block_ip."`
	Target string `arg:"" help:"KIND:VALUE, as the step writes it, such as ip:198.51.100.23."`
	Reason string `name:"reason" required:"" help:"Why."`
	For    string `name:"for" default:"1h" placeholder:"DURATION" help:"How long it may lie about unused, such as 90m; at most 24h. Default: 1h."`
	sure
}

// Examples leads the command's help.
func (*overrideGiveCmd) Examples() string {
	return "riposte override give firewall.block_ip ip:192.0.2.7 --reason \"our old proxy, it is being abused\""
}

// Run gives an override.
func (c *overrideGiveCmd) Run(w *world) error {
	kind, value, ok := strings.Cut(c.Target, ":")
	if !ok || value == "" {
		return misusef("%q is not KIND:VALUE, such as ip:198.51.100.23", c.Target)
	}
	lasts, ok := strictyaml.ParseDuration(c.For)
	if !ok || lasts <= 0 || lasts > 24*time.Hour {
		return misusef("--for: %q is not between 1s and 24h, such as 90m", c.For)
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Let "+c.Action+" act on the protected "+kind+" "+value+", once?"); err != nil {
		return err
	}
	body := map[string]any{
		"action": c.Action, "target": httpapi.Target{Kind: kind, Value: value}, "reason": c.Reason, "until": time.Now().UTC().Add(lasts),
	}
	var o httpapi.Override
	if _, err := s.do(request{method: http.MethodPost, path: "/api/overrides", body: body}, &o); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(o)
	}
	return w.overrides([]httpapi.Override{o})
}
