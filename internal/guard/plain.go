package guard

import (
	"net/netip"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Whoever picks a target may write it in any way that products take for the same
// object. Lists and targets are therefore compared in one plain form each.

// plainText drops differences that are none to people: letters large or small,
// and those of another width or composed in another way.
func plainText(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return strings.ToLower(norm.NFKC.String(s))
		}
	}
	return strings.ToLower(s)
}

// plainDomain writes a domain as lists hold it: small letters, no dot at the
// end, other alphabets in their ASCII form.
func plainDomain(s string) string {
	s = strings.ToLower(s)
	for i := range len(s) {
		if s[i] >= 0x80 {
			s = toASCII(s)
			break
		}
	}
	return strings.TrimSuffix(s, ".")
}

// toASCII writes a domain of another alphabet as it is asked for in the DNS.
// What is no domain comes back as it is, and matches nothing.
func toASCII(s string) string {
	if a, err := idna.Lookup.ToASCII(s); err == nil {
		return a
	}
	if a, err := idna.Punycode.ToASCII(plainText(s)); err == nil {
		return a
	}
	return s
}

// plainHost writes a machine's name without what Windows puts around it:
// CORP\DC01$ and \\dc01 are dc01.
func plainHost(s string) string {
	s = s[strings.LastIndexByte(s, '\\')+1:]
	return strings.TrimSuffix(plainDomain(plainText(s)), "$")
}

// userParts takes an account's name apart: DOMAIN\name, DOMAIN/name, name@domain,
// and a distinguished name (RFC 4514), whose first part is taken for the name.
func userParts(s string) (name, domain string) {
	s = plainText(s)
	if i := strings.LastIndexAny(s, `\/`); i >= 0 && !strings.Contains(s, "=") {
		return s[i+1:], s[:i]
	}
	if name, domain, ok := distinguished(s); ok {
		return name, domain
	}
	name, domain, _ = strings.Cut(s, "@")
	return name, domain
}

// distinguished reads cn=name,ou=…,dc=corp,dc=example.
func distinguished(s string) (name, domain string, ok bool) {
	for i, part := range strings.Split(s, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case i == 0 && (key == "cn" || key == "uid"):
			name = value
		case i == 0:
			return "", "", false
		case key == "dc":
			domain += "." + value
		}
	}
	return name, strings.TrimPrefix(domain, "."), name != ""
}

// plainMail writes a mail address with its domain as the DNS has it.
func plainMail(s string) string {
	s = plainText(s)
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		return s[:at+1] + plainDomain(s[at+1:])
	}
	return s
}

// plainURL writes a URL without what changes nothing: name and password, the
// port that its scheme has anyway, dots in the path, escapes that need not be,
// the part behind #. Letters count as small ones.
func plainURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return strings.ToLower(s)
	}
	host, scheme := plainDomain(u.Hostname()), strings.ToLower(u.Scheme)
	if port := u.Port(); port != "" && port != map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443", "ftp": "21"}[scheme] {
		host += ":" + port
	}
	plain := scheme + "://" + host + path.Clean("/"+u.Path)
	if u.RawQuery != "" {
		plain += "?" + u.RawQuery
	}
	return strings.ToLower(plain)
}

// parseNet reads a network, or an address as a network of one.
func parseNet(s string) (netip.Prefix, bool) {
	if strings.IndexByte(s, '/') < 0 {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, false
		}
		a = plainAddr(a)
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Masked().Addr(); p.Bits() > 96 && a.BitLen() == 128 {
		if plain := plainAddr(a); plain.Is4() {
			return netip.PrefixFrom(plain, p.Bits()-96).Masked(), true
		}
	}
	return p.Masked(), true
}

// standForIPv4 are the networks in which IPv6 writes IPv4 addresses: compatible
// and mapped ones (RFC 4291), and NAT64's well-known prefix (RFC 6052).
func standForIPv4() [3]netip.Prefix {
	at := func(b ...byte) netip.Prefix {
		var a [16]byte
		copy(a[12-len(b):], b)
		return netip.PrefixFrom(netip.AddrFrom16(a), 96)
	}
	return [3]netip.Prefix{at(), at(0xff, 0xff), at(0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0)}
}

// plainAddr undoes the ways to write an IPv4 address as an IPv6 one, so that a
// protected address is not reached under another name.
func plainAddr(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	b := a.As16()
	v4 := netip.AddrFrom4([4]byte(b[12:]))
	for _, net := range standForIPv4() {
		// :: and ::1 are addresses of their own.
		if net.Contains(a) && (b[12] != 0 || net.Addr() != netip.IPv6Unspecified()) {
			return v4
		}
	}
	return a
}
