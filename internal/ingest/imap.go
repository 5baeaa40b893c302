package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"riposte/internal/fault"
)

// Mailbox reads the mails of a folder, one alert each. A mail counts as read when
// it is on disk, together with its number (UID) as the cursor; only then happens
// to it in the mailbox what After says. The folder's numbers may begin anew
// (UIDVALIDITY): then all is read again, and what came before is known by its
// Message-ID and the hash of the whole mail.
type Mailbox struct {
	Source  Source
	Sink    Sink
	Dial    func(ctx context.Context) (MailServer, error)
	Folder  string
	After   MailAfter
	MoveTo  string // with AfterMove
	FromNow bool   // begin with what comes from now on, not with the oldest
	Cursor  []byte // where it stopped last time, nil: never read
	Of      string // whose folder it is, USER@HOST: a cursor of another is not used
	// Keep keeps a mail that is too large to be held in the database, and gives its
	// hash; required.
	Keep  func(ctx context.Context, raw []byte) (hash string, err error)
	Renew time.Duration // how long to wait for news at most before looking all the same; 0 means 9 min
	// Tell is told when the server refuses what After wants, "" when it does not;
	// nil: nobody.
	Tell func(problem string)
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil means slog.Default

	state  mailState
	missed map[uint32]bool // numbers that the server named and has no mail for
}

// MailAfter is what becomes of a mail in its mailbox once it is stored.
type MailAfter string

// What may become of it.
const (
	AfterLeave MailAfter = "leave" // nothing
	AfterSeen  MailAfter = "seen"  // it is marked as read
	AfterMove  MailAfter = "move"  // it is moved to another folder
)

// MailServer is what a Mailbox needs of a mail server. All methods end when the
// context of Dial does, and give up on a server that takes too long or sends too
// much.
type MailServer interface {
	// Select opens a folder: what its numbers are valid for, and the number that the
	// next mail gets, 0 where the server does not say.
	Select(folder string) (validity, next uint32, err error)
	// Above lists the numbers above one, ascending, at most so many; of mails that
	// came at since or later where that is not zero.
	Above(number uint32, since time.Time, most int) ([]uint32, error)
	// Fetch reads a mail without marking it; ok is false where there is none.
	Fetch(number uint32) (m FetchedMail, ok bool, err error)
	// Finish does what After says to mails that are stored: fault.Denied where the
	// server refuses.
	Finish(numbers []uint32, after MailAfter, moveTo string) error
	// Wait returns when there may be something new, at the latest after a time.
	Wait(most time.Duration) error
	Close()
}

// FetchedMail is a mail as the server gave it.
type FetchedMail struct {
	Raw  []byte
	Size int64 // of the whole mail, where Raw is cut
}

const (
	// renewMail is how long a wait for news lasts. RFC 2177 demands 29 minutes at
	// most; firewalls forget silent connections sooner.
	renewMail = 9 * time.Minute
	// firstMailWait is how long the first wait lasts after mails have come; each one
	// without is twice as long. Some servers do not tell of a mail that came between
	// the last look and the beginning of the wait.
	firstMailWait = time.Second
	// mailsAtOnce and mailBytesAtOnce bound what goes into one transaction.
	mailsAtOnce     = 50
	mailBytesAtOnce = 16 << 20
	// mostTodo is how many mails are remembered for what After says while the server
	// refuses it; more are left as they are.
	mostTodo = 5000
	// mailKeysFor is how long mails are known by their keys: how old they may be
	// when the folder's numbers begin anew.
	mailKeysFor = 400 * 24 * time.Hour
)

// mailState is a mailbox's cursor.
type mailState struct {
	Of       string    `json:"of"`
	Validity uint32    `json:"validity"`
	Last     uint32    `json:"last"`           // the highest number that is stored
	Todo     []uint32  `json:"todo,omitempty"` // stored, and perhaps not yet what After says
	Since    time.Time `json:"since,omitzero"` // older mails are none of ours
}

// Run reads until ctx ends. An error is for what may be better later.
func (b *Mailbox) Run(ctx context.Context) error {
	if b.Now == nil {
		b.Now = time.Now
	}
	if b.Log == nil {
		b.Log = slog.Default()
	}
	if b.Renew == 0 {
		b.Renew = renewMail
	}
	if b.Tell == nil {
		b.Tell = func(string) {}
	}
	b.state, b.missed = mailState{Of: b.Of}, map[uint32]bool{}
	if len(b.Cursor) > 0 {
		var kept mailState
		if err := json.Unmarshal(b.Cursor, &kept); err != nil {
			return fmt.Errorf("cursor of source %s: %v: %w", b.Source.Name, err, fault.Invalid)
		}
		if kept.Of == b.Of {
			b.state = kept
		}
	}
	server, err := b.Dial(ctx)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer server.Close()
	if err := b.open(ctx, server); err != nil {
		return unlessEnded(ctx, err)
	}
	for wait, last := firstMailWait, b.state.Last; ctx.Err() == nil; wait = min(2*wait, b.Renew) {
		if err := b.take(ctx, server); err != nil {
			return unlessEnded(ctx, err)
		}
		if b.state.Last != last {
			wait, last = firstMailWait, b.state.Last
		}
		if err := server.Wait(min(wait, b.Renew)); err != nil {
			return unlessEnded(ctx, err)
		}
	}
	return nil
}

// unlessEnded drops the errors that come of being ended.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open selects the folder and finds out where to go on in it.
func (b *Mailbox) open(ctx context.Context, server MailServer) error {
	validity, next, err := server.Select(b.Folder)
	if err != nil {
		return err
	}
	s := &b.state
	switch {
	case s.Validity == validity:
		return nil
	case s.Validity != 0:
		b.Log.Warn("the folder's numbers have begun anew; its mails are read again and known ones left out", "source", b.Source.Name, "folder", b.Folder)
		s.Validity, s.Last, s.Todo = validity, 0, nil
		return nil
	}
	s.Validity = validity
	if !b.FromNow {
		return nil
	}
	s.Since = b.Now().UTC()
	if next > 0 {
		s.Last = next - 1
	} else {
		for { // the server does not say which number comes next
			some, err := server.Above(s.Last, time.Time{}, mailsAtOnce)
			if err != nil {
				return err
			}
			if len(some) == 0 {
				break
			}
			s.Last = some[len(some)-1]
		}
	}
	return b.store(ctx, Batch{Source: b.Source.Name}, *s)
}

// take stores all mails that are new.
func (b *Mailbox) take(ctx context.Context, server MailServer) error {
	for ctx.Err() == nil {
		if err := b.finish(server); err != nil {
			return err
		}
		more, err := b.some(ctx, server)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// some stores a few mails; more tells that there were any.
func (b *Mailbox) some(ctx context.Context, server MailServer) (more bool, err error) {
	since := time.Time{}
	if b.FromNow {
		since = b.state.Since
	}
	numbers, err := server.Above(b.state.Last, since, mailsAtOnce)
	if err != nil {
		return false, err
	}
	now := b.Now().UTC().Truncate(time.Microsecond)
	batch, next, size := Batch{Source: b.Source.Name, Forget: now.Add(-mailKeysFor)}, b.state, 0
	next.Todo = slices.Clone(b.state.Todo)
	for _, n := range numbers {
		if b.missed[n] {
			continue
		}
		m, ok, err := server.Fetch(n)
		if err != nil {
			return false, err
		}
		if !ok { // it is gone meanwhile, or never was
			if len(b.missed) < 10*mailsAtOnce {
				b.missed[n] = true
			}
			continue
		}
		if err := b.add(ctx, &batch, m, n, now); err != nil {
			return false, err
		}
		next.Last = max(next.Last, n)
		if len(next.Todo) < mostTodo && (b.After == AfterSeen || b.After == AfterMove) {
			next.Todo = append(next.Todo, n)
		}
		if size += len(m.Raw); size >= mailBytesAtOnce {
			break
		}
	}
	if next.Last == b.state.Last {
		return false, nil
	}
	return true, b.store(ctx, batch, next)
}

// add reads a mail and adds it to a batch.
func (b *Mailbox) add(ctx context.Context, batch *Batch, m FetchedMail, number uint32, now time.Time) error {
	event, hash, large, err := mailEvent(m, mailPlace{Account: b.Of, Folder: b.Folder, Number: number, Validity: b.state.Validity})
	if err != nil {
		return err
	}
	var blobs []string
	if large {
		kept, err := b.Keep(ctx, m.Raw)
		if err != nil {
			return fmt.Errorf("keep a mail of %d bytes: %w", len(m.Raw), err)
		}
		blobs = []string{kept}
	}
	r := b.Source.readEvent(event, now)
	if !r.is {
		batch.Skipped++
		return nil
	}
	batch.Alerts, batch.Keys = append(batch.Alerts, r.alert), append(batch.Keys, hash)
	batch.Blobs = append(batch.Blobs, blobs)
	return nil
}

// store hands a batch over together with where to go on.
func (b *Mailbox) store(ctx context.Context, batch Batch, next mailState) (err error) {
	if batch.Cursor, err = json.Marshal(next); err != nil {
		return err
	}
	if _, err := b.Sink.Take(ctx, batch); err != nil {
		return err
	}
	b.state = next
	return nil
}

// finish does what After says to the mails that were stored. Done twice, after a
// crash, it does no harm. Where the server refuses it, mails are taken all the
// same, and people told.
func (b *Mailbox) finish(server MailServer) error {
	if len(b.state.Todo) == 0 {
		return nil
	}
	err := server.Finish(b.state.Todo, b.After, b.MoveTo)
	switch {
	case err == nil:
		b.state.Todo = nil // the cursor tells so with the next mails: until then it may be done again
		b.Tell("")
	case errors.Is(err, fault.Denied):
		b.Tell(fmt.Sprintf("mails are stored, but the server refuses after: %s: %s", b.After, strings.TrimSuffix(err.Error(), ": "+fault.Denied.Error())))
	default:
		return err
	}
	return nil
}

// hide takes a password out of what a server said.
func hide(err error, password string) error {
	if err == nil || password == "" || !strings.Contains(err.Error(), password) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), password, "[secret]"))
}
