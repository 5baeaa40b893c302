package event

import (
	"strconv"
	"strings"
	"time"
)

// header is what stands before a payload. There is no telling by whose rule a
// device wrote it, so one reader takes the usual forms: RFC 5424 and 3164, with
// parts missing, with times of other kinds, and behind a relay's own header.
type header struct {
	any               bool
	pri               int // -1: none
	time              time.Time
	host, app, pid    string
	msgid, relay      string
	level, beforeText string
	sd                map[string]any
}

// The names of severities and facilities, by number.
var (
	severityNames = []string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}
	facilityNames = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert", "clock",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
)

// object is a header as mappings see it, nil for none.
func (h *header) object() map[string]any {
	o := map[string]any{}
	if h.pri >= 0 {
		o["severity"], o["facility"] = h.pri%8, facilityNames[h.pri/8]
		o["level"] = severityNames[h.pri%8]
	}
	if h.level != "" {
		o["level"] = h.level
	}
	if !h.time.IsZero() {
		o["time"] = h.time.UTC().Format(time.RFC3339Nano)
	}
	for name, v := range map[string]string{"host": h.host, "app": h.app, "pid": h.pid, "msgid": h.msgid, "relay": h.relay, "prefix": h.beforeText} {
		if v != "" {
			o[name] = v
		}
	}
	if len(h.sd) > 0 {
		o["sd"] = h.sd
	}
	if len(o) == 0 {
		return nil
	}
	return o
}

// before takes what stood between the header and a payload: a product's name.
func (h *header) before(text string) {
	text = strings.TrimRight(strings.TrimSpace(text), ": -")
	if text == "" {
		return
	}
	if h.app == "" && !strings.ContainsAny(text, " \t") {
		h.app, h.pid = tag(text)
		return
	}
	h.beforeText = text
}

// readHeader reads the headers before a payload: up to three, for relays put
// theirs before another's.
func readHeader(s string, now time.Time) (h header, payload string) {
	h.pri = -1
	for range 3 {
		rest, ok := h.read(s, now)
		s = rest
		if !ok {
			break
		}
	}
	return h, s
}

// read reads one header; ok is false where there is none, and then nothing has
// changed.
func (h *header) read(s string, now time.Time) (rest string, ok bool) {
	s = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(s, " \t\r\n"), byteOrderMark), " ")
	s = dropCount(s)
	pri, s, withPRI := readPRI(s)
	if withPRI {
		h.pri = pri
	}
	s = strings.TrimLeft(s, " ")
	if h.read5424(s, now, &rest) {
		return rest, true
	}
	body := strings.TrimPrefix(strings.TrimLeft(strings.TrimPrefix(s, ":"), " "), "*")
	t, form, rest := readStamp(dropSequence(body), now)
	if form == noStamp {
		if !withPRI {
			return dropUptime(body), false
		}
		return h.readTag(strings.TrimLeft(s, " ")), true
	}
	if !t.IsZero() {
		h.time = t
	}
	if form == bareStamp && !withPRI {
		if !hostAndTag(rest) {
			return strings.TrimLeft(rest, " \t,"), true
		}
	}
	return h.readHost(rest, form), true
}

// dropCount drops the length that stands before a message on a stream (RFC 6587).
func dropCount(s string) string {
	n := 0
	for n < len(s) && n < 8 && digit(s[n]) {
		n++
	}
	if n > 0 && n+1 < len(s) && s[n] == ' ' && s[n+1] == '<' && n+2 < len(s) && digit(s[n+2]) {
		return s[n+1:]
	}
	return s
}

// dropSequence drops the number that Cisco's devices put before the time.
func dropSequence(s string) string {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	if n > 0 && n < 12 && strings.HasPrefix(s[n:], ": ") {
		return strings.TrimLeft(s[n+2:], " *.")
	}
	return s
}

// dropUptime drops the time since a start that Cisco's devices write without a
// clock: 00:00:46: %LINK.
func dropUptime(s string) string {
	at := strings.Index(s[:min(len(s), 20)], ": %")
	if at > 0 && strings.Trim(s[:at], "0123456789:dhwy.") == "" {
		return s[at+2:]
	}
	return s
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// readPRI reads <134>.
func readPRI(s string) (pri int, rest string, ok bool) {
	if len(s) < 3 || s[0] != '<' {
		return -1, s, false
	}
	end := strings.IndexByte(s[:min(len(s), 5)], '>')
	if end < 2 {
		return -1, s, false
	}
	n, err := strconv.Atoi(s[1:end])
	if err != nil || n > 191 || n < 0 {
		return -1, s, false
	}
	return n, s[end+1:], true
}

// read5424 reads a header of RFC 5424 after its PRI; the version may be missing,
// and the time may be another device's idea of one.
func (h *header) read5424(s string, now time.Time, rest *string) bool {
	body, versioned := strings.CutPrefix(s, "1 ")
	t, form, after := readStamp(body, now)
	if form == noStamp {
		nil1, found := strings.CutPrefix(body, "- ")
		if !found {
			return false
		}
		after = nil1
	}
	if form == bsdStamp && !versioned || form == bareStamp && !versioned {
		return false
	}
	parts := make([]string, 0, 4)
	left := strings.TrimLeft(after, " ")
	for range 4 { // host, app, procid, msgid
		word, more, ok := strings.Cut(left, " ")
		if !ok || word == "" {
			break
		}
		parts, left = append(parts, word), strings.TrimLeft(more, " ")
	}
	strict := len(parts) == 4 && strings.Trim(parts[1], ":") == parts[1] && (left == "-" || strings.HasPrefix(left, "- ") || strings.HasPrefix(left, "["))
	if strict && !versioned && parts[2] != "-" && parts[3] != "-" && !strings.HasPrefix(left, "-") {
		strict = strings.HasPrefix(left, "[") && strings.Contains(left, `="`)
	}
	if !strict {
		if !versioned {
			return false
		}
		h.keepTime(t)
		*rest = h.readHost(after, isoStamp)
		return true
	}
	h.keepTime(t)
	h.setHost(notNil(parts[0]))
	h.app, h.pid, h.msgid = notNil(parts[1]), notNil(parts[2]), notNil(parts[3])
	h.any = true
	*rest = h.structured(left)
	return true
}

func (h *header) keepTime(t time.Time) {
	if !t.IsZero() {
		h.time = t
	}
}

func notNil(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// setHost takes a host; that of a header before it was a relay's.
func (h *header) setHost(host string) {
	if host == "" || host == h.host {
		return
	}
	if h.host != "" {
		h.relay = h.host
	}
	h.host = host
}

// structured reads structured data, [id name="value" …], as sd: by id, and the
// first value of each name also by the name itself. What is none of it is left to
// the payload.
func (h *header) structured(s string) string {
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		return strings.TrimLeft(rest, " ")
	}
	sd := map[string]any{}
	for strings.HasPrefix(s, "[") {
		id, params, rest, ok := element5424(s)
		if !ok {
			break
		}
		sd[id] = params
		s = rest
		if trimmed := strings.TrimLeft(s, " "); strings.HasPrefix(trimmed, "[") {
			s = trimmed
		}
	}
	if len(sd) > 0 {
		h.sd = sd
	}
	return strings.TrimLeft(s, " ")
}

// element5424 reads one element of structured data.
func element5424(s string) (id string, params map[string]any, rest string, ok bool) {
	end := strings.IndexAny(s, " ]")
	if end < 2 || strings.ContainsAny(s[1:end], `="`) {
		return "", nil, s, false
	}
	id, params, s = s[1:end], map[string]any{}, s[end:]
	for {
		s = strings.TrimLeft(s, " ")
		if strings.HasPrefix(s, "]") {
			return id, params, s[1:], true
		}
		name, after, found := strings.Cut(s, `="`)
		if !found || name == "" || strings.ContainsAny(name, ` ]"`) {
			return "", nil, s, false
		}
		value, after, found := param(after)
		if !found {
			return "", nil, s, false
		}
		params[name], s = value, after
	}
}

// param reads a value up to its quote; \", \\ and \] are escapes.
func param(s string) (value, rest string, ok bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			value = s[:i]
			if strings.Contains(value, `\`) {
				value = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, "]").Replace(value)
			}
			return value, s[i+1:], true
		}
	}
	return "", s, false
}

// readHost reads the host and the tag that stand after a time.
func (h *header) readHost(s string, form stampForm) string {
	s = strings.TrimLeft(s, " ")
	for _, zone := range []string{"UTC", "GMT", "CET", "CEST", "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT"} {
		if rest, ok := strings.CutPrefix(s, zone); ok && (strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, " ")) {
			s = strings.TrimLeft(rest, " ")
			break
		}
	}
	if rest, ok := strings.CutPrefix(s, ":"); ok {
		return strings.TrimLeft(rest, " ")
	}
	word, rest, _ := strings.Cut(s, " ")
	if word == "" || !hostLike(word, rest, form) {
		return h.readTag(s)
	}
	h.setHost(strings.TrimSuffix(word, ":"))
	rest = strings.TrimLeft(rest, " ")
	if after, ok := strings.CutPrefix(rest, ": "); ok { // host : message
		return strings.TrimLeft(after, " ")
	}
	if level, after, ok := strings.Cut(rest, " "); ok && severityWord(level) && strings.Trim(level, "[]:") == level {
		if next, _, _ := strings.Cut(after, " "); strings.HasSuffix(next, "]:") {
			h.level, rest = strings.ToLower(level), after
		}
	}
	return h.readTag(rest)
}

// hostLike tells whether a word after a time is a host's name. What ends in a
// colon is a program, unless it is an address or a program follows; so is what
// has a number in brackets.
func hostLike(word, rest string, form stampForm) bool {
	if strings.ContainsAny(word, `=[]{}"|<>%(`) || strings.HasPrefix(word, "#") {
		return false
	}
	if bare, ok := strings.CutSuffix(word, ":"); ok {
		if addressLike(bare) {
			return true
		}
		next, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
		return strings.HasSuffix(next, "]:") && strings.Contains(next, "[") && !severityWord(bare)
	}
	if strings.HasSuffix(word, ",") || strings.Count(word, ",") > 3 || strings.ContainsAny(word, ";'") {
		return false
	}
	if severityWord(word) || strings.Trim(word, "0123456789") == "" {
		return false
	}
	return form != bareStamp || hostAndTag(word+" "+rest)
}

func addressLike(s string) bool {
	return strings.Count(s, ".") == 3 && strings.Trim(s, "0123456789.") == "" || strings.Count(s, ":") > 1
}

// hostAndTag tells whether a text goes on as syslog does: host program[pid]: or
// host program:. A sentence after a time does not.
func hostAndTag(s string) bool {
	host, rest, ok := strings.Cut(strings.TrimLeft(s, " "), " ")
	if !ok || host == "" || strings.ContainsAny(host, `=[]:{}"',|<>`) {
		return false
	}
	next, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	name, _ := strings.CutSuffix(next, ":")
	program, pid, bracket := strings.Cut(name, "[")
	if !bracket {
		return false
	}
	return program != "" && strings.HasSuffix(pid, "]") && strings.Trim(program, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./()") == ""
}

// severityWord tells whether a word is a level, not a name.
func severityWord(s string) bool {
	_, ok := levels[strings.ToLower(strings.Trim(s, "[]:"))]
	return ok
}

// readTag reads program[pid]: before a message; without it nothing is taken away.
func (h *header) readTag(s string) string {
	end := 0
	for end < len(s) && end < 100 && !blankByte(s[end]) && s[end] != '[' && s[end] != ':' {
		if strings.IndexByte(`={}"|<>%,;`, s[end]) >= 0 {
			return s
		}
		end++
	}
	if end == 0 || end >= len(s) {
		return s
	}
	name, rest := s[:end], s[end:]
	if rest[0] == ':' && (severityWord(name) || noTag[strings.ToLower(name)]) {
		return s
	}
	switch {
	case rest[0] == '[':
		pid, after, ok := strings.Cut(rest[1:], "]")
		if !ok || len(pid) > 40 || strings.ContainsAny(pid, " =\"") {
			return s
		}
		h.app, h.pid = name, pid
		return strings.TrimLeft(strings.TrimPrefix(after, ":"), " ")
	case rest[0] == ':' && (len(rest) == 1 || blankByte(rest[1])):
		h.app, h.pid = name, ""
		return strings.TrimLeft(rest[1:], " ")
	}
	return s
}

// noTag are words before a colon that are no program: marks of formats, and keys.
var noTag = map[string]bool{
	"cef": true, "leef": true, "severity": true, "category": true, "message": true, "msg": true, "event": true, "type": true,
	"user": true, "username": true, "date": true, "time": true, "level": true, "action": true, "host": true, "source": true, "alert": true,
	"warning": true, "error": true,
}

// tag splits program[pid].
func tag(s string) (app, pid string) {
	if name, rest, ok := strings.Cut(s, "["); ok && name != "" && strings.HasSuffix(rest, "]") {
		return name, strings.TrimSuffix(rest, "]")
	}
	return s, ""
}
