package guard

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
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
		p, err := netip.ParsePrefix(t.Value)
		if err != nil {
			return ""
		}
		least := g.widest4
		if p.Addr().Is6() {
			least = g.widest6
		}
		if p.Bits() < least {
			return fmt.Sprintf("the network %s is wider than /%d; name smaller ones", t.Value, least)
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

// plainDomain writes a domain as lists hold it: small letters, no dot at the
// end, other alphabets in their ASCII form.
func plainDomain(s string) string {
	s = strings.TrimSuffix(strings.ToLower(s), ".")
	for i := range len(s) {
		if s[i] >= 0x80 {
			return toASCII(s)
		}
	}
	return s
}

// toASCII writes a domain of another alphabet as it is asked for in the DNS.
// What is no domain comes back as it is, and matches nothing.
func toASCII(s string) string {
	if a, err := idna.Lookup.ToASCII(s); err == nil {
		return a
	}
	if a, err := idna.Punycode.ToASCII(s); err == nil {
		return a
	}
	return s
}
