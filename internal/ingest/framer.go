package ingest

import (
	"bytes"
	"fmt"
	"strconv"
)

// framer finds the syslog messages in what a connection sends. RFC 6587 has two
// ways to tell them apart, and senders use both on one port: a count before each
// message (octet counting), or a line feed or NUL after it. Which one it is shows
// message by message.
type framer struct {
	max int // bytes of a message

	buf     []byte
	at      int     // of the first byte in buf not handed out
	skip    int     // bytes still to come of a message that was too long
	passing bool    // over the rest of a line that was too long
	nul     bool    // messages end with NUL: a line feed is part of them
	last    framing // of the message before
}

// framing is how a message's end is told.
type framing int

const (
	undecided framing = iota // more must come first
	counted
	delimited
)

// message is one message, and why it is not whole, "" where it is.
type message struct {
	raw []byte
	cut string
}

const (
	// maxCount is the largest count that is believed; beyond, the sender and the
	// framer disagree about where messages begin.
	maxCount = 64 << 20
	// countDigits is as many as a count may have: ten tell even an absurd one.
	countDigits = 10
)

// feed adds what has come.
func (f *framer) feed(p []byte) {
	if f.at > 0 {
		f.buf = f.buf[:copy(f.buf, f.buf[f.at:])]
		f.at = 0
	}
	f.buf = append(f.buf, p...)
}

// next gives the next whole message; ok is false until more has come.
func (f *framer) next() (m message, ok bool) {
	if !f.passOver() {
		return m, false
	}
	how, n, head := f.framing()
	switch how {
	case counted:
		return f.counted(n, head)
	case delimited:
		return f.delimited()
	case undecided:
	}
	return m, false
}

// passOver leaves behind what belongs to no message; false: nothing is left.
func (f *framer) passOver() bool {
	if f.skip > 0 {
		n := min(f.skip, len(f.buf)-f.at)
		f.skip -= n
		f.at += n
	}
	if f.passing {
		end := f.end()
		if end < 0 {
			f.at = len(f.buf)
			return false
		}
		f.at += end + 1
		f.passing = false
	}
	for f.at < len(f.buf) && (f.buf[f.at] == '\n' || f.buf[f.at] == '\r' || f.buf[f.at] == 0) {
		f.at++
	}
	return f.at < len(f.buf)
}

// framing tells how the message that begins now ends: after n bytes behind a
// head of some, or at a delimiter.
func (f *framer) framing() (how framing, n, head int) {
	b := f.buf[f.at:]
	digits := 0
	for digits < len(b) && digits <= countDigits && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	if digits == 0 || digits > countDigits || b[0] == '0' {
		return delimited, 0, 0
	}
	if digits == len(b) {
		return undecided, 0, 0
	}
	if b[digits] != ' ' {
		return delimited, 0, 0
	}
	n, err := strconv.Atoi(string(b[:digits]))
	if err != nil || n > maxCount {
		return delimited, 0, 0 // kept as a line, with what is odd about it
	}
	return f.meant(n, digits+1), n, digits + 1
}

// meant tells whether a number before a message is its count, or the beginning
// of a line such as "12 Jan 2026 …".
func (f *framer) meant(n, head int) framing {
	body := f.buf[f.at+head:]
	switch {
	case len(body) == 0:
		return undecided
	case f.last == counted:
		return counted
	case body[0] == '<':
		return startsWithPriority(body)
	case f.last == delimited:
		return delimited
	case body[0] == '{':
		return counted
	case len(body) >= n:
		// The first message of a connection, without a priority: the count is one
		// if a message ends where it says. Senders write a message at once.
		if len(body) == n || body[n] >= '1' && body[n] <= '9' || body[n] == '\n' || body[n] == '\r' {
			return counted
		}
		return delimited
	case bytes.IndexByte(body, '\n') >= 0:
		return delimited
	}
	return undecided
}

// startsWithPriority tells whether <N> begins a message.
func startsWithPriority(b []byte) framing {
	if len(b) > 0 && b[0] != '<' {
		return delimited
	}
	for i := 1; i < 5; i++ {
		switch {
		case i >= len(b):
			return undecided
		case b[i] == '>' && i > 1:
			return counted
		case b[i] < '0' || b[i] > '9':
			return delimited
		}
	}
	return delimited
}

func (f *framer) counted(n, head int) (m message, ok bool) {
	b := f.buf[f.at+head:]
	if len(b) < min(n, f.max) {
		return m, false
	}
	f.last = counted
	whole := b[:min(n, f.max)]
	m.raw = bytes.Clone(bytes.TrimRight(whole, "\r\n\x00")) // some count the end of a line, too
	f.at += head + len(whole)
	if n > f.max {
		m.cut = fmt.Sprintf("the message has %d bytes; only the first %d are kept", n, f.max)
		f.skip = n - f.max
	}
	return m, true
}

// end finds the delimiter of the message that begins now; -1: it has not come.
func (f *framer) end() int {
	b := f.buf[f.at:]
	if f.nul {
		return bytes.IndexByte(b, 0)
	}
	line, nul := bytes.IndexByte(b, '\n'), bytes.IndexByte(b, 0)
	switch {
	case nul < 0:
		return line
	case nul < 2:
		return line // two bytes a character, not the end of a message
	case f.last == undecided && (line < 0 || line > nul || startsWithPriority(b[line+1:]) != counted):
		f.nul = true // this sender's messages may hold line feeds
		return nul
	case line < 0:
		return nul
	}
	return min(line, nul)
}

func (f *framer) delimited() (m message, ok bool) {
	end := f.end()
	length := end
	if end < 0 {
		if length = len(f.buf) - f.at; length <= f.max {
			return m, false
		}
		f.passing = true
	}
	f.last = delimited
	m = f.line(length)
	if f.at += length; !f.passing {
		f.at++
	}
	return m, true
}

// line is a message of some length at where the framer is.
func (f *framer) line(length int) (m message) {
	b := f.buf[f.at : f.at+length]
	if len(b) > f.max {
		m.cut = fmt.Sprintf("the message is longer than %d bytes; only the first %d are kept", f.max, f.max)
		b = b[:f.max]
	}
	if n, odd := absurdCount(b); odd {
		m.cut = fmt.Sprintf("the message says that it has %s bytes; the most that is believed is %d", n, maxCount)
	}
	m.raw = bytes.Clone(bytes.TrimRight(b, "\r"))
	return m
}

// absurdCount finds a count before a priority that cannot be one.
func absurdCount(b []byte) (n string, odd bool) {
	digits := 0
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	if digits == 0 || digits+1 >= len(b) || b[digits] != ' ' || startsWithPriority(b[digits+1:]) != counted {
		return "", false
	}
	value, err := strconv.ParseUint(string(b[:digits]), 10, 64)
	return string(b[:digits]), err != nil || value > maxCount
}

// waits tells whether a message has begun and not ended.
func (f *framer) waits() bool { return f.at < len(f.buf) && !f.passing || f.skip > 0 }

// rest gives what is left of a message that will not go on. One whose end nobody
// has announced is taken as whole: many senders leave the last delimiter out.
func (f *framer) rest(why string) (m message, ok bool) {
	if f.skip > 0 || f.passing || !f.passOver() {
		return m, false
	}
	how, n, head := f.framing()
	b := f.buf[f.at:]
	f.at = len(f.buf)
	if how == counted {
		f.last = counted
		return message{raw: bytes.Clone(b[head:]), cut: fmt.Sprintf("%s after %d of the message's %d bytes", why, len(b)-head, n)}, true
	}
	f.at -= len(b)
	m = f.line(len(b))
	f.at = len(f.buf)
	f.last = delimited
	return m, true
}
