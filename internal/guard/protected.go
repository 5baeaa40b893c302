package guard

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/strictyaml"
)

// List is objects that nothing may touch, and why. An action on one of them is
// denied with the list's name.
type List struct {
	Name    string    `yaml:"list,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the list's name, as a denial tells it: small letters, digits, hyphens"`
	Owner   string    `yaml:"owner,required" min:"1" doc:"who keeps it and is asked when it is wrong"`
	Reason  string    `yaml:"reason,required" min:"1" doc:"why these must not be touched"`
	Expires time.Time `yaml:"expires" doc:"when it stops to hold, such as 2027-01-31T00:00:00Z; default: never"`
	Tenants []string  `yaml:"tenants" doc:"the tenants it holds for; default: all"`
	// Kinds narrows which targets the list is held against. Without it addresses
	// count for ip, cidr and url, domains for domain, url and email.
	Kinds []connector.TargetKind `yaml:"kinds" doc:"the kinds of target that it is held against; default: all that its entries fit"`

	IPs       []string                          `yaml:"ips" doc:"addresses and networks; a network is hit by any address in it, and by any network that touches it"`
	Domains   []string                          `yaml:"domains" doc:"domains with all that is below them; what lies above one of them is hit, too"`
	Hosts     []string                          `yaml:"hosts" doc:"machines, by short or full name"`
	Users     []string                          `yaml:"users" doc:"accounts, with or without their domain"`
	Mailboxes []string                          `yaml:"mailboxes" doc:"mailboxes, by address"`
	Exact     map[connector.TargetKind][]string `yaml:"exact" doc:"by kind of target: values that are hit only as they stand here"`
	Patterns  map[connector.TargetKind][]string `yaml:"patterns" doc:"by kind of target: regular expressions (RE2) that the whole value matches, letters large or small"`
	Labels    []string                          `yaml:"labels" doc:"assets that bear one of these labels"`
}

type protectedFile struct {
	Lists []List `yaml:"lists,required" min:"1" doc:"the lists, in any order"`
}

// maxPatterns bounds the patterns of all lists: each costs time at every check.
const maxPatterns = 500

// ParseProtected reads a file of protected lists. The error tells everything
// that is wrong, each at its line and column: fault.Invalid.
func ParseProtected(file string, data []byte) ([]List, error) {
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	var f protectedFile
	doc.Decode(&f)
	names := map[string]bool{}
	for i := range f.Lists {
		l := &f.Lists[i]
		at := strictyaml.Join("/lists", i)
		if names[l.Name] && l.Name != "" {
			doc.Errorf(at+"/list", "give each list a name of its own", "the list %q is here twice", l.Name)
		}
		names[l.Name] = true
		l.check(func(path, expected, what string) { doc.Errorf(at+path, expected, "%s", what) })
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return f.Lists, nil
}

// check reports what is wrong with a list, each thing at its path.
func (l *List) check(report func(path, expected, what string)) {
	for i, s := range l.IPs {
		if _, ok := parseNet(s); !ok {
			report(strictyaml.Join("/ips", i), "write it as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32", fmt.Sprintf("%q is neither an address nor a network", s))
		}
	}
	for i, s := range l.Domains {
		if wrong := wrongDomain(s); wrong != "" {
			report(strictyaml.Join("/domains", i), "write it as example.com; all that is below it is meant anyway", wrong)
		}
	}
	for name, texts := range map[string][]string{"/hosts": l.Hosts, "/users": l.Users, "/mailboxes": l.Mailboxes, "/labels": l.Labels} {
		for i, s := range texts {
			if strings.TrimSpace(s) != s || s == "" {
				report(strictyaml.Join(name, i), "write one name", "the entry is empty or has blanks around it")
			}
		}
	}
	for i, k := range l.Kinds {
		l.checkKind(report, strictyaml.Join("/kinds", i), k)
	}
	for k := range l.Exact {
		l.checkKind(report, strictyaml.Join("/exact", string(k)), k)
	}
	for k, patterns := range l.Patterns {
		at := strictyaml.Join("/patterns", string(k))
		l.checkKind(report, at, k)
		for i, p := range patterns {
			if _, err := compilePattern(p); err != nil {
				report(strictyaml.Join(at, i), "write a regular expression in RE2 syntax that does not match the empty text", err.Error())
			}
		}
	}
	if l.empty() {
		report("", "give it ips, domains, hosts, users, mailboxes, exact, patterns or labels", fmt.Sprintf("the list %q protects nothing", l.Name))
	}
}

func (l *List) checkKind(report func(path, expected, what string), at string, k connector.TargetKind) {
	if slices.Contains(connector.TargetKinds, k) {
		return
	}
	words := make([]string, len(connector.TargetKinds))
	for i, known := range connector.TargetKinds {
		words[i] = string(known)
	}
	report(at, strictyaml.DidYouMean(string(k), words), fmt.Sprintf("%q is no kind of target", k))
}

func (l *List) empty() bool {
	return len(l.IPs)+len(l.Domains)+len(l.Hosts)+len(l.Users)+len(l.Mailboxes)+len(l.Exact)+len(l.Patterns)+len(l.Labels) == 0
}

// over tells whether the list no longer holds.
func (l *List) over(at time.Time) bool { return !l.Expires.IsZero() && !at.Before(l.Expires) }

// compilePattern makes a pattern match whole values only, whatever their case.
func compilePattern(p string) (*regexp.Regexp, error) {
	re, err := regexp.Compile("(?is)^(?:" + p + ")$")
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if re.MatchString("") {
		return nil, fmt.Errorf("%q matches everything that is empty", p)
	}
	return re, nil
}

func wrongDomain(s string) string {
	d := plainDomain(s)
	if d == "" || strings.ContainsAny(d, "*/:@ ") || strings.HasPrefix(d, ".") || strings.Contains(d, "..") {
		return fmt.Sprintf("%q is no domain", s)
	}
	return ""
}
