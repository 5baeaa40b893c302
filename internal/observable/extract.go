package observable

import (
	"slices"
	"strings"
)

// Found is a thing found in a text.
type Found struct {
	Type      Type
	Value     string // in its normal form
	AsWritten string // as it stands in the text, disguise and all
	Offset    int    // of AsWritten in the text, in bytes
}

// Observable is what was found, without its place.
func (f Found) Observable() Observable { return Observable{Type: f.Type, Value: f.Value} }

// Extract finds addresses, networks, names, URLs, e-mail addresses, hashes and
// CVE numbers in a text, in the order of their places. The name or address
// inside a URL or an e-mail address is found as well. Disguised ones are found
// like plain ones. The work grows with the length of the text, whatever it is.
func Extract(text string) []Found {
	x := extractor{text: text, found: make([]Found, 0, len(text)/512)}
	x.scan()
	if len(x.found) == 0 {
		return nil
	}
	slices.SortStableFunc(x.found, func(a, b Found) int { return a.Offset - b.Offset })
	return x.found
}

// Distinct gives the things found, each once, in the order of first places.
func Distinct(found []Found) []Observable {
	seen := make(map[Observable]bool, len(found))
	var out []Observable
	for _, f := range found {
		if o := f.Observable(); !seen[o] {
			seen[o] = true
			out = append(out, o)
		}
	}
	return out
}

// The text is cut at blanks, quotes and angle brackets into runs. Most are plain
// words, which a look at the classes of their bytes shows; only the others are
// looked at closely. Of a run that may be in disguise a plain copy is made, with
// the place of each byte.

// The classes of bytes, as bits.
const (
	cBreak  = 1 << iota // ends a run
	cDot                // .
	cColon              // :
	cAt                 // @
	cMask               // brackets and backslash
	cDigit              // 0-9
	cLetter             // letters, and bytes of longer characters
	cOther
)

var classes = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		switch {
		case c <= ' ' || c == '"' || c == '<' || c == '>' || c == 0x7f:
			t[i] = cBreak
		case c == '.':
			t[i] = cDot
		case c == ':':
			t[i] = cColon
		case c == '@':
			t[i] = cAt
		case strings.IndexByte(`[](){}\`, c) >= 0:
			t[i] = cMask
		case c >= '0' && c <= '9':
			t[i] = cDigit
		case isAlnum(c) || c >= 0x80:
			t[i] = cLetter
		default:
			t[i] = cOther
		}
	}
	return t
}()

type extractor struct {
	text   string
	found  []Found
	plain  []byte // the run without its disguise
	spots  []int  // where each byte of plain stands in text, and the end
	place  []int  // spots while a copy is looked at, else nil
	base   int    // where a run without disguise begins
	nested int    // how many URLs stand around the one at hand
}

// scan cuts the text into runs.
func (x *extractor) scan() {
	t := x.text
	for i := 0; i < len(t); {
		if classes[t[i]]&cBreak != 0 {
			i++
			continue
		}
		start := i
		var seen uint8
		for i < len(t) {
			c := classes[t[i]]
			if c&cBreak != 0 {
				break
			}
			seen |= c
			i++
		}
		if end := x.run(start, i, seen); end > i {
			i = end
		}
	}
}

// run looks at one run and gives where to go on: further than its end where the
// runs behind it belong to it.
func (x *extractor) run(start, end int, seen uint8) int {
	if end+2 < len(x.text) && x.text[end] == ' ' && x.signAhead(end+1) {
		if joined := x.joined(start, end); joined > end {
			x.disguised(start, joined, true)
			return joined
		}
	}
	if end-start > 5 && end-start < 12 && x.text[end-3:end] == "://" && realScheme(x.text[start:end-3]) != "" {
		if next := x.behindBlanks(end); next > end {
			x.disguised(start, next, true)
			return next
		}
	}
	switch {
	case seen&(cDot|cColon|cAt) == 0 && (seen&cMask == 0 || !x.hasWordDot(start, end)):
		x.bare(start, end, seen)
	case seen&cMask != 0:
		x.disguised(start, end, false)
	default:
		x.base, x.place = start, nil
		x.whole(x.text[start:end], x.before(start))
	}
	return end
}

// behindBlanks gives the end of the run behind a few blanks.
func (x *extractor) behindBlanks(at int) int {
	j := joiner{text: x.text}
	next := j.skip(at)
	return j.runEnd(next)
}

// signAhead is a quick look whether a sign in disguise may follow a blank.
func (x *extractor) signAhead(at int) bool {
	for at < len(x.text) && x.text[at] == ' ' {
		at++
	}
	rest := x.text[at:]
	if len(rest) < 2 {
		return false
	}
	switch rest[0] {
	case '[', '(', '{', '@':
		return true
	case '.':
		return classes[rest[1]]&(cBreak|cMask) != 0
	case 'd', 'D':
		return len(rest) > 3 && rest[1]|0x20 == 'o' && rest[2]|0x20 == 't'
	case 'a', 'A':
		return len(rest) > 2 && rest[1]|0x20 == 't' && classes[rest[2]]&(cBreak|cMask) != 0
	}
	return strings.IndexByte("])}", rest[0]) >= 0
}

// hasWordDot looks for (dot) and the like where a run has brackets but no dot.
func (x *extractor) hasWordDot(start, end int) bool {
	s := x.text[start:end]
	return strings.Contains(s, "dot") || strings.Contains(s, "DOT") || strings.Contains(s, "Dot")
}

// before is the byte in front of a run, which may be the quote that opens it.
func (x *extractor) before(start int) byte {
	if start == 0 {
		return 0
	}
	return x.text[start-1]
}

// bare looks at a run without dots, colons and at-signs: it may be a hash, or
// the number of a vulnerability.
func (x *extractor) bare(start, end int, seen uint8) {
	x.base, x.place = start, nil
	s := x.text[start:end]
	if len(s) >= 32 {
		x.hashes(s)
	}
	if len(s) >= 3 && seen&cLetter != 0 {
		x.vulnerability(s, start)
	}
}

// disguised looks at a run through a plain copy of it. Blanks are only left in
// the copy where runs were joined and a blank has no part in the disguise.
func (x *extractor) disguised(start, end int, blanks bool) {
	s := x.text[start:end]
	first, ok := firstSign(s, blanks)
	if !ok {
		x.base, x.place = start, nil
		x.whole(s, x.before(start))
		return
	}
	x.plain, x.spots = append(x.plain[:0], s[:first]...), x.spots[:0]
	for i := range first {
		x.spots = append(x.spots, start+i)
	}
	for i := first; i < len(s); {
		sep, stop, ok := anySign(s, i, leftOf(x.plain), blanks)
		if !ok {
			sep, stop = s[i:i+1], i+1
		}
		x.plain = append(x.plain, sep...)
		for range len(sep) {
			x.spots = append(x.spots, start+i)
		}
		i = stop
	}
	x.spots = append(x.spots, end)
	x.place = x.spots
	x.whole(string(x.plain), x.before(start))
	x.place = nil
}

// firstSign finds the first sign in disguise; most runs with brackets have none.
func firstSign(s string, blanks bool) (int, bool) {
	for i := range len(s) {
		if _, _, ok := anySign(s, i, leftAt(s, i), blanks); ok {
			return i, true
		}
	}
	return 0, strings.HasSuffix(s, "://") || blanks && strings.Contains(s, ":// ")
}

// leftAt is leftOf, of what stands in front of i, not looking back far.
func leftAt(s string, i int) left { return leftOf(s[max(0, i-8):i]) }

// anySign reads a sign in disguise or, where runs were joined, as a word.
func anySign(s string, i int, front left, blanks bool) (sep string, end int, ok bool) {
	if sep, end, ok = disguise(s, i, front, blanks); ok || !blanks {
		return sep, end, ok
	}
	return wordSign(s, i)
}

// wordSign reads " at " and " dot " as signs.
func wordSign(s string, i int) (sep string, end int, ok bool) {
	if s[i] != ' ' {
		return "", 0, false
	}
	end = i
	for end < len(s) && s[end] == ' ' {
		end++
	}
	word := s[end:]
	switch {
	case len(word) > 3 && strings.EqualFold(word[:2], "at") && word[2] == ' ':
		sep, end = "@", end+2
	case len(word) > 4 && strings.EqualFold(word[:3], "dot") && word[3] == ' ':
		sep, end = ".", end+3
	default:
		return "", 0, false
	}
	for end < len(s) && s[end] == ' ' {
		end++
	}
	return sep, end, end < len(s)
}

// maxJoined bounds how many runs one thing in disguise may be spread over.
const maxJoined = 24

// joined gives the end of the last run that belongs to the one from start to
// end, because only signs in disguise stand between them: example [.] com. It
// is end where there is none.
func (x *extractor) joined(start, end int) int {
	j := joiner{text: x.text, end: end}
	for range maxJoined {
		if !j.step() {
			break
		}
	}
	if !j.convincing() {
		return end
	}
	return j.end
}

// joiner follows runs that may belong together.
type joiner struct {
	text      string
	end       int // of the last run that surely belongs
	ats, dots int
	strong    bool   // a sign in brackets was seen
	upper     bool   // DOT or AT was seen
	last      string // the label behind the last sign
}

// step takes signs and the run behind them.
func (j *joiner) step() bool {
	at, sign, strong, upper := j.end, byte(0), j.openAtEnd(), false
	for {
		next := j.skip(at)
		if next == at || next >= len(j.text) {
			return false
		}
		stop := j.runEnd(next)
		word := j.text[next:stop]
		s, kind := signRun(word)
		if kind == notSign {
			if sign == 0 {
				s, rest, ok := prefixSign(word)
				if !ok {
					return false
				}
				sign, strong, next = s, true, next+rest
			}
			return j.take(next, stop, sign, strong, upper)
		}
		if s != 0 {
			if sign != 0 {
				return false
			}
			sign, upper = s, word == "DOT" || word == "AT"
		}
		strong = strong || kind == bracketSign
		at = stop
	}
}

// take adds the run that follows a sign.
func (j *joiner) take(from, stop int, sign byte, strong, upper bool) bool {
	if from >= stop || !isAlnum(j.text[from]) && j.text[from] < 0x80 {
		return false
	}
	if sign == '@' {
		j.ats++
	} else {
		j.dots++
	}
	j.strong, j.upper = j.strong || strong, j.upper || upper
	j.end = stop
	label := strings.TrimRight(j.text[from:stop], ".,;:!?)]}'")
	if i := strings.LastIndexByte(label, '.'); i >= 0 {
		label = label[i+1:]
	}
	j.last = label
	return true
}

// convincing tells whether what was joined is more than chance: a sign in
// brackets, or words that make up a whole e-mail address or name.
func (j *joiner) convincing() bool {
	switch {
	case j.ats+j.dots == 0:
		return false
	case j.strong:
		return true
	}
	if j.ats > 1 || j.dots == 0 || j.ats == 0 && !j.upper {
		return false
	}
	if j.ats == 1 && j.upper {
		return true
	}
	_, known := suffixOf("x." + strings.ToLower(j.last))
	return known
}

// openAtEnd tells whether the run so far ends in an opening bracket.
func (j *joiner) openAtEnd() bool {
	return j.end > 0 && strings.IndexByte("[({", j.text[j.end-1]) >= 0
}

func (j *joiner) skip(at int) int {
	for n := 0; at < len(j.text) && j.text[at] == ' ' && n < 8; n++ {
		at++
	}
	return at
}

func (j *joiner) runEnd(at int) int {
	for n := 0; at < len(j.text) && classes[j.text[at]]&cBreak == 0 && n < 260; n++ {
		at++
	}
	return at
}

type signKind uint8

const (
	notSign signKind = iota
	bareSign
	bracketSign
)

// signRun tells whether a run is nothing but a sign, or brackets around one.
func signRun(s string) (sign byte, kind signKind) {
	if len(s) > 12 {
		return 0, notSign
	}
	core := s
	for core != "" && isBracket(core[0]) {
		core = core[1:]
	}
	for core != "" && isBracket(core[len(core)-1]) {
		core = core[:len(core)-1]
	}
	kind = bareSign
	if len(core) < len(s) {
		kind = bracketSign
	}
	switch {
	case core == "" && s != "":
		return 0, bracketSign
	case core == "." && kind == bracketSign, strings.EqualFold(core, "dot"):
		return '.', kind
	case core == "@", strings.EqualFold(core, "at"):
		return '@', kind
	case core == ".":
		return '.', bareSign
	}
	return 0, notSign
}

func isBracket(c byte) bool {
	return c == '[' || c == ']' || c == '(' || c == ')' || c == '{' || c == '}'
}

// prefixSign reads a sign at the start of a run, such as [dot in "com [dot tld".
func prefixSign(s string) (sign byte, length int, ok bool) {
	open := len(s) - len(strings.TrimLeft(s, "[({"))
	rest := s[open:]
	switch {
	case open > 0 && strings.HasPrefix(rest, "."):
		sign, length = '.', open+1
	case open > 0 && len(rest) > 3 && strings.EqualFold(rest[:3], "dot"):
		sign, length = '.', open+3
	case strings.HasPrefix(rest, "@") && len(rest) > 1:
		sign, length = '@', open+1
		ok = dotAhead(rest[1:])
		if !ok {
			return 0, 0, false
		}
	default:
		return 0, 0, false
	}
	for length < len(s) && strings.IndexByte("])}", s[length]) >= 0 {
		length++
	}
	return sign, length, length < len(s)
}
