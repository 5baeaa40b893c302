package mail

import (
	"bytes"
	"encoding/base64"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// decodeCharset turns bytes of a charset into UTF-8. A name that is unknown, or
// wrong, is guessed: UTF-8 where the bytes are that, else Windows-1252, which
// reads anything.
func decodeCharset(name string, b []byte) string {
	name = cleanCharset(name)
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "x-unknown", "iso-10646-ucs-2":
		return guess(b)
	case "utf-7", "unicode-1-1-utf-7":
		return decodeUTF7(b)
	case "iso-8859-1", "latin1", "iso8859-1":
		if ascii(b) {
			return string(b)
		}
		name = "windows-1252" // what those who write Latin 1 mean
	}
	if ascii(b) && !strings.HasPrefix(name, "utf-16") && !strings.HasPrefix(name, "iso-2022") && !strings.HasPrefix(name, "hz") {
		return string(b)
	}
	r, err := charset.Reader(name, bytes.NewReader(b))
	if err != nil {
		return guess(b)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return guess(b)
	}
	return strings.ToValidUTF8(string(out), "\ufffd")
}

// cleanCharset takes the name out of what senders write.
func cleanCharset(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	name = strings.TrimPrefix(name, "charset=")
	name = strings.Trim(name, "\"' ;")
	if i := strings.IndexAny(name, " \t\r\n<>\"';"); i >= 0 {
		name = name[:i]
	}
	name = strings.TrimPrefix(name, "=")
	if len(name) > 40 {
		return ""
	}
	switch name {
	case "ks_c_5601-1987", "ks_c_5601-1989", "ks_c_5601", "cp949", "uhc", "x-windows-949":
		return "euc-kr"
	case "cp1251", "win-1251", "windows1251":
		return "windows-1251"
	case "cp1252", "ansi", "x-ansi":
		return "windows-1252"
	case "gb2312", "gb_2312-80", "x-gbk", "cp936":
		return "gbk"
	case "iso-2022-jp-1", "iso-2022-jp-2", "cp50220", "cp50221", "iso-2022-jp-ms":
		return "iso-2022-jp"
	case "cp932", "x-sjis", "shift-jis", "ms_kanji", "windows-31j":
		return "shift_jis"
	case "iso-8859-8-i", "iso-8859-8-e":
		return "iso-8859-8"
	}
	return name
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func guess(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	if mostlyUTF8(b) {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	r, err := charset.Reader("windows-1252", bytes.NewReader(b))
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return string(out)
}

// mostlyUTF8 tells whether a text is UTF-8 with a few broken places, such as one
// that was cut: most of its bytes beyond ASCII are parts of characters.
func mostlyUTF8(b []byte) bool {
	good, bad := 0, 0
	for len(b) > 0 {
		c, size := utf8.DecodeRune(b)
		switch {
		case c == utf8.RuneError && size == 1:
			bad++
		case size > 1:
			good++
		}
		b = b[size:]
	}
	return good > 4*bad
}

// decodeUTF7 reads UTF-7 (RFC 2152), by which mails hide from filters.
func decodeUTF7(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		plus := bytes.IndexByte(b, '+')
		if plus < 0 {
			break
		}
		out.Write(b[:plus])
		b = b[plus+1:]
		n := 0
		for n < len(b) && (b[n] >= 'A' && b[n] <= 'Z' || b[n] >= 'a' && b[n] <= 'z' || b[n] >= '0' && b[n] <= '9' || b[n] == '+' || b[n] == '/') {
			n++
		}
		if n == 0 {
			out.WriteByte('+')
			b = bytes.TrimPrefix(b, []byte{'-'})
			continue
		}
		units := make([]byte, base64.RawStdEncoding.DecodedLen(n))
		size, err := base64.RawStdEncoding.Decode(units, b[:n])
		if err != nil && size == 0 {
			out.WriteByte('+')
			out.Write(b[:n])
		}
		words := make([]uint16, 0, size/2)
		for i := 0; i+1 < size; i += 2 {
			words = append(words, uint16(units[i])<<8|uint16(units[i+1]))
		}
		out.WriteString(string(utf16.Decode(words)))
		b = bytes.TrimPrefix(b[n:], []byte{'-'})
	}
	out.Write(b)
	return strings.ToValidUTF8(out.String(), "\ufffd")
}
