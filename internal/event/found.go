package event

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/internal/expr"
)

// Limits of what is looked at: more of it would not be a fact about one event.
const (
	maxFoundPairs = 2000
	maxFoundDepth = 12
	maxFoundText  = 8 << 10
	maxFoundList  = 50
)

// Found is what can be told of an event without knowing its product: by the
// usual names of keys, and by the words around addresses and names in text. It
// is what a mapping for one product need not say, and what is left for a product
// without one. Only facts that were found are in it:
//
// time (RFC 3339), severity (1 to 5), title, message, action, outcome, category,
// rule, rule_id, id, product, protocol, src_ip, src_port, src_host, dst_ip,
// dst_port, dst_host, ips, host (that the event is about), device (that wrote
// it), user, target_user, users, process, command, file, url, domain, mac, hash,
// sender, recipient, status, method, text (the message, for observables to be
// extracted from).
func Found(e Event, now time.Time) map[string]any {
	f := finder{now: now, out: map[string]any{}, rank: map[string]int{}}
	f.message = f.read(e)
	f.header(e.Syslog)
	f.inText(f.message)
	f.severity(e)
	f.time(e)
	delete(f.out, "timezone")
	f.title(e)
	if f.message != "" {
		f.out["text"] = addressAndPort.ReplaceAllString(f.message, "$1 $2")
	}
	return f.out
}

// addressAndPort is how firewalls write both; to others it looks like a URL.
var addressAndPort = regexp.MustCompile(`\b((?:\d{1,3}\.){3}\d{1,3})[/#](\d{1,5})\b`)

// finder collects the facts of one event.
type finder struct {
	now     time.Time
	out     map[string]any
	rank    map[string]int // how good the name was that a fact was found by
	pairs   int
	message string
	times   []foundTime
	byKey   int // the severity that a key says, 0 for none
	keyRank int
}

// read looks at all pairs of a payload, and gives the text that remains.
func (f *finder) read(e Event) string {
	ext, _ := e.Value["ext"].(map[string]any)
	switch e.Format {
	case CEF, LEEF:
		f.walk("", ext, 0)
		for _, name := range []string{"class_id", "event_id"} {
			if id, ok := e.Value[name].(string); ok {
				f.set("rule_id", id, 0)
			}
		}
		if name, ok := e.Value["name"].(string); ok {
			f.set("rule", name, 1)
		}
		if s, ok := e.Value["severity"].(string); ok {
			f.keySeverity("sev", s, -1)
		}
		f.product(e.Value["vendor"], e.Value["product"])
		return textOf(ext["msg"], ext["message"], ext["reason"])
	case KV, Text, CSV:
		if kv, ok := e.Value["kv"].(map[string]any); ok {
			f.walk("", kv, 0)
		}
		message, _ := e.Value["message"].(string)
		return message
	case JSON, XML: // their mappings know where to look
	}
	f.walk("", e.Value, 0)
	message, _ := f.out["message"].(string)
	return message
}

func (f *finder) product(vendor, product any) {
	v, _ := vendor.(string)
	p, _ := product.(string)
	if both := strings.TrimSpace(v + " " + p); both != "" {
		f.out["product"] = both
	}
}

func textOf(values ...any) string {
	for _, v := range values {
		if s, ok := v.(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// header takes what a syslog header says.
func (f *finder) header(syslog map[string]any) {
	if host, ok := syslog["host"].(string); ok {
		f.out["device"] = host
	} else if host, ok := f.out["host"].(string); ok {
		f.out["device"] = host
	}
	if app, ok := syslog["app"].(string); ok && f.out["process"] == nil && !strings.EqualFold(app, "cef") {
		f.out["process"] = app
	}
	if id, ok := syslog["msgid"].(string); ok && f.out["rule_id"] == nil {
		f.out["rule_id"] = id
	}
	if sd, ok := syslog["sd"].(map[string]any); ok {
		f.walk("", sd, 0)
	}
	if f.out["host"] == nil && f.out["device"] != nil {
		f.out["host"] = f.out["device"]
	}
}

// walk looks at all pairs of an object, in the order of their keys.
func (f *finder) walk(parent string, v any, depth int) {
	if depth > maxFoundDepth || f.pairs > maxFoundPairs {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			switch v[k].(type) {
			case map[string]any, []any:
				f.walk(k, v[k], depth+1)
			default:
				f.pair(parent, k, v[k], depth)
			}
		}
	case []any:
		for _, e := range v {
			switch e.(type) {
			case map[string]any, []any:
				f.walk(parent, e, depth+1)
			default:
				f.pair("", parent, e, depth)
			}
		}
	}
}

// pair looks at one pair: by its key and its parent's together, then by its key.
func (f *finder) pair(parent, key string, v any, depth int) {
	f.pairs++
	s, err := expr.Show(v)
	if s = strings.TrimSpace(s); v == nil || err != nil || saysNothing(s) {
		return
	}
	name := canonical(key)
	if parent != "" {
		if k, ok := keyNames[canonical(parent)+name]; ok {
			f.fact(k, s, 2*depth)
			return
		}
	}
	if k, ok := keyNames[name]; ok {
		f.fact(k, s, 2*depth+1)
	}
}

// canonical is a key in small letters and digits only.
func canonical(key string) string {
	plain := true
	for i := 0; i < len(key); i++ {
		if c := key[i]; !(c >= 'a' && c <= 'z' || digit(c)) {
			plain = false
			break
		}
	}
	if plain {
		return key
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		}
		return -1
	}, key)
}

// saysNothing tells what devices write for a value that they do not have.
func saysNothing(s string) bool {
	switch strings.ToLower(s) {
	case "", "-", "--", "---", "?", "n/a", "na", "none", "null", "nil", "(null)", "unknown", "undefined", "unset", "<empty>", "(no user)", "no user", "not available", "$ip", "0.0.0.0", "::":
		return true
	}
	return strings.HasPrefix(s, "$") && strings.Count(s, " ") == 0 // a template that nobody filled
}

// fact takes one value for a fact, if it is better than what was there.
func (f *finder) fact(k keyName, s string, far int) {
	rank := k.rank*100 + far
	switch k.fact {
	case "src_ip", "dst_ip", "ip":
		f.address(k.fact, s, rank)
	case "severity":
		f.keySeverity(k.key, s, rank)
	case "time":
		f.keyTime(k.key, s, rank)
	case "date":
		f.keyTime("date", s, rank)
	case "user", "target_user":
		s = strings.Trim(s, `<>"' `)
		if len(s) > 0 && len(s) <= 200 && !strings.ContainsAny(s, "\n{") {
			f.list("users", s)
			f.set(k.fact, s, rank)
		}
	case "host", "src_host", "dst_host", "device":
		f.hostOrAddress(k.fact, s, rank)
	case "rule":
		if strings.Trim(s, "0123456789.-") == "" { // its number
			f.set("rule_id", s, rank+2000)
			return
		}
		f.set(k.fact, s, rank)
	default:
		f.set(k.fact, s, rank)
	}
}

// set takes a value by a name that is better than the last one's.
func (f *finder) set(fact, s string, rank int) {
	if old, ok := f.rank[fact]; ok && old <= rank || s == "" {
		return
	}
	f.rank[fact], f.out[fact] = rank, s
}

// list adds to a list of values, each once.
func (f *finder) list(name, s string) {
	have, _ := f.out[name].([]any)
	if len(have) < maxFoundList && !slices.Contains(have, any(s)) {
		f.out[name] = append(have, s)
	}
}

// hostOrAddress takes a host's name, or where it is an address that.
func (f *finder) hostOrAddress(fact, s string, rank int) {
	if ip, _, ok := splitAddress(s); ok {
		f.list("ips", ip)
		switch fact {
		case "src_host":
			f.setAddress("src_ip", s, rank+50)
		case "dst_host":
			f.setAddress("dst_ip", s, rank+50)
		case "device":
			f.set(fact, ip, rank)
		}
		return
	}
	if len(s) <= 255 && !strings.ContainsAny(s, " \t\n{}\\") {
		f.set(fact, s, rank)
	}
}

// address takes an address, and the port that stands with it. A name in its
// place is a host's.
func (f *finder) address(fact, s string, rank int) {
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ';' || r == '|' }) {
		part = strings.TrimSpace(part)
		ip, _, ok := splitAddress(part)
		if !ok {
			continue
		}
		f.list("ips", ip)
		if fact != "ip" {
			f.setAddress(fact, part, rank)
		}
		rank++
	}
	if host := strings.TrimSpace(s); fact != "ip" && f.out[fact] == nil && hostName(host) {
		f.set(strings.Replace(fact, "_ip", "_host", 1), host, rank+50)
	}
}

// hostName tells whether a value looks like a machine's name.
func hostName(s string) bool {
	return len(s) > 1 && len(s) <= 255 && !strings.ContainsAny(s, " \t/\\@:{}[]()\"'=,;") && strings.IndexFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }) >= 0
}

func (f *finder) setAddress(fact, s string, rank int) {
	ip, port, ok := splitAddress(s)
	if old, there := f.rank[fact]; !ok || there && old <= rank {
		return
	}
	f.rank[fact], f.out[fact] = rank, ip
	if port != "" {
		f.set(strings.Replace(fact, "_ip", "_port", 1), port, rank+50)
	}
}

// splitAddress reads an address, which may stand in brackets, with a port or an
// interface.
func splitAddress(s string) (ip, port string, ok bool) {
	s = strings.Trim(s, `"'<>() `)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone("").String(), "", true
	}
	if inner, rest, found := strings.Cut(strings.TrimPrefix(s, "["), "]"); found && strings.HasPrefix(s, "[") {
		if a, err := netip.ParseAddr(inner); err == nil {
			return a.Unmap().WithZone("").String(), portOf(strings.TrimPrefix(rest, ":")), true
		}
	}
	for _, sep := range []byte{':', '/', '#'} {
		at := strings.IndexByte(s, sep)
		if at <= 0 {
			continue
		}
		if a, err := netip.ParseAddr(s[:at]); err == nil {
			return a.Unmap().String(), portOf(s[at+1:]), true
		}
		if a, err := netip.ParseAddr(s[at+1:]); err == nil && sep != '#' { // an interface before it
			return a.Unmap().String(), "", true
		}
	}
	return "", "", false
}

// portOf is the port that a text begins with, "" for none.
func portOf(s string) string {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	if v, err := strconv.Atoi(s[:n]); err != nil || v < 1 || v > 65535 {
		return ""
	}
	return s[:n]
}
