package guard

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/fault"
)

// warningList is a file of the MISP warning lists
// (github.com/MISP/misp-warninglists, schema.json).
type warningList struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"` // cidr, string, hostname, substring, regex
	List       []string `json:"list"`
	Attributes []string `json:"matching_attributes"`
}

// ReadWarningList reads a MISP warning list as a protected list of the given
// name. Names in it are hit only as they stand there (string), or with all that
// is below them (hostname). It returns fault.Invalid for what it cannot take.
func ReadWarningList(name string, data []byte) (List, error) {
	var w warningList
	if err := json.Unmarshal(data, &w); err != nil {
		return List{}, fmt.Errorf("warning list %s: %w: %w", name, err, fault.Invalid)
	}
	l := List{Name: name, Owner: "MISP warning lists", Reason: w.Name, Exact: map[connector.TargetKind][]string{}, Patterns: map[connector.TargetKind][]string{}}
	kinds := w.kinds()
	for _, entry := range w.List {
		if entry = strings.TrimSpace(entry); entry != "" {
			w.add(&l, entry, kinds)
		}
	}
	if l.empty() {
		return List{}, fmt.Errorf("warning list %s: type %q for %s holds nothing that can be protected: %w", name, w.Type, strings.Join(w.Attributes, ", "), fault.Invalid)
	}
	var wrong error
	l.check(func(path, expected, what string) {
		if wrong == nil {
			wrong = fmt.Errorf("warning list %s: %s: %s; %s: %w", name, path, what, expected, fault.Invalid)
		}
	})
	return l, wrong
}

func (w *warningList) add(l *List, entry string, kinds []connector.TargetKind) {
	switch w.Type {
	case "cidr":
		if _, ok := parseNet(entry); ok {
			l.IPs = append(l.IPs, entry)
		}
	case "hostname":
		if wrongDomain(strings.TrimPrefix(entry, ".")) == "" {
			l.Domains = append(l.Domains, strings.TrimPrefix(entry, "."))
		}
	case "string":
		if below, ok := strings.CutPrefix(entry, "."); ok && wrongDomain(below) == "" {
			l.Domains = append(l.Domains, below)
			return
		}
		for _, k := range kinds {
			l.Exact[k] = append(l.Exact[k], entry)
		}
	case "substring":
		if strings.Contains(entry, ".") && wrongDomain(entry) == "" {
			l.Domains = append(l.Domains, entry)
			return
		}
		for _, k := range kinds {
			l.Patterns[k] = append(l.Patterns[k], ".*"+regexp.QuoteMeta(entry)+".*")
		}
	case "regex":
		for _, k := range kinds {
			l.Patterns[k] = append(l.Patterns[k], ".*(?:"+bare(entry)+").*")
		}
	}
}

// bare takes the slashes and flags off a regular expression.
func bare(s string) string {
	if last := strings.LastIndexByte(s, '/'); len(s) > 1 && s[0] == '/' && last > 0 {
		s = s[1:last]
	}
	return strings.NewReplacer(`\@`, `@`, `\-`, `-`).Replace(s)
}

// kinds are the targets that the list's attributes stand for.
func (w *warningList) kinds() []connector.TargetKind {
	var kinds []connector.TargetKind
	for _, a := range w.Attributes {
		var k connector.TargetKind
		switch {
		case a == "domain", a == "hostname":
			k = "domain"
		case a == "url", a == "uri":
			k = "url"
		case a == "ip-src", a == "ip-dst":
			k = "ip"
		case a == "email-src", a == "email-dst":
			k = "email"
		case slices.Contains([]string{"md5", "sha1", "sha256", "sha512"}, a):
			k = "hash"
		default:
			continue
		}
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}
