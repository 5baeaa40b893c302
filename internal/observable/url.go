package observable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// url reads the URL whose scheme begins at begin and whose host begins at host,
// and gives where to go on behind it.
func (x *extractor) url(s string, begin, host int, scheme string, opener byte) int {
	h, ok := readHost(s, host)
	if !ok {
		return host
	}
	end := urlEnd(s, h.end, len(s), opener)
	user := strings.TrimLeft(s[host:h.from], " [")
	value := scheme + "://" + user + h.text + normalPort(scheme, s[h.to:h.end]) + unescapeAmp(s[h.end:end])
	x.add(URL, value, begin, end)
	switch {
	case h.address:
		if a, ok := parseIP(strings.Trim(h.text, "[]")); ok {
			x.add(IP, a.String(), h.from+h.bracket, h.to-h.bracket)
		}
	case strings.IndexByte(s[h.from:h.to], ',') < 0:
		x.bareName(s, h.from, h.to)
	default:
		if d, wrong := normalDomain(h.text); wrong == "" {
			x.add(Domain, d, h.from, h.to)
		}
	}
	x.query(s, h.end, end)
	return end
}

// maxNested bounds how deep URLs inside the queries of others are followed.
const maxNested = 3

// query looks at what a URL hands on: the targets of redirections stand there.
func (x *extractor) query(s string, from, end int) {
	q := strings.IndexByte(s[from:end], '?')
	if q < 0 || x.nested >= maxNested {
		return
	}
	x.nested++
	x.clean(s, from+q+1, end, '?')
	x.nested--
}

// hostPart is the host of a URL in a run.
type hostPart struct {
	text     string // as it has to be written
	from, to int
	end      int // behind the port
	address  bool
	bracket  int // 1 where brackets stand around it
}

// readHost reads user, host and port.
func readHost(s string, from int) (hostPart, bool) {
	from += blanksAt(s, from)
	if at := userEnd(s, from); at > 0 {
		from = at
	}
	h, ok := bracketHost(s, from)
	if !ok {
		if from < len(s) && s[from] == '[' {
			from++ // a bracket that lost its partner
		}
		if h, ok = plainHost(s, from); !ok {
			return h, false
		}
	}
	h.end = h.to
	if h.to < len(s) && s[h.to] == ':' {
		p := h.to + 1
		for p < len(s) && p-h.to <= 5 && s[p] >= '0' && s[p] <= '9' {
			p++
		}
		if p > h.to+1 {
			h.end = p
		}
	}
	return h, true
}

func blanksAt(s string, i int) int {
	n := 0
	for i+n < len(s) && s[i+n] == ' ' {
		n++
	}
	return n
}

// userEnd gives the place behind the at-sign of user:password@, 0 without one.
func userEnd(s string, from int) int {
	for i := from; i < len(s) && i-from < 256; i++ {
		switch c := s[i]; {
		case c == '@':
			if i == from {
				return 0
			}
			return i + 1
		case !isAlnum(c) && strings.IndexByte("._~%!$&*+=:-", c) < 0:
			return 0
		}
	}
	return 0
}

func bracketHost(s string, from int) (hostPart, bool) {
	if from >= len(s) || s[from] != '[' {
		return hostPart{}, false
	}
	n := strings.IndexByte(s[from:min(len(s), from+64)], ']')
	if n < 0 {
		return hostPart{}, false
	}
	a, ok := parseIP(s[from+1 : from+n])
	return hostPart{text: "[" + a.String() + "]", from: from, to: from + n + 1, address: true, bracket: 1}, ok && a.Is6()
}

func plainHost(s string, from int) (hostPart, bool) {
	stop := atomEnd(s, from, len(s))
	// A bare address of version 6, which should stand in brackets.
	if stop < len(s) && s[stop] == ':' {
		b := stop
		for b < len(s) && (isHex(rune(s[b])) || s[b] == ':') {
			b++
		}
		if a, ok := parseIP(s[from:b]); ok && a.Is6() {
			return hostPart{text: "[" + a.String() + "]", from: from, to: b, address: true}, true
		}
	}
	text := s[from:stop]
	if strings.IndexByte(text, '.') < 0 {
		text, stop = commaHost(s, from, stop)
	}
	name := text[:signsEnd(text)]
	h := hostPart{text: name, from: from, to: stop - (len(text) - len(name))}
	if a, ok := parseZeros(name); ok {
		h.text, h.address = a.String(), true
		return h, true
	}
	d, wrong := normalDomain(strings.TrimLeft(name, "-"))
	tld := d[strings.LastIndexByte(d, '.')+1:]
	if wrong != "" || len(tld) < 2 || !tldShape(tld) {
		return h, false
	}
	h.text = d
	return h, true
}

// commaHost reads a host whose dots were written as commas.
func commaHost(s string, from, stop int) (string, int) {
	for stop+1 < len(s) && s[stop] == ',' && isAlnum(s[stop+1]) {
		stop = atomEnd(s, stop+1, len(s))
	}
	return strings.ReplaceAll(s[from:stop], ",", "."), stop
}

// closers are the signs that end what an opening one in front began.
var closers = map[byte]byte{'(': ')', '[': ']', '{': '}', '\'': '\'', '`': '`', '|': '|'}

// urlEnd gives where a URL ends whose host ends at from. opener is the byte in
// front of the URL: what it opened, the URL does not go beyond.
func urlEnd(s string, from, end int, opener byte) int {
	if from >= end || strings.IndexByte("/?#", s[from]) < 0 {
		return from
	}
	closer := closers[opener]
	end = min(end, from+maxValue-1024) // the host in front has its part
	var open balance
	depth, i := 0, from
	for i < end {
		c, size := s[i], charSize(s[i:end])
		if c == ' ' || c == '\\' || c == '<' || c == closer && depth == 0 || c == '&' && entityEnds(s[i:end]) ||
			c == ',' && commaEnds(s[i+1:end]) || open.strayAt(s, i, end) || size == 0 {
			break
		}
		switch {
		case closer != 0 && c == opener && opener != closer:
			depth++
		case c == closer:
			depth--
		}
		open.count(c)
		i += size
	}
	return trimURL(s, from, i, open)
}

// charSize gives the length of the character at the start of s, 0 where it is
// none that may stand in a value.
func charSize(s string) int {
	if s[0] < 0x80 {
		return 1
	}
	r, size := utf8.DecodeRuneInString(s)
	if size == 1 || unicode.IsControl(r) || unicode.IsSpace(r) {
		return 0
	}
	return size
}

// balance counts brackets and quotes that are open.
type balance struct{ round, square, brace, quotes, ticks int }

func (b *balance) count(c byte) {
	switch c {
	case '(':
		b.round++
	case ')':
		b.round--
	case '[':
		b.square++
	case ']':
		b.square--
	case '{':
		b.brace++
	case '}':
		b.brace--
	case '\'':
		b.quotes++
	case '`':
		b.ticks++
	}
}

// stray tells whether a closing sign would close nothing.
func (b *balance) stray(c byte) bool {
	switch c {
	case ')':
		return b.round <= 0
	case ']':
		return b.square <= 0
	case '}':
		return b.brace <= 0
	case '\'':
		return b.quotes == 0
	case '`':
		return b.ticks == 0
	}
	return false
}

// strayAt finds a closing sign that belongs to what stands around the URL: it
// closes nothing, and more such signs follow.
func (b *balance) strayAt(s string, i, end int) bool {
	return b.stray(s[i]) && i+1 < end && strings.IndexByte(`);]},"`, s[i+1]) >= 0
}

// entityEnds finds a quote or an angle bracket as HTML writes it.
func entityEnds(s string) bool {
	for _, e := range []string{"&quot;", "&lt;", "&gt;", "&#34;", "&#39;"} {
		if strings.HasPrefix(s, e) {
			return true
		}
	}
	return false
}

// commaEnds tells whether a comma ends the URL in front of it, as in a table,
// by what follows it.
func commaEnds(rest string) bool {
	if rest == "" {
		return true
	}
	c := rest[0]
	return c >= 'A' && c <= 'Z' || strings.IndexByte(`'"[]{}, `, c) >= 0 || strings.HasPrefix(rest, "http")
}

// trimURL cuts off signs at the end that belong to the sentence.
func trimURL(s string, from, end int, open balance) int {
	for end > from {
		r, size := utf8.DecodeLastRuneInString(s[from:end])
		bracket := r == ')' && open.round < 0 || r == ']' && open.square < 0 || r == '}' && open.brace < 0
		if r < 0x80 && !bracket && strings.IndexByte(".,;:!?'`*|^", byte(r)) < 0 {
			break
		}
		if r >= 0x80 && !strings.ContainsRune("”’“‘»«＜＞…。，、）】」；：！？", r) {
			break
		}
		end -= size
		switch r {
		case ')':
			open.round++
		case ']':
			open.square++
		case '}':
			open.brace++
		}
	}
	return end
}

// unescapeAmp undoes the one escape that HTML makes in URLs.
func unescapeAmp(s string) string { return strings.ReplaceAll(s, "&amp;", "&") }

// normalURL writes scheme and host in lower case, leaves the port out where it
// is the scheme's own, and keeps everything behind as it is. A URL may be without
// its scheme.
func normalURL(v string) (string, string) {
	const expected = "expected a URL such as https://www.example.com/a"
	s := v
	if maybeHostDisguised(s) {
		s = Refang(s)
	}
	s = strings.TrimSpace(s)
	scheme, rest, found := strings.Cut(s, "://")
	if !found || strings.ContainsAny(scheme, "/?#@.:") {
		scheme, rest = "", s
	}
	if real := realScheme(scheme); real != "" {
		scheme = real
	} else if scheme != "" && !plainScheme(scheme) {
		return "", expected
	}
	h, ok := readHost(rest, 0)
	if !ok {
		return "", expected
	}
	tail := rest[h.end:]
	if tail != "" && strings.IndexByte("/?#", tail[0]) < 0 || strings.ContainsAny(tail, " <>\"") {
		return "", expected
	}
	if scheme == "" && tail == "" && h.end == h.to {
		return "", "expected a URL; this is a name or an address alone"
	}
	out := rest[:h.from] + h.text + normalPort(scheme, rest[h.to:h.end]) + tail
	if scheme != "" {
		out = strings.ToLower(scheme) + "://" + out
	}
	return out, ""
}

// maybeHostDisguised looks for brackets in front of the path, and for a scheme
// in disguise.
func maybeHostDisguised(s string) bool {
	return strings.ContainsAny(s, "[({\\ ")
}

func plainScheme(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+-.", s[i]) < 0 {
			return false
		}
	}
	return len(s) <= 20
}

func normalPort(scheme, port string) string {
	usual := ""
	switch scheme {
	case "http", "ws":
		usual = ":80"
	case "https", "wss":
		usual = ":443"
	case "ftp":
		usual = ":21"
	case "ssh":
		usual = ":22"
	}
	if port == usual {
		return ""
	}
	return port
}
