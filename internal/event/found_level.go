package event

import (
	"regexp"
	"strconv"
	"strings"
)

// syslogLevels are the severities of syslog, 0 to 7, as ours. A device that
// calls its state critical is not an attack: only the highest are critical.
var syslogLevels = [8]int{5, 5, 4, 3, 3, 2, 1, 1}

// keySeverity takes how bad an event is from a key: the key says on which scale
// a number is.
func (f *finder) keySeverity(key, s string, rank int) {
	if f.byKey != 0 && f.keyRank <= rank {
		return
	}
	if n := severityOf(key, s); n != 0 {
		f.byKey, f.keyRank = n, rank
	}
}

// severityOf reads a severity, 0 where it says none.
func severityOf(key, s string) int {
	word := strings.ToLower(strings.Trim(s, `"[]() `))
	if n, ok := levels[word]; ok {
		return n
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil || n < 0 {
		for w, level := range levels { // 3-High, Critical(5)
			if len(w) >= 3 && (strings.HasPrefix(word, w+" ") || strings.HasPrefix(word, w+"(") || strings.HasSuffix(word, "-"+w) || strings.HasSuffix(word, " "+w)) {
				return level
			}
		}
		return 0
	}
	switch key {
	case "pri", "level", "loglevel":
		if n <= 7 {
			return syslogLevels[int(n)]
		}
		return 0
	case "priority", "urgency":
		return map[int]int{1: 4, 2: 3, 3: 2, 4: 1, 5: 1}[int(n)]
	}
	return tenths(n)
}

// tenths reads the scale of CEF, 0 to 10, and that of 100.
func tenths(n float64) int {
	if n > 10 && n <= 100 {
		n /= 10
	}
	switch {
	case n > 10:
		return 0
	case n >= 9:
		return 5
	case n >= 7:
		return 4
	case n >= 4:
		return 3
	case n >= 1:
		return 2
	}
	return 1
}

// marks find a level inside a text: %ASA-4-106023, %%01SNMP/5/LOCK, [error],
// ERROR: and the like.
var (
	ciscoMark  = regexp.MustCompile(`%([A-Z][A-Z0-9_]{1,30}(?:-[A-Z][A-Z0-9_]*)*)-(?:SLOT\d+-)?([0-7])-([A-Z0-9_]+)`)
	huaweiMark = regexp.MustCompile(`%%\d\d([A-Za-z0-9_-]+)/([0-7])/([A-Z0-9_]+)`)
	f5Mark     = regexp.MustCompile(`^(0[0-9a-f]{7}):([0-7]): `)
	codeMark   = regexp.MustCompile(`\b(?:AH\d{5}|MSG_ID_[A-Z_]+|CVE-\d{4}-\d{4,7})\b`)
	wordMark   = regexp.MustCompile(`(?:^|[\s\[(<|,:.])(?i:(emerg|emergency|alert|fatal|crit|critical|error|err|warning|warn|notice|information|info|debug|trace|severe)(?:[\])>|]|:\s| - |\s+-- |\(\d+\):))`)
	upperMark  = regexp.MustCompile(`(?:^|\s)(EMERGENCY|ALERT|FATAL|CRITICAL|CRIT|ERROR|WARNING|WARN|NOTICE|INFO|DEBUG|TRACE)(?:\s|$)`)
	auditMark  = regexp.MustCompile(`\b(AUDIT_FAILURE|AUDIT_SUCCESS|INFORMATION|WARNING|ERROR)\((\d+)\)`)
)

// Words that tell how bad an event is where nothing else does. What was only
// looked for, or is a product's name, is rare in one line of a log.
var (
	attackWords = regexp.MustCompile(`(?i)\b(attacks?|exploit\w*|malware|malicious|virus|trojan|ransom\w*|rootkit|backdoor|botnet|intrusion|brute.?force|(?:sql|code|command)[ -]?injection|sqli|xss|cross.?site|flood|spoof(?:ed|ing)?|shellcode|phish\w*|worm|overflow|break-?in|c2|command and control|possible break|reconnaissance|port.?scan|ddos|dos)\b`)
	trouble     = regexp.MustCompile(`(?i)\b(fail(?:ed|ure|s)?|denied|deny|reject(?:ed)?|block(?:ed)?|drop(?:ped)?|refused|unauthori[sz]ed|forbidden|invalid|illegal|violation|locked out|lockout|disconnected|mismatch|not allowed|incorrect|bad)\b`)
	// webAttack are the marks of an attack in a web request.
	webAttack = regexp.MustCompile(`(?i)(\.\./|%2e%2e|union(?:\s|\+|%20)+select|/etc/passwd|<script|%3cscript|cmd\.exe|xp_cmdshell|\bselect(?:\s|\+|%20).+from|sleep\(|\$\{jndi:|/\.env\b|wp-login|eval\(|base64_decode|declare(?:\s|%20|\+)@)`)
)

// severity decides how bad an event is: what a key of its own says, else the
// worse of its header, the level in its text, and its words.
func (f *finder) severity(e Event) {
	text := f.message[:min(len(f.message), maxFoundText)]
	n := f.byKey
	if n == 0 {
		n = f.textLevel(text)
		if level, ok := e.Syslog["severity"].(int); ok && n == 0 {
			n = syslogLevels[level&7]
		} else if word, ok := e.Syslog["level"].(string); ok && n == 0 {
			n = levels[word]
		}
		switch {
		case attackWords.MatchString(text) || webAttack.MatchString(text):
			n = max(n, 4)
		case trouble.MatchString(text):
			n = max(n, 2)
		}
	}
	if n > 0 {
		f.out["severity"] = n
	}
}

// textLevel reads a level in a text, 0 for none, and the name of the message
// that stands with it.
func (f *finder) textLevel(text string) int {
	for _, mark := range []*regexp.Regexp{ciscoMark, huaweiMark} {
		if m := mark.FindStringSubmatch(text); m != nil {
			f.set("rule_id", m[3], 0)
			f.set("category", m[1], 0)
			return syslogLevels[m[2][0]-'0']
		}
	}
	if m := f5Mark.FindStringSubmatch(text); m != nil {
		f.set("rule_id", m[1], 0)
		if m[2] != "0" {
			return syslogLevels[m[2][0]-'0']
		}
		return 0
	}
	if m := auditMark.FindStringSubmatch(text); m != nil {
		f.set("rule_id", m[2], 0)
		return map[string]int{"AUDIT_FAILURE": 3, "AUDIT_SUCCESS": 1, "INFORMATION": 1, "WARNING": 3, "ERROR": 3}[m[1]]
	}
	if code := codeMark.FindString(text); code != "" {
		f.set("rule_id", code, 1000)
	}
	head := text[:min(len(text), 200)]
	if m := wordMark.FindStringSubmatch(head); m != nil {
		return levels[strings.ToLower(m[1])]
	}
	if m := upperMark.FindStringSubmatch(head); m != nil {
		return levels[strings.ToLower(m[1])]
	}
	return 0
}
