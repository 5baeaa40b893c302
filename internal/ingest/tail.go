package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// Tail follows a log of one JSON object a line through rotation: by renaming,
// by copying and truncating, and while nobody was looking.
type Tail struct {
	Path   string
	Source Source
	Sink   Sink
	Cursor []byte           // where it stopped last time, nil: begin at the file's start
	Every  time.Duration    // between looks at a file that does not grow; 0 means 250 ms
	Now    func() time.Time // nil means time.Now
	// Told is told at each look how it went: nil, or why nothing can be read for now;
	// nil: nobody is.
	Told func(error)
	Log  *slog.Logger // nil means slog.Default

	file   *os.File
	reader *bufio.Reader
	cursor cursor
	upNext string       // the file to open next, "" for Path
	idle   int          // looks without anything new at a file that was renamed
	behind atomic.Int64 // bytes of the open file that are not taken yet
}

const (
	// maxChunkBytes is how much goes into one transaction, so that a backlog of
	// large events is not held in memory.
	maxChunkBytes = 8 << 20
	// lingerLooks is how many looks in a row must find nothing new in a file that
	// was renamed before it is left: its writer goes on writing into it until it is
	// told of the rotation.
	lingerLooks = 8
)

// cursor is a place in a file that may be renamed meanwhile.
type cursor struct {
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	Offset int64  `json:"offset"` // of the first byte not taken
	Head   string `json:"head"`   // SHA-256 of the first bytes, up to headBytes and Offset
}

// headBytes is how much of a file's beginning tells it from another that got
// the same inode.
const headBytes = 256

// Run follows the file until ctx ends. Only what stops it for good is an error.
func (t *Tail) Run(ctx context.Context) error {
	if t.Every == 0 {
		t.Every = 250 * time.Millisecond
	}
	if t.Now == nil {
		t.Now = time.Now
	}
	if t.Log == nil {
		t.Log = slog.Default()
	}
	if len(t.Cursor) > 0 {
		if err := json.Unmarshal(t.Cursor, &t.cursor); err != nil {
			return fmt.Errorf("cursor of source %s: %v: %w", t.Source.Name, err, fault.Invalid)
		}
	}
	defer func() {
		if t.file != nil {
			t.file.Close()
		}
	}()
	tick := time.NewTicker(t.Every)
	defer tick.Stop()
	said := ""
	for {
		more, err := t.look(ctx)
		if t.Told != nil && ctx.Err() == nil {
			t.Told(err)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && err.Error() != said:
			said = err.Error()
			t.Log.Warn("file source waits", "source", t.Source.Name, "path", t.Path, "error", said)
		case err == nil:
			said = ""
		}
		if more && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look takes what is new; more tells that there may be more at once.
func (t *Tail) look(ctx context.Context) (more bool, err error) {
	if t.file == nil {
		if err := t.open(); err != nil {
			return false, err
		}
	}
	n, err := t.take(ctx)
	t.measure()
	if n > 0 {
		t.idle = 0
	}
	if err != nil || n > 0 {
		return n > 0, err
	}
	return t.rotated()
}

// Behind is how many bytes of the file that is open are still to be taken.
func (t *Tail) Behind() (amount int64, unit string) { return t.behind.Load(), "bytes" }

// measure finds that out.
func (t *Tail) measure() {
	if t.file == nil {
		return
	}
	if _, _, size, err := identity(t.file); err == nil {
		t.behind.Store(max(0, size-t.cursor.Offset))
	}
}

// open opens the file that the cursor is in, wherever it is called now, else
// the current one from its start.
func (t *Tail) open() error {
	if t.cursor.Inode != 0 {
		for _, path := range t.candidates() {
			f, err := os.Open(path)
			if err != nil {
				continue
			}
			if same(f, t.cursor) {
				return t.use(f, t.cursor.Offset)
			}
			f.Close()
		}
	}
	path := t.Path
	if t.upNext != "" {
		path, t.upNext = t.upNext, ""
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return t.use(f, 0)
}

// successor is the file that was written after the one that is open: the oldest
// of the rotated ones that are younger, so that rotations while nobody was
// looking lose nothing. "" is the current one.
func (t *Tail) successor() string {
	open, err := t.file.Stat()
	if err != nil {
		return ""
	}
	best, found := "", time.Time{}
	for _, path := range t.candidates()[1:] {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || os.SameFile(info, open) || compressed(path) {
			continue
		}
		if at := info.ModTime(); at.After(open.ModTime()) && (best == "" || at.Before(found)) {
			best, found = path, at
		}
	}
	return best
}

// compressed tells by its name whether a rotated file cannot be read as text.
func compressed(path string) bool {
	switch filepath.Ext(path) {
	case ".gz", ".xz", ".bz2", ".zst":
		return true
	}
	return false
}

// candidates are the names that a rotated file usually gets.
func (t *Tail) candidates() []string {
	all := []string{t.Path}
	for _, mark := range []string{".*", "-*"} {
		rotated, err := filepath.Glob(escapeGlob(t.Path) + mark)
		if err == nil {
			all = append(all, rotated...)
		}
	}
	return all
}

func escapeGlob(path string) string {
	var b bytes.Buffer
	for _, r := range path {
		if bytes.ContainsRune([]byte(`*?[\`), r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// same tells whether a file is the one that a cursor is in.
func same(f *os.File, c cursor) bool {
	dev, ino, size, err := identity(f)
	return err == nil && dev == c.Device && ino == c.Inode && size >= c.Offset && head(f, c.Offset) == c.Head
}

func identity(f *os.File) (dev, ino uint64, size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0, fmt.Errorf("%s: this system tells no file identity", f.Name())
	}
	return uint64(st.Dev), st.Ino, info.Size(), nil
}

// head is the hash of a file's first bytes, at most upTo of them.
func head(f *os.File, upTo int64) string {
	b := make([]byte, min(upTo, headBytes))
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	sum := sha256.Sum256(b[:n])
	return hex.EncodeToString(sum[:8])
}

func (t *Tail) use(f *os.File, offset int64) error {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file; a file source needs one: %w", t.Path, fault.Invalid)
	}
	if err == nil {
		_, err = f.Seek(offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return err
	}
	dev, ino, _, err := identity(f)
	if err != nil {
		f.Close()
		return err
	}
	t.file, t.reader = f, bufio.NewReaderSize(f, 256<<10)
	t.cursor = cursor{Device: dev, Inode: ino, Offset: offset}
	return nil
}

// take hands over whole lines that have come, at most a chunk of them.
func (t *Tail) take(ctx context.Context) (int, error) {
	batch := Batch{Source: t.Source.Name}
	offset, n := t.cursor.Offset, 0
	now := t.Now().UTC().Truncate(time.Microsecond)
	for n < maxChunk && offset-t.cursor.Offset < maxChunkBytes {
		line, size, err := t.line()
		if err != nil {
			return 0, t.back(err)
		}
		if size == 0 {
			break
		}
		offset += size
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if r := t.Source.readEvent(line, now); r.is {
			batch.Alerts = append(batch.Alerts, r.alert)
		} else {
			batch.Skipped++
		}
	}
	if n == 0 {
		return 0, t.back(nil)
	}
	next := t.cursor
	next.Offset, next.Head = offset, head(t.file, offset)
	var err error
	if batch.Cursor, err = json.Marshal(next); err != nil {
		return 0, err
	}
	if _, err := t.Sink.Take(ctx, batch); err != nil {
		return 0, t.back(err)
	}
	t.cursor = next
	return n, nil
}

// back returns to the last place that is stored.
func (t *Tail) back(err error) error {
	if _, e := t.file.Seek(t.cursor.Offset, io.SeekStart); e != nil {
		t.file.Close()
		t.file = nil
		return errors.Join(err, e)
	}
	t.reader.Reset(t.file)
	return err
}

// line reads one whole line and its size in bytes, 0 while its end has not been
// written yet. What is over the limit of an event is read and cut.
func (t *Tail) line() ([]byte, int64, error) {
	var line []byte
	size := int64(0)
	for {
		part, err := t.reader.ReadSlice('\n')
		size += int64(len(part))
		if len(line) <= alert.MaxEventBytes {
			line = append(line, part...)
		}
		switch {
		case err == nil:
			return line, size, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, 0, nil
		default:
			return nil, 0, err
		}
	}
}

// rotated looks whether the file was truncated or another one took its name.
func (t *Tail) rotated() (more bool, err error) {
	dev, ino, size, err := identity(t.file)
	if err != nil {
		return false, err
	}
	if size < t.cursor.Offset || t.cursor.Offset > 0 && t.cursor.Head != "" && head(t.file, t.cursor.Offset) != t.cursor.Head {
		t.cursor.Offset, t.cursor.Head = 0, "" // copied and truncated
		return true, t.back(nil)
	}
	info, err := os.Stat(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // renamed; the new one will come
	}
	if err != nil {
		return false, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && (uint64(st.Dev) != dev || st.Ino != ino) {
		t.upNext = t.successor()
		if t.idle++; t.idle < lingerLooks && t.upNext == "" {
			return false, nil
		}
		return t.next()
	}
	t.upNext = ""
	return false, nil
}

// next leaves a file that was renamed. Its last line may have no end: nobody
// will write it any more, so it is taken as it is.
func (t *Tail) next() (more bool, err error) {
	rest, err := io.ReadAll(io.LimitReader(t.reader, alert.MaxEventBytes+1))
	if err != nil || bytes.IndexByte(rest, '\n') >= 0 {
		return true, t.back(err) // it has grown since the last look
	}
	if rest = bytes.TrimSpace(rest); len(rest) > 0 {
		r := t.Source.readEvent(rest, t.Now().UTC().Truncate(time.Microsecond))
		if r.is {
			if _, err := t.Sink.Take(context.Background(), Batch{Source: t.Source.Name, Alerts: []alert.Alert{r.alert}}); err != nil {
				return false, t.back(err)
			}
		}
	}
	t.file.Close()
	t.file, t.cursor, t.idle = nil, cursor{}, 0
	return true, nil
}
