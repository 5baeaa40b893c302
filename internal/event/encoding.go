package event

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// readable is an event as text in UTF-8. A sender that writes UTF-16, Latin-1 or
// NUL bytes is read all the same: half of its lines lost would be worse than one
// odd character.
func readable(raw []byte) string {
	raw = bytes.Trim(bytes.TrimPrefix(decoded(raw), []byte(byteOrderMark)), " \t\r\n\x00")
	if bytes.IndexByte(raw, 0) >= 0 {
		raw = bytes.ReplaceAll(raw, []byte{0}, []byte(" "))
	}
	return string(raw)
}

// decoded is a text in UTF-8, whatever it was in.
func decoded(raw []byte) []byte {
	if order := utf16Order(raw); order != 0 {
		return fromUTF16(raw, order)
	}
	if utf8.Valid(raw) {
		return raw
	}
	return fromLatin1(raw)
}

// utf16Order tells the byte order of UTF-16, 0 for what is none. Without a mark
// it is told by every other byte being NUL at the beginning.
func utf16Order(raw []byte) byte {
	if len(raw) < 4 {
		return 0
	}
	switch {
	case raw[0] == 0xff && raw[1] == 0xfe:
		return 'l'
	case raw[0] == 0xfe && raw[1] == 0xff:
		return 'b'
	case raw[0] != 0 && raw[1] == 0 && raw[2] != 0 && raw[3] == 0:
		return 'l'
	case raw[0] == 0 && raw[1] != 0 && raw[2] == 0 && raw[3] != 0:
		return 'b'
	}
	return 0
}

func fromUTF16(raw []byte, order byte) []byte {
	units := make([]uint16, 0, len(raw)/2)
	for i := 0; i+1 < len(raw); i += 2 {
		u := uint16(raw[i]) | uint16(raw[i+1])<<8
		if order == 'b' {
			u = u<<8 | u>>8
		}
		units = append(units, u)
	}
	return bytes.TrimPrefix([]byte(string(utf16.Decode(units))), []byte(byteOrderMark))
}

// latin1 are the characters that Windows puts where ISO 8859-1 has control
// characters.
var latin1 = []rune("€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ")

// fromLatin1 reads the bytes that are no UTF-8 as Windows-1252; what is UTF-8
// stays, for mixed lines are common behind relays.
func fromLatin1(raw []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(raw) + len(raw)/8)
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size == 1 {
			r = rune(raw[0])
			if r >= 0x80 && r < 0xa0 {
				r = latin1[r-0x80]
			}
		}
		out.WriteRune(r)
		raw = raw[size:]
	}
	return out.Bytes()
}

// unfold puts line ends where a collector wrote them as \n, \r\n or #012. Before
// a small letter it may be a path, so it stays.
func unfold(s string) string {
	if strings.Contains(s, "#01") {
		s = strings.NewReplacer("#015#012", "\n", "#012", "\n", "#011", "\t").Replace(s)
	}
	if !strings.Contains(s, `\n`) {
		return s
	}
	var out strings.Builder
	for {
		at := strings.Index(s, `\n`)
		if at < 0 {
			out.WriteString(s)
			return out.String()
		}
		next := byte(' ')
		if at+2 < len(s) {
			next = s[at+2]
		}
		if next >= 'a' && next <= 'z' || at > 0 && s[at-1] == '\\' {
			out.WriteString(s[:at+2])
		} else {
			out.WriteString(strings.TrimSuffix(s[:at], `\r`))
			out.WriteByte('\n')
		}
		s = s[at+2:]
	}
}
