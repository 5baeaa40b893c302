// Package observable knows the things that alerts and mails are about:
// addresses, names, URLs, hashes, users, files. It brings them into one normal
// form, so that two writings of the same thing are equal; it takes away and puts
// on the disguise under which people pass them on (hxxp://evil[.]example); and
// it finds them in text.
package observable

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"riposte/internal/fault"
)

// Type is the kind of a thing seen.
type Type string

// The types.
const (
	IP       Type = "ip" // version 4 or 6
	CIDR     Type = "cidr"
	Domain   Type = "domain"
	URL      Type = "url"
	Email    Type = "email"
	MD5      Type = "md5"
	SHA1     Type = "sha1"
	SHA256   Type = "sha256"
	SHA512   Type = "sha512"
	CVE      Type = "cve"
	MAC      Type = "mac"
	Host     Type = "host" // the name of a machine, with or without a domain
	User     Type = "user"
	File     Type = "file" // a name or a path
	Process  Type = "process"
	Registry Type = "registry_key"
	Mailbox  Type = "mailbox"
	Message  Type = "message" // the identifier of a mail
)

// Types lists every type.
func Types() []Type {
	return []Type{
		IP, CIDR, Domain, URL, Email, MD5, SHA1, SHA256, SHA512, CVE, MAC, Host, User, File, Process, Registry, Mailbox, Message,
	}
}

// Hash stands for whichever hash has the length of the value; only Parse takes it.
const Hash Type = "hash"

// Observable is a thing seen, in its normal form. Two are the same thing exactly
// when they are equal.
type Observable struct {
	Type  Type   `json:"type"`
	Value string `json:"value"`
}

// String writes type and value, such as "ip 192.0.2.7".
func (o Observable) String() string { return string(o.Type) + " " + o.Value }

// maxValue is the longest value in bytes.
const maxValue = 8192

// Parse checks a value and brings it into its normal form: undisguised, lower
// case where case does not count, addresses in their shortest writing. An error
// wraps fault.Invalid.
func Parse(t Type, value string) (Observable, error) {
	v := strings.TrimSpace(value)
	fail := func(what string) (Observable, error) {
		return Observable{}, fmt.Errorf("%s %q: %s: %w", t, shorten(value), what, fault.Invalid)
	}
	switch {
	case v == "":
		return fail("it is empty")
	case len(v) > maxValue:
		return fail(fmt.Sprintf("it is longer than %d bytes", maxValue))
	case !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl):
		return fail("it holds control characters or is no UTF-8")
	}
	normal, what := normalise(&t, v)
	if what != "" {
		return fail(what)
	}
	return Observable{Type: t, Value: normal}, nil
}

func shorten(s string) string {
	n := 0
	for i := range s {
		if n++; n > 80 {
			return s[:i] + "…"
		}
	}
	return s
}

// normalise gives the normal form, or what is wrong. It replaces Hash by the
// hash that the value is.
func normalise(t *Type, v string) (normal, wrong string) {
	switch *t {
	case IP:
		return normalIP(v)
	case CIDR:
		return normalCIDR(v)
	case Domain:
		return normalDomain(Refang(v))
	case URL:
		return normalURL(v)
	case Email, Mailbox:
		return normalEmail(Refang(v))
	case MD5, SHA1, SHA256, SHA512, Hash:
		return normalHash(t, v)
	case CVE:
		return normalCVE(v)
	case MAC:
		return normalMAC(v)
	case Host:
		return normalHost(Refang(v))
	case User, Process, Registry, File, Message:
		return v, ""
	}
	names := make([]string, 0, 20)
	for _, known := range Types() {
		names = append(names, string(known))
	}
	return "", "unknown type; known are " + strings.Join(names, ", ")
}

func normalIP(v string) (string, string) {
	if a, ok := parseIP(strings.Trim(Refang(v), "[]")); ok {
		return a.String(), ""
	}
	return "", "expected an address such as 192.0.2.7 or 2001:db8::7"
}

// parseIP reads an address. Leading zeros, which some tools write, are decimal.
func parseIP(v string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return parseZeros(v)
	}
	return a.Unmap().WithZone(""), true
}

// parseZeros reads four numbers with leading zeros, such as 010.001.002.003.
func parseZeros(v string) (netip.Addr, bool) {
	var four [4]byte
	rest := v
	for i := range four {
		part, after, more := strings.Cut(rest, ".")
		if more != (i < 3) || len(part) == 0 || len(part) > 3 {
			return netip.Addr{}, false
		}
		n := 0
		for _, c := range part {
			if c < '0' || c > '9' {
				return netip.Addr{}, false
			}
			n = n*10 + int(c-'0')
		}
		if n > 255 {
			return netip.Addr{}, false
		}
		four[i], rest = byte(n), after
	}
	return netip.AddrFrom4(four), true
}

func normalCIDR(v string) (string, string) {
	const expected = "expected a network such as 192.0.2.0/24 or 2001:db8::/32"
	addr, bits, ok := strings.Cut(Refang(v), "/")
	a, ok2 := parseIP(addr)
	if !ok || !ok2 {
		return "", expected
	}
	p, err := netip.ParsePrefix(a.String() + "/" + bits)
	if err != nil {
		return "", expected
	}
	return p.Masked().String(), ""
}

func normalEmail(v string) (string, string) {
	const expected = "expected an address such as ann@example.com"
	at := strings.LastIndexByte(v, '@')
	if at < 1 || at == len(v)-1 || strings.ContainsAny(v, " \t<>") {
		return "", expected
	}
	local, host := strings.ToLower(v[:at]), strings.ToLower(v[at+1:])
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		if _, ok := parseIP(strings.TrimPrefix(host[1:len(host)-1], "ipv6:")); ok {
			return local + "@" + host, ""
		}
		return "", expected
	}
	if a, ok := parseIP(host); ok {
		return local + "@" + a.String(), ""
	}
	d, wrong := normalDomain(host)
	if wrong != "" {
		return "", expected
	}
	return local + "@" + d, ""
}

// hashOf gives the hash with so many hexadecimal digits.
func hashOf(digits int) (Type, bool) {
	switch digits {
	case 32:
		return MD5, true
	case 40:
		return SHA1, true
	case 64:
		return SHA256, true
	case 128:
		return SHA512, true
	}
	return "", false
}

func normalHash(t *Type, v string) (string, string) {
	if strings.ContainsFunc(v, func(r rune) bool { return !isHex(r) }) {
		return "", "expected hexadecimal digits"
	}
	found, ok := hashOf(len(v))
	switch {
	case *t == Hash && !ok:
		return "", "expected 32, 40, 64 or 128 hexadecimal digits"
	case *t == Hash:
		*t = found
	case found != *t:
		want := map[Type]int{MD5: 32, SHA1: 40, SHA256: 64, SHA512: 128}[*t]
		return "", fmt.Sprintf("expected %d hexadecimal digits, it has %d", want, len(v))
	}
	return strings.ToLower(v), ""
}

func isHex(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F'
}

func normalCVE(v string) (string, string) {
	u := strings.ToUpper(v)
	year, number, ok := strings.Cut(strings.TrimPrefix(u, "CVE-"), "-")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	if !ok || !strings.HasPrefix(u, "CVE-") || len(year) != 4 || len(number) < 4 || len(number) > 19 || !digits(year+number) {
		return "", "expected a number such as CVE-2024-3094"
	}
	return u, ""
}

func normalMAC(v string) (string, string) {
	digits := strings.ToLower(strings.NewReplacer(":", "", "-", "", ".", "").Replace(v))
	if len(digits) != 12 || strings.ContainsFunc(digits, func(r rune) bool { return !isHex(r) }) {
		return "", "expected six pairs of hexadecimal digits"
	}
	return strings.Join(slices.Collect(chunks(digits, 2)), ":"), ""
}

func chunks(s string, n int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for ; s != ""; s = s[min(n, len(s)):] {
			if !yield(s[:min(n, len(s))]) {
				return
			}
		}
	}
}

func normalHost(v string) (string, string) {
	if a, ok := parseIP(strings.Trim(v, "[]")); ok {
		return a.String(), ""
	}
	h := strings.ToLower(strings.Trim(v, ". "))
	if h == "" || len(h) > 253 || strings.ContainsFunc(h, func(r rune) bool { return !hostRune(r) }) {
		return "", "expected the name of a machine"
	}
	return h, ""
}

func hostRune(r rune) bool {
	return r == '-' || r == '.' || r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}
