package mail

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// decodeTransfer undoes a Content-Transfer-Encoding. What is not known is left
// as it is.
func decodeTransfer(encoding string, b []byte) []byte {
	encoding, _, _ = strings.Cut(strings.TrimSpace(strings.ToLower(encoding)), ";")
	switch strings.TrimSpace(encoding) {
	case "base64":
		return decodeBase64(b)
	case "quoted-printable", "quoted/printable", "quotedprintable":
		return decodeQuoted(b, false)
	case "x-uuencode", "uuencode", "x-uue", "uue":
		return decodeUU(b)
	}
	return b
}

// decodeBase64 drops what is not of the alphabet and needs no padding; text that
// was encoded in pieces, each with its padding, is read piece by piece.
func decodeBase64(b []byte) []byte {
	out := make([]byte, 0, len(b)*3/4+3)
	var group [4]byte
	var three [3]byte
	n := 0
	flush := func() { // a group may be short
		if size, err := base64.RawStdEncoding.Decode(three[:], group[:n]); err == nil {
			out = append(out, three[:size]...)
		}
		n = 0
	}
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
		case c == '-':
			c = '+'
		case c == '_':
			c = '/'
		case c == '=':
			flush()
			if i+1 < len(b) && b[i+1] == ' ' { // words after the end are no base64
				if end := bytes.IndexByte(b[i:], '\n'); end >= 0 {
					i += end
				} else {
					i = len(b)
				}
			}
			continue
		default:
			continue
		}
		group[n] = c
		if n++; n == 4 {
			flush()
		}
	}
	flush()
	return out
}

// decodeQuoted reads quoted-printable and leaves an "=" that means nothing as it
// is. In a word of a header there are no lines.
func decodeQuoted(b []byte, word bool) []byte {
	if bytes.IndexByte(b, '=') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c != '=' {
			out = append(out, c)
			continue
		}
		if i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			out = append(out, unhex(b[i+1])<<4|unhex(b[i+2]))
			i += 2
			continue
		}
		if word {
			out = append(out, c)
			continue
		}
		// A soft end of line, perhaps with blanks that were added on the way.
		j := i + 1
		for j < len(b) && j < i+80 && (b[j] == ' ' || b[j] == '\t' || b[j] == '\r') {
			j++
		}
		switch {
		case j < len(b) && b[j] == '\n':
			i = j
		case j == len(b):
			i = j
		default:
			out = append(out, c)
		}
	}
	return out
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// decodeUU reads what stands between begin and end.
func decodeUU(b []byte) []byte {
	var out []byte
	inside := false
	for len(b) > 0 {
		line, rest := cutLine(b)
		b = rest
		switch {
		case !inside:
			inside = bytes.HasPrefix(line, []byte("begin "))
			continue
		case bytes.Equal(bytes.TrimSpace(line), []byte("end")), len(line) == 0:
			return out
		}
		want := int(line[0]-' ') & 63
		var got []byte
		for i := 1; i+3 < len(line) && len(got) < want; i += 4 {
			a, c, d, e := (line[i]-' ')&63, (line[i+1]-' ')&63, (line[i+2]-' ')&63, (line[i+3]-' ')&63
			got = append(got, a<<2|c>>4, c<<4|d>>2, d<<6|e)
		}
		out = append(out, got[:min(want, len(got))]...)
	}
	return out
}
