package observable

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// normalDomain lowers a name and writes it in ASCII. Any name of two or more
// labels is one, whether its last label is in use or not.
func normalDomain(v string) (string, string) {
	const expected = "expected a name such as www.example.com"
	d := strings.ToLower(strings.Trim(v, "."))
	if !isASCII(d) {
		a, err := idna.Punycode.ToASCII(d)
		if err != nil {
			return "", expected
		}
		d = strings.ToLower(a)
	}
	if len(d) > 253 || strings.Count(d, ".") == 0 {
		return "", expected
	}
	for label := range strings.SplitSeq(d, ".") {
		if !goodLabel(label) {
			return "", expected
		}
	}
	if onlyDigits(d[strings.LastIndexByte(d, '.')+1:]) {
		return "", expected
	}
	return d, ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func goodLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// specialSuffixes are last labels that the public list does not have, and that
// are names all the same: services beside the DNS, and what is reserved for
// examples and for networks of one's own.
var specialSuffixes = map[string]bool{"onion": true, "i2p": true, "bit": true, "example": true, "local": true, "internal": true}

// suffixOf gives the public suffix of a name in lower case, such as com or co.uk;
// false where its last label is not in use.
func suffixOf(name string) (string, bool) {
	suffix, icann := publicsuffix.PublicSuffix(name)
	if icann || strings.Contains(suffix, ".") {
		return suffix, true
	}
	return suffix, specialSuffixes[suffix]
}

// RegisteredDomain gives the part of a name that somebody registered:
// evil.co.uk for www.evil.co.uk. It is empty for what is no such name.
func RegisteredDomain(name string) string {
	d, wrong := normalDomain(name)
	if wrong != "" {
		return ""
	}
	if _, ok := suffixOf(d); !ok {
		return ""
	}
	r, err := publicsuffix.EffectiveTLDPlusOne(d)
	if err != nil {
		return ""
	}
	return r
}

// DomainOf gives the name of the machine or mail domain in a URL, an e-mail
// address, or a name with a port or a path behind it: lower case, without a dot
// at the end. It is empty where there is no name but an address, or nothing.
func DomainOf(value string) string {
	host := hostOf(strings.TrimSpace(Refang(value)))
	if _, ok := parseIP(host); ok {
		return ""
	}
	d, wrong := normalDomain(host)
	if wrong != "" {
		return ""
	}
	return d
}

// hostOf cuts the host out of a URL or an e-mail address.
func hostOf(v string) string {
	if _, rest, ok := strings.Cut(v, "://"); ok {
		v = rest
	}
	if end := strings.IndexAny(v, "/?#\\"); end >= 0 {
		v = v[:end]
	}
	v = v[strings.LastIndexByte(v, '@')+1:]
	if strings.HasPrefix(v, "[") {
		host, _, _ := strings.Cut(v[1:], "]")
		return host
	}
	if strings.Count(v, ":") == 1 {
		v, _, _ = strings.Cut(v, ":")
	}
	return v
}

// findDomain finds the name inside what stands between blanks and signs: labels
// that cannot be part of it, and whatever stands left of them, are cut off. from
// and to are where it stands.
func findDomain(s string) (name string, from, to int, ok bool) {
	to = signsEnd(s)
	if dot := strings.LastIndexByte(s[:to], '.'); dot < 1 || to-dot < 3 || !tldShape(s[dot+1:to]) {
		return "", 0, 0, false
	}
	from = labelsStart(s[:to])
	if strings.IndexByte(s[from:to], '.') < 0 {
		return "", 0, 0, false
	}
	name, wrong := normalDomain(s[from:to])
	if wrong != "" {
		return "", 0, 0, false
	}
	suffix, known := suffixOf(name)
	if !known || len(suffix) >= len(name) {
		return "", 0, 0, false
	}
	// An underscore may stand in a label in front, never in the registered one.
	owned := name[:len(name)-len(suffix)-1]
	label := owned[strings.LastIndexByte(owned, '.')+1:]
	if i := strings.LastIndexByte(label, '_'); i >= 0 && isASCII(s[from:to]) {
		from = to - len(suffix) - 1 - (len(label) - i - 1)
		if name, wrong = normalDomain(strings.TrimLeft(s[from:to], "-")); wrong != "" {
			return "", 0, 0, false
		}
		from = to - len(strings.TrimLeft(s[from:to], "-"))
	}
	return name, from, to, true
}

// tldShape tells whether a last label can be one: letters, or xn--….
func tldShape(s string) bool {
	if len(s) > 4 && strings.EqualFold(s[:4], "xn--") {
		return true
	}
	for _, r := range s {
		if !unicode.IsLetter(r) {
			return false
		}
	}
	return true
}

// labelsStart gives where the labels begin that can be part of a name, going
// left from the end.
func labelsStart(s string) int {
	end := len(s)
	for end > 0 {
		dot := strings.LastIndexByte(s[:end], '.')
		label := s[dot+1 : end]
		if plus := strings.LastIndexByte(label, '+'); plus >= 0 {
			return dot + 1 + plus + 1
		}
		if bare := strings.TrimLeft(label, "-"); len(bare) < len(label) || bare == "" {
			if bare == "" || strings.HasSuffix(bare, "-") {
				return end + 1
			}
			return end - len(bare)
		}
		if strings.HasSuffix(label, "-") || len(label) > 63 {
			return min(end+1, len(s))
		}
		if dot < 0 {
			return 0
		}
		end = dot
	}
	return 0
}

// signsEnd gives where the signs at the end of an atom begin.
func signsEnd(s string) int {
	n := len(s)
	for n > 0 && isSign(s[n-1]) {
		n--
	}
	return n
}

// signsStart gives where the signs at the start of an atom end.
func signsStart(s string) int {
	n := 0
	for n < len(s) && isSign(s[n]) {
		n++
	}
	return n
}

func isSign(c byte) bool { return c == '.' || c == '-' || c == '_' || c == '+' }

// onlyDigits tells whether s holds nothing but digits and dots.
func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] != '.' && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}
