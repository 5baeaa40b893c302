package observable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// add keeps what stands from a to b in the run at hand.
func (x *extractor) add(t Type, value string, a, b int) {
	from, to := x.base+a, x.base+b
	if x.place != nil {
		from, to = x.place[a], x.place[b]
	}
	x.found = append(x.found, Found{Type: t, Value: value, AsWritten: x.text[from:to], Offset: from})
}

// clean looks at the part of a run, without disguise, from at to end: first for
// URLs, then at what stands between them. before is the byte in front of it.
func (x *extractor) clean(s string, at, end int, before byte) {
	start := at
	for at < end {
		i := strings.Index(s[at:end], "://")
		if i < 0 {
			break
		}
		i += at
		begin, scheme := findScheme(s, max(schemeStart(s, i), at), i)
		if scheme == "" {
			x.pieces(s, at, i)
			at = i + 3
			continue
		}
		opener := before
		if begin > start {
			opener = s[begin-1]
		}
		x.pieces(s, at, begin)
		at = x.url(s[:end], begin, i+3, scheme, opener)
	}
	x.pieces(s, at, end)
}

// whole looks at a run without disguise for everything.
func (x *extractor) whole(s string, before byte) {
	x.clean(s, 0, len(s), before)
	if len(s) >= 32 {
		x.hashes(s)
	}
	if len(s) >= 9 {
		x.vulnerability(s, -1)
	}
}

// findScheme finds the scheme that ends at i: the longest ending of the word in
// front that is one, so that CDATA[^h00ps and url=http are understood.
func findScheme(s string, begin, i int) (int, string) {
	for from := begin; i-from >= 2; from++ {
		if from > begin && isAlnum(s[from-1]) && s[from-1] < '0' {
			continue
		}
		if real := realScheme(s[from:i]); real != "" {
			return from, real
		}
	}
	return 0, ""
}

// atomByte tells whether c can be part of a name, a number or the left side of
// an e-mail address.
func atomByte(c byte) bool {
	return isAlnum(c) || c == '.' || c == '-' || c == '_' || c == '+'
}

// atomEnd gives the end of the atom that begins at i.
func atomEnd(s string, i, end int) int {
	for i < end {
		if atomByte(s[i]) {
			i++
			continue
		}
		if s[i] < 0x80 {
			return i
		}
		r, size := utf8.DecodeRuneInString(s[i:end])
		if !nameRune(r) {
			return i
		}
		i += size
	}
	return i
}

// nameRune tells whether a character beyond ASCII is taken as part of a name.
// Scripts written without blanks are not: a name in ASCII often touches them.
func nameRune(r rune) bool {
	return unicode.In(r, unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Arabic, unicode.Hebrew)
}

// pieces looks at the part of a run from at to end, in which there is no URL
// with a scheme.
func (x *extractor) pieces(s string, at, end int) {
	for at < end {
		stop := atomEnd(s, at, end)
		if stop == at {
			if s[at] == ':' {
				if next := x.ipv6(s, at, at, end); next > at {
					at = next
					continue
				}
			}
			_, size := utf8.DecodeRuneInString(s[at:])
			at += size
			continue
		}
		at = x.atom(s, at, stop, end)
	}
}

// atom looks at the atom from at to stop and gives where to go on.
func (x *extractor) atom(s string, at, stop, end int) int {
	if stop < end {
		switch s[stop] {
		case '@':
			if next := x.email(s, at, stop, stop, end); next > 0 {
				return next
			}
			return stop + 1
		case '(':
			// A comment: john(sales)@example.com.
			if i := strings.IndexByte(s[stop:min(end, stop+64)], ')'); i > 0 && stop+i+1 < end && s[stop+i+1] == '@' {
				if next := x.email(s, at, stop, stop+i+1, end); next > 0 {
					return next
				}
			}
		case ':':
			if next := x.ipv6(s, at, stop, end); next > 0 {
				return next
			}
		}
	}
	if strings.IndexByte(s[at:stop], '.') < 0 {
		return stop
	}
	if next := x.ipv4(s, at, stop, end); next > 0 {
		return next
	}
	return x.name(s, at, stop, end)
}

// ipv4 looks for an address in an atom, or for a longer thing that begins with
// one; 0 where there is none.
func (x *extractor) ipv4(s string, at, stop, end int) int {
	a, b := at+signsStart(s[at:stop]), at+signsEnd(s[at:stop])
	if b-a < 7 {
		return 0
	}
	if !onlyDigits(s[a:b]) {
		if !dottedDigits(s[a:b]) {
			return 0
		}
		if _, _, _, named := findDomain(s[a:b]); named {
			return 0
		}
		if a, b = embeddedIPv4(s, a, b); a == b {
			return 0
		}
	}
	addr, ok := parseZeros(s[a:b])
	if !ok {
		return stop
	}
	if b != stop && s[b] != '.' {
		x.add(IP, addr.String(), a, b)
		return stop
	}
	return x.afterIP(s, addr.String(), a, b, end)
}

// dottedDigits is a quick look whether there can be an address: a digit, a dot
// and a digit.
func dottedDigits(s string) bool {
	for i := 1; i+1 < len(s); i++ {
		if s[i] == '.' && s[i-1]-'0' < 10 && s[i+1]-'0' < 10 {
			return true
		}
	}
	return false
}

// embeddedIPv4 finds an address that touches letters, such as host10.0.0.1x. A
// version, v1.2.3.4, is none.
func embeddedIPv4(s string, a, b int) (int, int) {
	for i := a; i < b; i++ {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		j := i
		for j < b && (s[j] == '.' || s[j] >= '0' && s[j] <= '9') {
			j++
		}
		from, to := i, i+len(strings.TrimRight(s[i:j], "."))
		version := from > a && s[from-1]|0x20 == 'v' && (from-1 == a || !isAlnum(s[from-2]))
		dotted := from > a && s[from-1] == '.' || to < b && s[to] == '-'
		if _, ok := parseZeros(s[from:to]); ok && !version && !dotted {
			return from, to
		}
		i = j
	}
	return a, a
}

// afterIP looks at what follows an address: a prefix length, a port, a path.
func (x *extractor) afterIP(s, addr string, a, b, end int) int {
	next := b
	if b < end && s[b] == '/' {
		stop := b + 1
		for stop < end && stop-b <= 3 && s[stop] >= '0' && s[stop] <= '9' {
			stop++
		}
		if stop > b+1 && (stop == end || !atomByte(s[stop]) && s[stop] != '/' || s[stop] == '.' && (stop+1 == end || !isAlnum(s[stop+1]))) {
			if n, wrong := normalCIDR(addr + s[b:stop]); wrong == "" {
				x.add(CIDR, n, a, stop)
				if strings.HasPrefix(n, addr+"/") && !strings.HasSuffix(n, "/32") && !strings.HasSuffix(n, "/128") {
					return stop // the network itself, not a machine in it
				}
				next = stop
			}
		}
	}
	x.add(IP, addr, a, b)
	if next == b {
		next = max(b, x.schemeless(s, a, b, end, 0))
	}
	return next
}

// schemeless looks for a port and a path behind a name or address: a URL without
// its scheme. It gives the end of the URL, 0 where there is none.
func (x *extractor) schemeless(s string, a, b, end int, opener byte) int {
	p := b
	if p < end && s[p] == ':' {
		for p++; p < end && p-b <= 5 && s[p] >= '0' && s[p] <= '9'; p++ {
		}
		if p == b+1 {
			return 0
		}
	}
	if p >= end || s[p] != '/' || a > 1 && s[a-1] == '/' && s[a-2] == '/' {
		return 0 // nothing, or a scheme that is none
	}
	if a > 0 {
		opener = s[a-1]
	}
	stop := urlEnd(s, p, end, opener)
	if stop <= p || stop == p+1 && p == b && x.place == nil {
		return 0 // "and/or": a name and a slash alone is no URL
	}
	if n, wrong := normalURL(unescapeAmp(s[a:stop])); wrong == "" {
		x.add(URL, n, a, stop)
		return stop
	}
	return 0
}

// ipv6 looks for an address around the colon at or behind stop; from is where it
// can begin. 0 where there is none.
func (x *extractor) ipv6(s string, from, colon, end int) int {
	if colon+1 >= end || s[colon+1] != ':' && !isHex(rune(s[colon+1])) {
		return 0
	}
	a := colon
	for a > from && colon-a < 6 && isHex(rune(s[a-1])) {
		a--
	}
	b, colons := colon, 0
	for b < end && b-a < 64 && (isHex(rune(s[b])) || s[b] == ':' || s[b] == '.') {
		if s[b] == ':' {
			colons++
		}
		b++
	}
	if colons < 2 || colons > 7 && b-a > 45 {
		return 0
	}
	touched := a > 0 && (isAlnum(s[a-1]) || s[a-1] == '_' || s[a-1] == ':') || b < end && (isAlnum(s[b]) || s[b] == '_')
	for b > a && (s[b-1] == '.' || s[b-1] == ':' && !strings.HasSuffix(s[a:b], "::")) {
		b--
	}
	if touched || !plausibleIPv6(s[a:b]) {
		return 0
	}
	addr, ok := parseIP(s[a:b])
	if !ok {
		return 0
	}
	return x.afterIP(s, addr.String(), a, b, end)
}

// plausibleIPv6 keeps times, MAC addresses and C++ names out.
func plausibleIPv6(s string) bool {
	if len(s) < 3 || !strings.Contains(s, "::") && strings.Count(s, ":") != 7 && !(strings.Count(s, ":") == 6 && strings.Contains(s, ".")) {
		return false
	}
	return strings.ContainsAny(s, "0123456789") || strings.Count(s, ":") > 3
}

// email looks for an e-mail address whose left side stands from a to b and whose
// at-sign is at at; 0 where there is none.
func (x *extractor) email(s string, a, b, at, end int) int {
	for a < b && s[a] != '_' && isSign(s[a]) {
		a++
	}
	trimmed := s[a:b]
	good := trimmed != "" && len(trimmed) <= 64 && !strings.Contains(trimmed, "..") && !strings.HasSuffix(trimmed, ".")
	if at+1 < end && s[at+1] == '[' {
		return x.emailAtAddress(s, a, b, at, end, good)
	}
	from := at + 1
	stop := atomEnd(s, from, end)
	host := s[from : from+signsEnd(s[from:stop])]
	if addr, ok := parseZeros(host); ok {
		if good {
			x.add(Email, strings.ToLower(s[a:b])+"@"+addr.String(), a, from+len(host))
		}
		x.add(IP, addr.String(), from, from+len(host))
		return stop
	}
	d, wrong := normalDomain(host)
	tld := d[strings.LastIndexByte(d, '.')+1:]
	if wrong != "" || len(tld) < 2 || !tldShape(tld) {
		return 0
	}
	if good {
		x.add(Email, strings.ToLower(s[a:b])+"@"+d, a, from+len(host))
	}
	x.bareName(s, from, from+len(host))
	return stop
}

// emailAtAddress reads ann@[192.0.2.7] and ann@[IPv6:2001:db8::1].
func (x *extractor) emailAtAddress(s string, a, b, at, end int, good bool) int {
	n := strings.IndexByte(s[at:min(end, at+60)], ']')
	if n < 0 {
		return 0
	}
	from, stop := at+2, at+n
	if len(s[from:stop]) > 5 && strings.EqualFold(s[from:from+5], "ipv6:") {
		from += 5
	}
	addr, ok := parseIP(s[from:stop])
	if !ok {
		return 0
	}
	if good {
		x.add(Email, strings.ToLower(s[a:b]+"@"+s[at+1:stop+1]), a, stop+1)
	}
	x.add(IP, addr.String(), from, stop)
	return stop + 1
}

// bareName keeps the name from a to b if its last label is in use.
func (x *extractor) bareName(s string, a, b int) {
	if d, from, to, ok := findDomain(s[a:b]); ok {
		x.add(Domain, d, a+from, a+to)
	}
}

// fileEndings are last labels in use that mostly end the name of a file, and
// wordEndings such that mostly end the name of a field, an event or a class.
var (
	fileEndings = words("py sh pl md rs zip mov ps cab so ml cc")
	wordEndings = words("name events exchange security network properties services management audit")
)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}

// name looks for a name in the atom from at to stop, and for a path behind it.
func (x *extractor) name(s string, at, stop, end int) int {
	d, from, to, ok := findDomain(s[at:stop])
	if !ok {
		return stop
	}
	from, to = at+from, at+to
	if looksLikeFile(s, d, from, to, end) && x.place == nil || sentenceEnd(s[from:to]) {
		return stop
	}
	x.add(Domain, d, from, to)
	if to < end && (s[to] == '/' || s[to] == ':') {
		if e := x.schemeless(s, from, to, end, 0); e > 0 {
			return e
		}
	}
	return stop
}

// looksLikeFile tells names of files and fields from names of machines.
func looksLikeFile(s, d string, from, to, end int) bool {
	if from > 0 && (s[from-1] == '/' || s[from-1] == '\\') && !(from > 1 && s[from-2] == '/') {
		return true // the last part of a path
	}
	if to < end && (s[to] == '(' || s[to] == '\\') {
		return true // a call, or a part of a path
	}
	label := d[strings.LastIndexByte(d, '.')+1:]
	followed := to < end && (s[to] == '/' || s[to] == ':')
	return strings.Count(d, ".") == 1 && (fileEndings[label] && !followed || wordEndings[label])
}

// sentenceEnd finds a full stop without a blank behind it: "ended.In the".
func sentenceEnd(s string) bool {
	dot := strings.LastIndexByte(s, '.')
	last, front := s[dot+1:], s[:dot]
	capital := last[0] >= 'A' && last[0] <= 'Z' && last[1:] == strings.ToLower(last[1:])
	return capital && len(last) > 1 && front == strings.ToLower(front) && strings.IndexByte(front, '.') < 0
}

// hashes looks for runs of hexadecimal digits of the right lengths. The shortest
// has 32, so one look in 32 bytes finds each of them.
func (x *extractor) hashes(s string) {
	for probe := 31; probe < len(s); {
		if !isHex(rune(s[probe])) {
			probe += 32
			continue
		}
		i, j := probe, probe+1
		for i > 0 && isHex(rune(s[i-1])) {
			i--
		}
		for j < len(s) && isHex(rune(s[j])) {
			j++
		}
		t, ok := hashOf(j - i)
		free := (i == 0 || !isAlnum(s[i-1])) && (j == len(s) || !isAlnum(s[j]))
		if ok && free && !x.otherDigest(i) {
			x.add(t, strings.ToLower(s[i:j]), i, j)
		}
		probe = j + 32
	}
}

// otherDigest tells whether the words in front say that the digits at i are no
// hash of a file, but of a part of it.
func (x *extractor) otherDigest(i int) bool {
	at := x.base + i
	if x.place != nil {
		at = x.place[i]
	}
	front := strings.ToLower(x.text[max(0, at-24):at])
	front = strings.TrimRight(front, " \t\r\n:=-\"'")
	return strings.HasSuffix(front, "imphash") || strings.HasSuffix(front, "import hash") || strings.HasSuffix(front, "authentihash")
}

// vulnerability looks for CVE-2024-3094, also written with a blank behind CVE.
// start is where the run stands in the text, or -1 where only the run counts.
func (x *extractor) vulnerability(s string, start int) {
	i := indexFold(s, "cve")
	if i < 0 || i > 0 && isAlnum(s[i-1]) {
		return
	}
	t, at := s, i+3
	if start >= 0 {
		t, at = x.text[start:min(len(x.text), start+len(s)+24)], i+3
	}
	if at >= len(t) || strings.IndexByte("-_ :", t[at]) < 0 {
		return
	}
	year, ok := digitsAt(t, at+1, 4, 4)
	if !ok || year >= len(t) || t[year] != '-' && t[year] != '_' {
		return
	}
	end, ok := digitsAt(t, year+1, 4, 7)
	if !ok || end < len(t) && isAlnum(t[end]) {
		return
	}
	if start >= 0 || x.place == nil {
		x.found = append(x.found, Found{
			Type: CVE, Value: "CVE-" + t[at+1:year] + "-" + t[year+1:end], AsWritten: t[i:end], Offset: x.base + i,
		})
	}
}

// digitsAt gives the end of between low and high digits that begin at i.
func digitsAt(s string, i, low, high int) (int, bool) {
	from := i
	for i < len(s) && i-from <= high && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i, i-from >= low && i-from <= high
}

// indexFold finds a lower-case word, whatever the case of the text.
func indexFold(s, word string) int {
	for i := 0; i+len(word) <= len(s); i++ {
		if s[i]|0x20 == word[0] && strings.EqualFold(s[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}
