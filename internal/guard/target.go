package guard

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"riposte/connector"
	"riposte/internal/fault"
)

// resolve works out what a request acts on and refuses what is not exactly one
// object of its kind, or is so wide that it means nearly everything.
func (g *settings) resolve(q *Request) ([]connector.Target, error) {
	if q.Action == nil {
		return nil, fmt.Errorf("the action is not loaded, so what it acts on is not known: %w", fault.Invalid)
	}
	targets, err := connector.Targets(q.Action, q.Inputs)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		if wrong := g.tooWide(t); wrong != "" {
			return nil, fmt.Errorf("%s: %s: %w", q.Action.Name(), wrong, fault.Invalid)
		}
	}
	return targets, nil
}

// tooWide says why a target is no single object, or one that stands for more
// than anybody would mean.
func (g *settings) tooWide(t connector.Target) string {
	switch t.Kind {
	case "cidr":
		return g.tooWideNet(t.Value)
	case "url":
		if u, err := url.Parse(t.Value); err == nil && disguised(u.Hostname()) {
			return fmt.Sprintf("the host %s is an address in another form; write it as 192.0.2.7", u.Hostname())
		}
	case "domain":
		d := plainDomain(t.Value)
		if suffix, _ := publicsuffix.PublicSuffix(d); suffix == d {
			return fmt.Sprintf("under %q anybody can register names; name the one that is meant", t.Value)
		}
	case "host", "mailbox", "email":
		if strings.ContainsAny(t.Value, "*?%,; \t<>") {
			return fmt.Sprintf("%q is not one %s", t.Value, t.Kind)
		}
		if t.Kind == "email" && (strings.Count(t.Value, "@") != 1 || strings.HasPrefix(t.Value, "@")) {
			return fmt.Sprintf("%q is not one address", t.Value)
		}
	case "user", "group", "process", "file":
		if strings.Contains(t.Value, "*") || t.Kind != "file" && strings.ContainsAny(t.Value, "?;") {
			return fmt.Sprintf("%q is a pattern and not one %s", t.Value, t.Kind)
		}
		if t.Kind == "user" && strings.Contains(t.Value, ",") && !strings.Contains(t.Value, "=") {
			return fmt.Sprintf("%q is not one user", t.Value)
		}
		if t.Kind == "file" && strings.Trim(t.Value, `/\:.`) == "" {
			return fmt.Sprintf("%q is not one file", t.Value)
		}
	}
	return ""
}

func (g *settings) tooWideNet(s string) string {
	p, ok := parseNet(s)
	if !ok {
		return ""
	}
	if p.Addr().Is6() {
		for _, all := range standForIPv4() {
			if p.Bits() <= all.Bits() && p.Overlaps(all) {
				return fmt.Sprintf("the network %s holds every IPv4 address; name smaller ones", s)
			}
		}
	}
	least := g.widest4
	if p.Addr().Is6() {
		least = g.widest6
	}
	if p.Bits() < least {
		return fmt.Sprintf("the network %s is wider than /%d; name smaller ones", s, least)
	}
	return ""
}

// disguised tells whether a host is an address that is not written as one:
// browsers and proxies take 3221225991, 0xc0.2.7 and 192.0.519 for addresses
// (WHATWG URL, "IPv4 parser"), so that a protected one hid behind them.
func disguised(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = plainDomain(host)
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, digits+"abcdef"
	}
	return strings.Trim(last, digits) == "" && host != ""
}
