package alert

import (
	"strings"

	"riposte/internal/expr"
	"riposte/internal/observable"
)

// anyWalk takes the observables from a whole object, by what its fields are
// called and what their values look like.
type anyWalk struct {
	r    *reader
	left int    // bytes of text that may still be looked through
	role string // where the names say nothing
}

// maxAnyDepth is how deep lists and objects are gone into.
const maxAnyDepth = 30

func (w *anyWalk) value(v any, path []string, depth int) {
	if depth > maxAnyDepth || w.left <= 0 || len(w.r.a.Observables) >= MaxObservables {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, name := range expr.SortedKeys(v) {
			w.value(v[name], append(path, strings.ToLower(name)), depth+1)
		}
	case []any:
		for _, e := range v {
			w.value(e, path, depth+1)
		}
	case string:
		if expr.Says(v) {
			w.text(v, path)
		}
	}
}

// text looks at one value: first as the one thing that it is, then as text with
// things in it.
func (w *anyWalk) text(s string, path []string) {
	s = validPrefix(s, w.left)
	w.left -= len(s)
	name := ""
	if len(path) > 0 {
		name = path[len(path)-1]
	}
	role := roleOf(path)
	if role == "" {
		role = w.role
	}
	if w.whole(strings.TrimSpace(s), name, role) {
		return
	}
	if strings.ContainsAny(s, " ./@:") && !isClock(name) {
		w.r.extractFrom(s, role, namesDomain(name) || strings.ContainsAny(s, " \t\n"))
	}
}

// whole adds a value that is one address, link, hash or name as it stands.
func (w *anyWalk) whole(s, name, role string) bool {
	switch {
	case len(s) > 2048:
		return false
	case strings.Contains(s, "://"):
		return !strings.ContainsAny(s, " \n") && w.r.observe(observable.URL, s, linkRole(role, name))
	case looksHex(s):
		return w.hash(s, name)
	case strings.ContainsRune(s, '@') && !strings.ContainsAny(s, " \n/"):
		return w.r.observe(observable.Email, s, mailRole(role, name))
	case strings.Contains(s, ".") || strings.Contains(s, ":"):
		if _, err := observable.Parse(observable.IP, address(s)); err == nil {
			if !versionName(name) {
				w.r.observe(observable.IP, s, role)
			}
			return true
		}
		if o, err := observable.Parse(observable.MAC, s); err == nil {
			return w.r.add(o, role)
		}
	}
	if namesDomain(name) && strings.Contains(s, ".") && !strings.ContainsAny(s, " /\\") {
		return w.r.observe(observable.Domain, strings.TrimSuffix(s, "."), role)
	}
	return false
}

// hash adds a value whose field says that it is a hash, or whose length and
// field leave no other use: a number of 32 hexadecimal digits is more often an
// identifier.
func (w *anyWalk) hash(s, name string) bool {
	named := strings.Contains(name, "md5") || strings.Contains(name, "sha1") || strings.Contains(name, "sha256") || strings.Contains(name, "sha512") ||
		strings.Contains(name, "hash") || strings.Contains(name, "sha")
	identifier := strings.Contains(name, "id") || strings.Contains(name, "guid") || strings.Contains(name, "token") || strings.Contains(name, "imphash")
	if identifier || !named && len(s) != 64 {
		return false
	}
	return w.r.observe(observable.Hash, s, "")
}

func looksHex(s string) bool {
	switch len(s) {
	case 32, 40, 64, 128:
	default:
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// versionName tells fields whose values look like addresses and are none.
func versionName(name string) bool {
	return strings.Contains(name, "version") || strings.HasSuffix(name, "oid")
}

func isClock(name string) bool {
	return strings.Contains(name, "time") || strings.HasSuffix(name, "_at") || strings.Contains(name, "date")
}

func namesDomain(name string) bool {
	for _, word := range []string{"domain", "host", "fqdn", "query", "rrname", "sni", "dns", "server_name", "servername", "site"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// linkRole keeps the links of a product to itself apart from what it saw.
func linkRole(role, name string) string {
	for _, word := range []string{"link", "console", "portal", "permalink", "self", "href", "reference", "html_url", "api_url"} {
		if strings.Contains(name, word) {
			return "reference"
		}
	}
	return role
}

func mailRole(role, name string) string {
	switch {
	case strings.Contains(name, "sender") || strings.HasPrefix(name, "from") || strings.HasSuffix(name, "from"):
		return "sender"
	case strings.Contains(name, "recipient") || name == "to" || strings.HasPrefix(name, "rcpt") || name == "cc":
		return "recipient"
	}
	return role
}

// roleOf says which end of a connection a field speaks of; the nearest name that
// says it counts.
func roleOf(path []string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if role := roleName(path[i]); role != "" {
			return role
		}
	}
	return ""
}

// roleName reads the role from one name, such as src_ip, clientIP, dstaddr or
// target. Names are cut up at dots, hyphens and underscores only: what follows is
// written together in every other way.
func roleName(name string) string {
	for word := range strings.FieldsFuncSeq(name, func(c rune) bool { return c == '.' || c == '_' || c == '-' || c == ' ' }) {
		switch {
		case strings.HasPrefix(word, "src") || sourceWord(word) || strings.HasPrefix(word, "client") || strings.HasPrefix(word, "orig") ||
			strings.HasPrefix(word, "attacker") || strings.HasPrefix(word, "remote") || strings.HasPrefix(word, "caller") || strings.HasPrefix(word, "initiator") ||
			word == "saddr" || word == "sip" || strings.HasPrefix(word, "actor"):
			return "source"
		case strings.HasPrefix(word, "dst") || strings.HasPrefix(word, "dest") || strings.HasPrefix(word, "target") || strings.HasPrefix(word, "server") ||
			strings.HasPrefix(word, "victim") || strings.HasPrefix(word, "resp") && !strings.HasPrefix(word, "respons") || word == "daddr" || word == "dip":
			return "destination"
		}
	}
	return ""
}

// sourceWord tells source, sourceIP and sourceHost from names such as
// sourceProperties, which speak of where a record comes from.
func sourceWord(word string) bool {
	rest, ok := strings.CutPrefix(word, "source")
	if !ok {
		return false
	}
	for _, what := range []string{"", "ip", "addr", "host", "endpoint", "user", "machine", "domain", "mac", "port", "network"} {
		if rest == what || what != "" && strings.HasPrefix(rest, what) {
			return true
		}
	}
	return false
}
