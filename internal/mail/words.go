package mail

import (
	"bytes"
	"strings"
)

// decodeWords reads the encoded words of a header (RFC 2047), also those that
// are cut inside a character, have no padding, or hold blanks.
func decodeWords(b []byte) string {
	if !bytes.Contains(b, []byte("=?")) {
		return decodeCharset("", b)
	}
	var out strings.Builder
	pending, charset := []byte(nil), "" // bytes of words that follow each other
	flush := func() {
		if pending != nil {
			out.WriteString(decodeCharset(charset, pending))
			pending = nil
		}
	}
	for len(b) > 0 {
		start := bytes.Index(b, []byte("=?"))
		if start < 0 {
			break
		}
		word, size, set := encodedWord(b[start:])
		if size == 0 {
			flush()
			out.WriteString(decodeCharset("", b[:start+2]))
			b = b[start+2:]
			continue
		}
		between := b[:start]
		if pending == nil || len(bytes.TrimSpace(between)) > 0 { // blanks between two words are none
			flush()
			out.WriteString(decodeCharset("", between))
		}
		if pending != nil && !equalFold(charset, set) {
			flush()
		}
		pending, charset = append(pending, word...), set
		if pending == nil {
			pending = []byte{}
		}
		b = b[start+size:]
	}
	flush()
	out.WriteString(decodeCharset("", b))
	return out.String()
}

// encodedWord reads =?charset?B?text?= at the beginning of b. size is 0 where
// there is none.
func encodedWord(b []byte) (decoded []byte, size int, charset string) {
	const mostWord = 4096 // words of one kilobyte are seen; RFC 2047 allows 75
	in := b[2:min(len(b), mostWord)]
	q := bytes.IndexByte(in, '?')
	if q <= 0 || len(in) < q+3 || in[q+2] != '?' || bytes.ContainsAny(in[:q], " \t") {
		return nil, 0, ""
	}
	charset, _, _ = strings.Cut(string(in[:q]), "*") // a language may follow (RFC 2231)
	kind := in[q+1]
	text := in[q+3:]
	end := bytes.Index(text, []byte("?="))
	// A text of kind Q may begin with "=" after the question mark.
	if end == 0 && len(text) > 2 && (kind == 'q' || kind == 'Q') {
		if more := bytes.Index(text[2:], []byte("?=")); more >= 0 && isHex(text[2]) {
			end = more + 2
		}
	}
	if end < 0 {
		return nil, 0, ""
	}
	size = 2 + q + 3 + end + 2
	switch kind {
	case 'b', 'B':
		return decodeBase64(text[:end]), size, charset
	case 'q', 'Q':
		return decodeQuoted(bytes.ReplaceAll(text[:end], []byte{'_'}, []byte{' '}), true), size, charset
	}
	return nil, 0, ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f'
}
