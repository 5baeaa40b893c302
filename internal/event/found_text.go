package event

import (
	"net/netip"
	"regexp"
	"strings"
)

// address finds what may be an address in a text, with the port or interface
// that stands with it.
var (
	addressIn = regexp.MustCompile(`(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}`)
	portAfter = regexp.MustCompile(`^\]?(?:[/:#(]| port |, port )(\d{1,5})\b`)
	accessLog = regexp.MustCompile(`(?:^|\s)(\S+) \S+ (\S+)(?: -)? \[([^\]]{15,40})\] "([A-Z]{3,10}) (\S+)[^"]*"? (\d{3}) `)
)

// Words that stand before an address that something came from, and one that it
// went to.
var (
	fromWords = regexp.MustCompile(`(?i)(?:\bfrom|\bsrc|\bsource|\bclient|\brhost|\bby|\bpeer|\bhost|\battacker|\bremote|\brip|\buser|\bfor|\bfaddr|\bgaddr|connection with|\bip)(?:[\s_-]*(?:ip|addr(?:ess)?|host))?[\s:=('"\[<,]*(?:[\w.-]{1,40}[:/])?$`)
	toWords   = regexp.MustCompile(`(?i)(?:\bto|\bdst|\bdest(?:ination)?|\bserver|\btarget|\btowards|\bladdr|->|=>|\blip|\bon|\bat|\binto)(?:[\s_-]*(?:ip|addr(?:ess)?|host))?[\s:=('"\[<,]*(?:[\w.-]{1,40}[:/])?$`)
	endsIn    = regexp.MustCompile(`(?i)(?:->|=>|\bto)\s*\[?\s*(?:[\w.-]{1,40}[:/])?$`)
)

// inText finds addresses, people, actions and requests in the text of an event.
func (f *finder) inText(text string) {
	text = text[:min(len(text), maxFoundText)]
	if text == "" {
		return
	}
	f.request(text)
	f.addresses(text)
	if f.out["user"] == nil {
		f.people(text)
	}
	if f.out["action"] == nil {
		f.deed(text)
	}
}

// request reads a line of a web server's access log.
func (f *finder) request(text string) {
	m := accessLog.FindStringSubmatch(text)
	if m == nil {
		return
	}
	if ip, _, ok := splitAddress(m[1]); ok {
		f.list("ips", ip)
		f.set("src_ip", ip, 0)
	}
	if !saysNothing(m[2]) {
		f.list("users", m[2])
		f.set("user", m[2], 0)
	}
	f.keyTime("rt", m[3], 0)
	f.set("method", m[4], 0)
	f.set("url", m[5], 0)
	f.set("status", m[6], 0)
	f.set("title", m[4]+" "+m[5]+" "+m[6], 0)
}

// addresses finds addresses, and by the words before them which way it went. The
// first without such a word is where it came from.
func (f *finder) addresses(text string) {
	for _, at := range addressIn.FindAllStringIndex(text, maxFoundList) {
		if at[0] > 0 && partOfWord(text[at[0]-1]) || at[1] < len(text) && (partOfWord(text[at[1]]) || text[at[1]] == '.' && at[1]+1 < len(text) && digit(text[at[1]+1])) {
			continue
		}
		if strings.IndexByte(text[at[0]:at[1]], '.') < 0 && (at[1] < len(text) && text[at[1]] == ':' || at[0] > 0 && text[at[0]-1] == ':') {
			continue // a fingerprint
		}
		a, err := netip.ParseAddr(text[at[0]:at[1]])
		if err != nil || a.IsUnspecified() {
			continue
		}
		ip := a.Unmap().String()
		f.list("ips", ip)
		before := text[max(0, at[0]-60):at[0]]
		port := ""
		if m := portAfter.FindStringSubmatch(text[at[1]:]); m != nil {
			port = portOf(m[1])
		}
		fact := ""
		switch {
		case endsIn.MatchString(before):
			fact = "dst_ip"
		case fromWords.MatchString(before):
			fact = "src_ip"
		case toWords.MatchString(before):
			fact = "dst_ip"
		case f.out["src_ip"] == nil:
			fact = "src_ip"
		case f.out["dst_ip"] == nil && f.out["src_ip"] != ip:
			fact = "dst_ip"
		}
		if fact != "" && f.out[fact] == nil {
			f.out[fact], f.rank[fact] = ip, 5000
			if port != "" {
				f.set(strings.Replace(fact, "_ip", "_port", 1), port, 5000)
			}
		}
	}
}

func partOfWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c) || c == '_' || c == '-' || c == '.' || c == '%'
}

// userWords find a name after the words that usually stand before one, the
// surest first.
var userWords = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:invalid|illegal|nonexistent|unknown|authenticating|remote) user ['"]?([^\s'",;:()\[\]]+)`),
	regexp.MustCompile(`(?i)\busers?\s*[:=]?\s*['"<(]([^'",;<>()]{1,80})['">)]`),
	regexp.MustCompile(`(?i)\b(?:password|publickey|pubkey|keyboard-interactive/pam|gssapi-with-mic|opened|closed|exceeded|error|failure|attempt|succeeded|command|challenge|denied|authentication) for (?:user )?['"]?([^\s'",;:()\[\]]+)`),
	regexp.MustCompile(`(?i)\b(?:user\s?name|login name|account name|uname|user id)\s*[:=]\s*['"<]?([^\s'",;<>()\[\]]+)`),
	regexp.MustCompile(`(?i)\buser\s*[:=]\s*([^\s'",;<>()\[\]]+)`),
	regexp.MustCompile(`(?i)\b(?:by|for|the|of|remote) user ([^\s'",;:()\[\]]+)`),
	regexp.MustCompile(`(?i)\b(?:administrator|admin|account)\s+['"]?([a-z0-9][\w.@\\-]*)['"]?\s+(?:logged|login|has|was|failed|from)`),
	regexp.MustCompile(`(?i)\buser ['"]?([^\s'",;:()\[\]]+)['"]? (?:logged|login|has|was|failed|from|locked|authentication|is|read|sent|not|added|deleted|created|on)\b`),
	regexp.MustCompile(`(?i)\b(?:login|logon|log ?in|sign-?in)[^:]{0,20}:\s*([a-z][\w.@\\-]{1,60})\s+(?:-|from|at)\s`),
	regexp.MustCompile(`^([\w.-]{1,40}) ran command as `),
	regexp.MustCompile(`\bcommand for ([\w.-]{1,40}):`),
	regexp.MustCompile(`^\s*([\w.$-]{1,40}) : (?:TTY|\d+ incorrect|command not|user NOT)`),
	regexp.MustCompile(`^(?:\+ |- |FAILED SU \(to \S+\) |failed: \S+ changing from )?([\w.-]{1,40}) to (?:root|[\w-]{1,40}) on `),
	regexp.MustCompile(`changing from ([\w.-]{1,40}) to `),
	regexp.MustCompile(`(?:sql|pam|ldap|passwd-file)\(([^,()\s]{1,80}),`),
	regexp.MustCompile(`USER ([\w.@-]{1,60}) \(`),
}

// noUser are words that follow "user" in sentences.
var noUser = map[string]bool{
	"is": true, "was": true, "from": true, "for": true, "not": true, "logged": true, "name": true, "authentication": true, "account": true, "to": true,
	"has": true, "id": true, "the": true, "unknown": true, "login": true, "agent": true, "agents": true, "in": true, "on": true, "and": true, "or": true, "with": true, "of": true,
	"password": true, "by": true, "a": true, "an": true, "no": true, "priv": true, "group": true, "groups": true, "session": true, "interface": true, "input": true, "data": true, "file": true,
	"activity": true, "nonexistent": true, "invalid": true, "illegal": true, "ssh2": true, "management": true, "service": true, "ip": true, "enabled": true, "disabled": true, "number": true,
}

// people finds who an event is about.
func (f *finder) people(text string) {
	for _, words := range userWords {
		m := words.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		name := strings.Trim(m[1], `.'"<>,`)
		if name == "" || noUser[strings.ToLower(name)] || saysNothing(name) || len(name) > 100 {
			continue
		}
		if _, _, isIP := splitAddress(name); isIP {
			continue
		}
		f.list("users", name)
		f.set("user", name, 5000)
		return
	}
}

// deeds are what devices do, by the word that they use.
var deeds = regexp.MustCompile(`(?i)\b(denied|deny|blocked|block|dropped|drop|rejected|reject|refused|allowed|permitted|accepted|accept|quarantined|cleaned|deleted|detected|failed|failure|succeeded|success|successful|permit|built|teardown|shunned|locked)\b`)

var deedNames = map[string]string{
	"deny": "denied", "block": "blocked", "drop": "dropped", "reject": "rejected", "permit": "allowed", "permitted": "allowed", "accept": "accepted",
	"failure": "failed", "success": "succeeded", "successful": "succeeded",
}

func (f *finder) deed(text string) {
	word := strings.ToLower(deeds.FindString(text))
	if name, ok := deedNames[word]; ok {
		word = name
	}
	if word != "" {
		f.set("action", word, 5000)
	}
}

// beforeMessage are the marks that a title needs not: numbers, levels, names of
// parts in brackets.
var beforeMessage = regexp.MustCompile(`^(?:\s*(?:\[[^\]]{0,60}\]|[:>|,-]|(?:emerg|alert|fatal|crit|critical|error|err|warning|warn|notice|info|debug|trace)\s*[:|-])\s*)+`)

// title makes a line for people: the rule's name, else what the message says,
// else what kind of event it is.
func (f *finder) title(e Event) {
	message := strings.TrimSpace(f.message)
	if said, ok := f.out["message"].(string); ok && e.Format != Text {
		message = said
	}
	if message != "" {
		f.out["message"] = message
	}
	if f.out["title"] != nil {
		return
	}
	rule, _ := f.out["rule"].(string)
	said, _ := f.out["message"].(string)
	title := rule
	switch {
	case e.Format == Text || e.Format == CSV:
		title = firstLine(message)
	case title != "":
	case e.Format != KV:
		title = firstLine(said)
	case f.keySaid("message"):
		title = said
	default:
		title = f.kind()
	}
	for _, other := range []string{firstLine(f.message), firstLine(e.Text)} {
		if title = strings.TrimSpace(title); title == "" {
			title = other
		}
	}
	f.out["title"] = title
}

// keySaid tells whether a key said a fact.
func (f *finder) keySaid(fact string) bool {
	_, ok := f.rank[fact]
	return ok
}

// kind is what kind of event it is, of the parts that say so.
func (f *finder) kind() string {
	var parts []string
	names := []string{"product", "category", "action", "outcome"}
	if f.out["method"] != nil {
		names = []string{"method", "url", "outcome", "status"}
	}
	for _, name := range names {
		if s, ok := f.out[name].(string); ok && len(s) < 60 {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// firstLine is a text's first line without what stands before the message.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if loc := beforeMessage.FindStringIndex(s); loc != nil && loc[1] < len(s) {
		s = s[loc[1]:]
	}
	return strings.TrimSpace(s)
}
