package mail

import (
	"net/netip"
	"strings"
)

// parseHop reads a Received header.
func parseHop(value string) Hop {
	var h Hop
	route, date := value, ""
	if i := strings.LastIndexByte(value, ';'); i >= 0 {
		route, date = value[:i], value[i+1:]
	}
	h.Time = parseDate(date)
	words := strings.Fields(route)
	for i := 0; i+1 < len(words); i++ {
		next := strings.Trim(words[i+1], "();,")
		switch strings.ToLower(words[i]) {
		case "from":
			if h.From == "" && i == 0 {
				h.From = next
			}
		case "by":
			if h.By == "" {
				h.By = next
				if h.IP == "" {
					h.IP = firstIP(words[:i])
				}
			}
		case "with":
			if h.With == "" {
				h.With = next
			}
		}
	}
	if h.IP == "" && h.By == "" {
		h.IP = firstIP(words)
	}
	return h
}

// firstIP finds an address in brackets, else any.
func firstIP(words []string) string {
	other := ""
	for _, w := range words {
		bracketed := strings.Contains(w, "[")
		if _, in, ok := strings.Cut(w, "["); ok {
			w = in
		}
		w = strings.TrimPrefix(strings.TrimPrefix(strings.Trim(w, "[](){};,"), "IPv6:"), "ipv6:")
		if before, _, ok := strings.Cut(w, "]"); ok {
			w = before
		}
		ip, err := netip.ParseAddr(w)
		switch {
		case err != nil:
		case bracketed:
			return ip.WithZone("").String()
		case other == "":
			other = ip.WithZone("").String()
		}
	}
	return other
}

// parseAuthentication reads Authentication-Results (RFC 8601).
func parseAuthentication(value string) *Authentication {
	a := &Authentication{}
	for i, part := range strings.Split(dropComments(value), ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		method, result, ok := strings.Cut(words[0], "=")
		if !ok {
			if i == 0 {
				a.Server = words[0]
			}
			continue
		}
		result = strings.ToLower(result)
		method, _, _ = strings.Cut(strings.ToLower(method), "/")
		switch method {
		case "spf":
			a.SPF = first(a.SPF, result)
		case "dkim":
			if a.DKIM != "pass" { // one good signature is enough
				a.DKIM = result
			}
		case "dmarc":
			a.DMARC = first(a.DMARC, result)
		}
	}
	return a
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
