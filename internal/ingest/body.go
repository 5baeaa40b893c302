package ingest

import (
	"bytes"
	"cmp"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"riposte/internal/fault"
)

const (
	// MaxBody is the largest request body in bytes, also unpacked.
	MaxBody = 32 << 20
	// bodiesAtOnce is how many bytes of bodies are held at once. Beyond, senders are
	// asked to come again: what they send waits with them, not here.
	bodiesAtOnce = 128 << 20
	// zstdWindow is how far back zstd may refer; what needs more is no event.
	zstdWindow = 8 << 20
)

// room is how many bytes may be held at once, by all requests together.
type room struct {
	most int64 // 0 means bodiesAtOnce
	used atomic.Int64
}

// errFull is what a sender is answered while there is no room.
var errFull = fmt.Errorf("too much is being read at once; send it again: %w", fault.Transient)

// share is what one request holds of the room.
type share struct {
	room *room
	held int64
}

// take holds n bytes more; an error, and nothing held, where there is no room.
func (s *share) take(n int) error {
	if s.room.used.Add(int64(n)) > cmp.Or(s.room.most, bodiesAtOnce) {
		s.room.used.Add(-int64(n))
		return errFull
	}
	s.held += int64(n)
	return nil
}

func (s *share) leave() { s.room.used.Add(-s.held) }

// held reads from r as long as there is room for it.
type held struct {
	r     io.Reader
	share *share
}

func (h held) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if n > 0 {
		if full := h.share.take(n); full != nil {
			return 0, full
		}
	}
	return n, err
}

// wireBody reads a body as it is sent, packed or not.
func wireBody(w http.ResponseWriter, r *http.Request, s *share) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	return readLimited(http.MaxBytesReader(w, r.Body, MaxBody), max(0, int(r.ContentLength)), s)
}

// unpacked is a body without its compression. What comes out of it is limited as
// what goes in.
func unpacked(body []byte, encodings []string, s *share) ([]byte, error) {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(encodings, ",")))
	if coding == "" || coding == "identity" {
		return body, nil
	}
	r, err := unpacker(body, coding)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	out, err := readLimited(r, min(4*len(body), MaxBody), s)
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) && !errors.Is(err, fault.Transient) {
		return nil, fmt.Errorf("the body is said to be %s, and is not, or is cut off: %v: %w", coding, plainRead(err), fault.Invalid)
	}
	return out, err
}

func unpacker(body []byte, coding string) (io.ReadCloser, error) {
	in := bytes.NewReader(body)
	var r io.ReadCloser
	var err error
	switch coding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(in)
	case "deflate": // zlib by the standard, without its frame by the habit of some
		if len(body) > 1 && body[0]&0x0f == 8 && (int(body[0])<<8|int(body[1]))%31 == 0 {
			r, err = zlib.NewReader(in)
		} else {
			r = flate.NewReader(in)
		}
	case "zstd":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(MaxBody+1)); err == nil {
			r = z.IOReadCloser()
		}
	default:
		return nil, fmt.Errorf("content encoding %q is not understood; expected gzip, deflate, zstd or none: %w", coding, fault.Invalid)
	}
	if err != nil {
		return nil, fmt.Errorf("the body is said to be %s, and is not: %v: %w", coding, plainRead(err), fault.Invalid)
	}
	return r, nil
}

// readLimited reads all of r, about as long as expected, up to MaxBody.
func readLimited(r io.Reader, expected int, s *share) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(min(expected, 1<<20) + bytes.MinRead)
	n, err := buf.ReadFrom(held{io.LimitReader(r, MaxBody+1), s})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large), n > MaxBody, errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, tooLarge()
	case errors.Is(err, fault.Transient):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("read the body: %v: %w", plainRead(err), fault.Invalid)
	}
	return buf.Bytes(), nil
}

// plainRead is what went wrong, without what this package says of it itself.
func plainRead(err error) string {
	return strings.TrimSuffix(strings.TrimPrefix(err.Error(), "read the body: "), ": "+fault.Invalid.Error())
}

// tooLarge is what a body that is read no further is answered with.
func tooLarge() error {
	return fmt.Errorf("read the body: %w: %w", &http.MaxBytesError{Limit: MaxBody}, fault.Invalid)
}

// charsets are the encodings that bodies come in besides UTF-8.
var charsets = map[string]encoding.Encoding{
	"utf-16": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "utf-16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf-16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "iso-8859-1": charmap.Windows1252, "latin1": charmap.Windows1252,
	"windows-1252": charmap.Windows1252, "cp1252": charmap.Windows1252, "iso-8859-15": charmap.ISO8859_15,
}

// inUTF8 is a body in UTF-8: by what is said of it, else by how it begins. What
// has no meaning in its encoding is marked when an event is read.
func inUTF8(body []byte, charset string) ([]byte, error) {
	charset = strings.ToLower(charset)
	in := charsets[charset]
	switch {
	case in != nil:
		if utf8.Valid(body) && !strings.HasPrefix(charset, "utf-16") {
			return body, nil // said by habit
		}
	case charset != "" && charset != "utf-8" && charset != "utf8" && charset != "us-ascii" && charset != "ascii":
		return nil, fmt.Errorf("charset %q is not understood; send UTF-8: %w", charset, fault.Invalid)
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), len(body) > 3 && body[0] != 0 && body[1] == 0 && body[3] == 0:
		in = charsets["utf-16le"]
	case bytes.HasPrefix(body, []byte{0xfe, 0xff}), len(body) > 3 && body[0] == 0 && body[1] != 0 && body[2] == 0:
		in = charsets["utf-16be"]
	default:
		return body, nil
	}
	out, err := in.NewDecoder().Bytes(body)
	if err != nil {
		return nil, fmt.Errorf("the body is not in the charset that it is said to be in: %v: %w", err, fault.Invalid)
	}
	return bytes.TrimPrefix(out, []byte(byteOrderMark)), nil
}

// media reads a content type; one that cannot be read says nothing.
func media(contentType string) (kind, charset string) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", ""
	}
	return kind, params["charset"]
}

// drain reads on what is too large, without keeping it: many clients send all of
// a body before they look at the answer, and would only see that the connection
// broke. One that asks before it sends is told at once.
func drain(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, 8*MaxBody) // the answer is the same when it breaks
	}
}
