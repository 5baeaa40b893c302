package observable

import "strings"

// Refang takes the disguise from a text: hxxp:// becomes http://, and the dots,
// at-signs, colons and slashes that people put into brackets or write as words
// become plain again, also where a bracket was lost or blanks were added:
// evil[.]example, evil(dot)example, ann [at] evil [.] example, 10\.0\.0\.1.
func Refang(text string) string {
	if !maybeDefanged(text) {
		return text
	}
	b := make([]byte, 0, len(text))
	lost := 0 // brackets that were opened for a sign, and not closed
	for i := 0; i < len(text); {
		if sep, end, ok := disguise(text, i, leftOf(b), true); ok {
			b = append(b, sep...)
			group := text[i:end]
			lost += strings.Count(group, "[") - strings.Count(group, "]")
			i = end
			continue
		}
		if c := text[i]; c != ']' || lost <= 0 {
			b = append(b, c)
			if c == ' ' || c == '[' {
				lost = 0
			}
		} else {
			lost--
		}
		i++
	}
	return fixSchemes(string(b))
}

// maybeDefanged is a quick look for anything that Refang acts on.
func maybeDefanged(s string) bool {
	return strings.ContainsAny(s, `[({\)]}@`) || strings.Contains(s, "://") || strings.Contains(s, "DOT") || strings.Contains(s, "dot")
}

// fixSchemes puts right the schemes in front of ://.
func fixSchemes(s string) string {
	var b strings.Builder
	done := 0
	for from := 0; ; {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			break
		}
		i += from
		from = i + 3
		begin := max(schemeStart(s, i), done)
		word := s[begin:i]
		real := realScheme(word)
		if real == "" || strings.EqualFold(real, word) {
			continue
		}
		b.WriteString(s[done:begin])
		b.WriteString(real + "://")
		// With a disguised scheme a blank behind it is part of the disguise.
		for from < len(s) && s[from] == ' ' {
			from++
		}
		done = from
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// schemeStart gives where the word in front of i begins.
func schemeStart(s string, i int) int {
	begin := i
	for begin > 0 && i-begin < 12 && schemeByte(s[begin-1]) {
		begin--
	}
	return begin
}

func schemeByte(c byte) bool {
	return isAlnum(c) || c == '+' || c == '-' || c == '.' || c == '_' || c == '*'
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// schemes are those of URLs that lead to another machine.
var schemes = map[string]bool{
	"http": true, "https": true, "ftp": true, "ftps": true, "sftp": true, "ssh": true, "tcp": true, "udp": true, "ws": true, "wss": true,
	"ldap": true, "ldaps": true, "smb": true, "rtsp": true, "telnet": true, "git": true, "rmi": true, "gopher": true, "tftp": true,
	"irc": true, "ircs": true, "socks": true, "socks4": true, "socks5": true, "rdp": true, "vnc": true, "tls": true, "ssl": true,
	"imap": true, "imaps": true, "smtp": true, "smtps": true, "pop3": true, "stratum+tcp": true, "stratum+ssl": true, "hxxp": false,
}

// realScheme gives the scheme that a word is, or stands for in disguise; empty
// for any other word.
func realScheme(word string) string {
	w := strings.ToLower(word)
	if schemes[w] {
		return w
	}
	tail := strings.TrimSuffix(w, "s")
	secure := w[len(tail):]
	switch {
	case len(tail) >= 3 && len(tail) <= 6 && tail[0] == 'h' && tail[len(tail)-1] == 'p' && masked(tail[1:len(tail)-1]):
		return "http" + secure
	case len(tail) == 3 && tail[0] == 'f' && tail[2] == 'p' && masked(tail[1:2]):
		return "ftp" + secure
	case w == "ftx":
		return "ftp"
	}
	return ""
}

// masked tells whether letters only hide the t of http.
func masked(s string) bool { return s != "" && strings.Trim(s, "tx_z0*-") == "" }

// left is what stands in front of a sign: the last byte, and the last that is no
// blank.
type left struct{ last, solid byte }

func leftOf[T string | []byte](before T) left {
	var l left
	if n := len(before); n > 0 {
		l.last = before[n-1]
	}
	for i := len(before) - 1; i >= 0 && l.solid == 0; i-- {
		if before[i] != ' ' {
			l.solid = before[i]
		}
	}
	return l
}

// disguise reads a sign in disguise at i: what it stands for and where it ends.
// With blanks the sign may have some around it.
func disguise(s string, i int, front left, blanks bool) (sep string, end int, ok bool) {
	switch s[i] {
	case '[', '(', '{', '\\', '.', 'd', 'D', 'a', 'A', '@', ':', '/':
	case ' ':
		if !blanks {
			return "", 0, false
		}
	default:
		return "", 0, false
	}
	g := group{s: s, start: i, at: i, blanks: blanks}
	if !g.read() {
		return "", 0, false
	}
	return g.judge(front)
}

// group is a sign with what stands around it.
type group struct {
	s          string
	start      int
	at         int
	blanks     bool
	sep        string
	word       bool // written as a word: dot, at
	upper      bool
	opens      int
	closes     int
	spaceLeft  bool
	spaceRight bool
}

func (g *group) skipBlanks() bool {
	start := g.at
	for g.blanks && g.at < len(g.s) && g.at-start < 8 && g.s[g.at] == ' ' {
		g.at++
	}
	return g.at > start
}

// read goes past opening brackets, the sign, and closing brackets.
func (g *group) read() bool {
	for n := 0; g.at < len(g.s) && n < 32; n++ {
		g.spaceLeft = g.skipBlanks() || g.spaceLeft
		if g.at >= len(g.s) || strings.IndexByte(`[({\`, g.s[g.at]) < 0 && (g.opens == 0 || strings.IndexByte(`])}`, g.s[g.at]) < 0) {
			break
		}
		if g.opens == 0 {
			g.start = g.at
		}
		g.at++
		g.opens++
	}
	if !g.sign() {
		return false
	}
	for n := 0; g.at < len(g.s) && n < 32; n++ {
		mark := g.at
		space := g.skipBlanks()
		if g.at >= len(g.s) || strings.IndexByte("])}", g.s[g.at]) < 0 {
			// Blanks count as part of the sign only between brackets or behind them.
			if space && (g.opens > 0 || g.closes > 0 || g.word || g.sep == "@") {
				g.spaceRight = true
			} else {
				g.at = mark
			}
			break
		}
		g.at++
		g.closes++
	}
	return true
}

// sign reads the sign itself.
func (g *group) sign() bool {
	rest := g.s[g.at:]
	take := func(n int, sep string) bool {
		g.sep = sep
		g.at += n
		return true
	}
	switch {
	case rest == "":
		return false
	case rest[0] == '.':
		return take(1, ".")
	case rest[0] == '@':
		return take(1, "@")
	case strings.HasPrefix(rest, "://"):
		return take(3, "://")
	case rest[0] == ':':
		return take(1, ":")
	case strings.HasPrefix(rest, "//"):
		return take(2, "//")
	case rest[0] == '/':
		return take(1, "/")
	case len(rest) >= 3 && strings.EqualFold(rest[:3], "dot"):
		g.word, g.upper = true, rest[:3] == "DOT"
		return take(3, ".")
	case len(rest) >= 2 && strings.EqualFold(rest[:2], "at"):
		g.word, g.upper = true, rest[:2] == "AT"
		return take(2, "@")
	}
	return false
}

// judge decides whether what was read is a disguised sign where it stands.
func (g *group) judge(front left) (string, int, bool) {
	bracketed := g.opens > 0 && g.closes > 0
	if g.at >= len(g.s) && g.sep != "/" && g.sep != "//" && g.sep != "://" {
		return "", 0, false
	}
	left, right := front.last, byte(0)
	if g.spaceLeft {
		left = front.solid
	}
	if g.at < len(g.s) {
		right = g.s[g.at]
	}
	nameLeft := isAlnum(left) || left == '-' || left == '_' || left >= 0x80 || left == ']' || left == ')'
	nameRight := isAlnum(right) || right == '_' || right >= 0x80
	switch g.sep {
	case ".", "@":
		switch {
		case !nameLeft || !nameRight && (right != '[' || g.sep != "@"):
			return "", 0, false
		case bracketed:
			return g.sep, g.at, true
		case g.word && (g.sep == "@" || g.opens > 0 && g.s[g.start] != '['):
			return "", 0, false
		case g.sep == "@" && g.opens+g.closes == 0:
			return g.sep, g.at, (g.spaceLeft || g.spaceRight) && dotAhead(g.s[g.at:])
		case g.spaceLeft || g.spaceRight:
			return g.sep, g.at, g.opens > 0 || g.closes > 0 && !g.word || g.word && g.upper && g.spaceLeft && g.spaceRight
		}
		return g.sep, g.at, g.opens > 0 || g.closes > 0
	case ":", "://":
		return g.sep, g.at, bracketed && (isAlnum(left) || left == ':') && (right == '/' || g.sep == "://" || g.spaceLeft == g.spaceRight && !g.spaceLeft)
	}
	if g.opens == 1 && g.closes == 0 && g.sep == "/" && g.at >= 2 && g.s[g.at-2] == '\\' {
		return "/", g.at, true // \/ as JSON writes it
	}
	return g.sep, g.at, bracketed && !g.spaceLeft && !g.spaceRight
}

// dotAhead tells whether the word that follows has a dot in it.
func dotAhead(s string) bool {
	for i := 0; i < len(s) && i < 253 && s[i] != ' '; i++ {
		if s[i] == '.' || s[i] == '[' {
			return i > 0
		}
	}
	return false
}

// Defang disguises all addresses, names, URLs and e-mail addresses in a text, so
// that nothing turns them into links: hxxp://evil[.]example/a.html. A text that
// is one value of which nothing is known is disguised as a whole.
func Defang(text string) string {
	found := outermost(Extract(text))
	if len(found) == 0 {
		if strings.ContainsAny(text, " \t\r\n") {
			return text
		}
		return defangOne(text)
	}
	var b strings.Builder
	at := 0
	for _, f := range found {
		b.WriteString(text[at:f.Offset])
		b.WriteString(defangOne(f.AsWritten))
		at = f.Offset + len(f.AsWritten)
	}
	b.WriteString(text[at:])
	return b.String()
}

// outermost leaves out what has no need of a disguise, and what stands inside
// another.
func outermost(found []Found) []Found {
	var out []Found
	end := 0
	for _, f := range found {
		switch f.Type {
		case IP, CIDR, Domain, URL, Email:
			if f.Offset >= end {
				out = append(out, f)
				end = f.Offset + len(f.AsWritten)
			}
		default: // nothing turns the others into links
		}
	}
	return out
}

// defangOne disguises one value: the scheme, and the dots up to the path.
func defangOne(v string) string {
	v = Refang(v)
	scheme, rest := "", v
	if i := strings.Index(v, "://"); i > 0 {
		scheme, rest = strings.ReplaceAll(strings.ToLower(v[:i]), "t", "x")+"://", v[i+3:]
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host := strings.NewReplacer(".", "[.]", "@", "[@]").Replace(rest[:end])
	if strings.Count(host, ":") > 1 && !strings.Contains(host, "[") {
		host = strings.ReplaceAll(host, ":", "[:]")
	}
	return scheme + host + rest[end:]
}
