package connector

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"riposte/internal/strictyaml"
)

// Formats lists the values of format that are checked, besides those of JSON
// Schema itself such as date-time and uuid.
var Formats = []string{"ipv4", "ipv6", "ip", "cidr", "domain", "url", "email", "sha256", "host", "duration"}

var errFormat = errors.New("has another form")

// checkFormat tells whether a text has one of our formats.
func checkFormat(format, s string) bool {
	switch format {
	case "ipv4":
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is4()
	case "ipv6":
		a, err := netip.ParseAddr(s)
		return err == nil && a.Is6() && a.Zone() == ""
	case "ip":
		a, err := netip.ParseAddr(s)
		return err == nil && a.Zone() == ""
	case "cidr":
		_, err := netip.ParsePrefix(s)
		return err == nil
	case "domain":
		return isDomain(s)
	case "host":
		_, err := netip.ParseAddr(s)
		return err == nil || isHostName(s)
	case "url":
		return isURL(s)
	case "email":
		return isEmail(s)
	case "sha256":
		_, err := hex.DecodeString(s)
		return err == nil && len(s) == 64
	case "duration":
		_, err := parseDuration(s)
		return err == nil
	}
	return true
}

func parseDuration(s string) (time.Duration, error) {
	d, ok := strictyaml.ParseDuration(s)
	if !ok {
		return 0, errFormat
	}
	return d, nil
}

// isHostName takes what machines are really called: labels of letters, digits,
// hyphens and underscores.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || utf8.RuneCountInString(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.M, r) {
				return false
			}
		}
	}
	return true
}

// isDomain is a host name of two labels or more that is no address.
func isDomain(s string) bool {
	if !isHostName(s) {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	last := labels[len(labels)-1]
	return len(labels) > 1 && strings.ContainsFunc(last, unicode.IsLetter)
}

func isURL(s string) bool {
	if len(s) > 8192 || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" {
		return false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "ftp", "ws", "wss":
	default:
		return false
	}
	host := u.Hostname()
	_, err = netip.ParseAddr(host)
	return err == nil || isHostName(host)
}

func isEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if strings.ContainsFunc(local, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`()<>[]:;,@\"`, r)
	}) || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	return isHostName(domain)
}
