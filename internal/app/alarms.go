package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"riposte/internal/engine"
	"riposte/internal/run"
	"riposte/internal/store"
)

// alarmKind names what is wrong. Those of the engine are there beside these.
type alarmKind string

// The alarms of sources and triage; the subject is the name of the source or
// the rule.
const (
	alarmSourceSilent   alarmKind = "source_silent"   // less comes than always did, or than must
	alarmSourceFlood    alarmKind = "source_flood"    // far more comes than ever did, or than may
	alarmSourceDown     alarmKind = "source_down"     // its road does not work
	alarmSourceStuck    alarmKind = "source_stuck"    // it says that there is more and does not give it
	alarmSourceLost     alarmKind = "source_lost"     // messages came that nobody had room for
	alarmSourceMissing  alarmKind = "source_missing"  // it sent more than came
	alarmIntakeWaiting  alarmKind = "intake_waiting"  // alerts wait too long for what comes next
	alarmStorm          alarmKind = "storm"           // alerts of one kind without end are folded into one case
	alarmTriageRules    alarmKind = "triage_rules"    // they are broken, or fail for alerts
	alarmClosingStopped alarmKind = "closing_stopped" // people disagree with what was closed by itself
)

// alarm is something that people must know. It stays until its cause is gone.
type alarm struct {
	Kind    alarmKind
	Subject string    // what it is about: a source, a rule; "" is the installation
	Message string    // what is wrong and what to do about it
	Since   time.Time // zero: now
}

// raise tells people of something. Raised again while it is open, an alarm only
// counts and gets the new message. It never waits: the database is told by
// keepAlarms, also later, when it takes writes again.
func (c *core) raise(a alarm) {
	c.alarms.raise(store.Alarm{Kind: string(a.Kind), Subject: a.Subject, Message: a.Message, Since: utc(a.Since)}, utc(c.now()), c.log)
}

// settle ends an alarm, if it is open: whoever raises one calls it whenever all
// is well, for a restart does not end alarms.
func (c *core) settle(kind alarmKind, subject string) {
	c.alarms.settle(string(kind), subject, utc(c.now()), c.log)
}

// alarmBook holds the alarms that are open, and those that the database does
// not know of yet.
type alarmBook struct {
	mu    sync.Mutex
	open  map[alarmKey]*heldAlarm
	over  []*heldAlarm  // ended, the database does not know it yet
	dirty chan struct{} // something is to be written
}

type alarmKey struct{ kind, subject string }

// heldAlarm is an alarm and how often it changed, so that a change during a
// write is not taken for written.
type heldAlarm struct {
	store.Alarm
	changes, written int
}

// mostOver bounds the alarms that wait for a database that takes no writes.
const mostOver = 1000

func newAlarmBook() *alarmBook {
	return &alarmBook{open: map[alarmKey]*heldAlarm{}, dirty: make(chan struct{}, 1)}
}

// openAlarms reads what was open when the program ended.
func (c *core) openAlarms(ctx context.Context) error {
	return c.db.Read(ctx, func(q *store.Reader) error {
		list, err := store.OpenAlarms(q)
		for _, a := range list {
			c.alarms.open[alarmKey{a.Kind, a.Subject}] = &heldAlarm{Alarm: a}
		}
		return err
	})
}

func (b *alarmBook) raise(a store.Alarm, now time.Time, log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := alarmKey{a.Kind, a.Subject}
	h := b.open[k]
	if h == nil {
		h = &heldAlarm{Alarm: a}
		if h.Since.IsZero() {
			h.Since = now
		}
		b.open[k] = h
		log.Warn("alarm raised", "alarm", a.Kind, "subject", a.Subject, "reason", a.Message)
	}
	h.Message, h.Last = a.Message, now
	h.Times++
	b.changed(h)
}

func (b *alarmBook) settle(kind, subject string, now time.Time, log *slog.Logger) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := alarmKey{kind, subject}
	h := b.open[k]
	if h == nil {
		return
	}
	delete(b.open, k)
	h.Ended = now
	if b.over = append(b.over, h); len(b.over) > mostOver {
		b.over = slices.Delete(b.over, 0, 1)
	}
	b.changed(h)
	log.Info("alarm over", "alarm", kind, "subject", subject, "since", h.Since, "times", h.Times)
}

// changed notes that the database is to be told.
func (b *alarmBook) changed(h *heldAlarm) {
	h.changes++
	select {
	case b.dirty <- struct{}{}:
	default:
	}
}

// list gives the open alarms of a tenant, those raised last first.
func (b *alarmBook) list(tenant string) []store.Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]store.Alarm, 0, len(b.open))
	for _, h := range b.open {
		if tenantOf(h.Tenant) == tenantOf(tenant) {
			list = append(list, h.Alarm)
		}
	}
	slices.SortFunc(list, func(x, y store.Alarm) int {
		return cmp.Or(y.Since.Compare(x.Since), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Subject, y.Subject))
	})
	return list
}

// message is what an open alarm says and since when, "" where there is none.
func (b *alarmBook) message(kind alarmKind, subject string) (text string, since time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.open[alarmKey{string(kind), subject}]; h != nil {
		return h.Message, h.Since
	}
	return "", since
}

// kinds counts the open alarms by kind.
func (b *alarmBook) kinds() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[string]int{}
	for k := range b.open {
		n[k.kind]++
	}
	return n
}

// acknowledged notes who has seen an alarm that is open.
func (b *alarmBook) acknowledged(a store.Alarm) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.open[alarmKey{a.Kind, a.Subject}]; h != nil && h.ID == a.ID {
		h.SeenBy, h.SeenAt, h.SeenNote = a.SeenBy, a.SeenAt, a.SeenNote
	}
}

// unwritten is what the database does not know yet, with how often it had
// changed.
func (b *alarmBook) unwritten() (held []*heldAlarm, records []store.Alarm, changes []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.open {
		if h.changes != h.written {
			held = append(held, h)
		}
	}
	held = append(b.over[:len(b.over):len(b.over)], held...) // what ended makes room for what began again
	for _, h := range held {
		records, changes = append(records, h.Alarm), append(changes, h.changes)
	}
	return held, records, changes
}

// wrote notes what the database has.
func (b *alarmBook) wrote(held []*heldAlarm, records []store.Alarm, changes []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, h := range held {
		h.ID, h.written = records[i].ID, changes[i]
	}
	b.over = slices.DeleteFunc(b.over, func(h *heldAlarm) bool { return h.written == h.changes })
}

// writeAlarms brings the database up to date.
func (c *core) writeAlarms(ctx context.Context) error {
	held, records, changes := c.alarms.unwritten()
	if len(held) == 0 {
		return nil
	}
	err := c.db.Write(ctx, func(tx *store.Tx) error {
		for i := range records {
			if err := store.PutAlarm(tx, &records[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		c.alarms.wrote(held, records, changes)
	}
	return err
}

const (
	// alarmTick is how often is looked whether the engine has other alarms, and
	// whether the database takes what it did not take before.
	alarmTick = time.Second
	// mostRunsAlarmed is from how many on the runs of one kind of alarm are told of
	// as one: a disk that is full is one trouble, not one for each run.
	mostRunsAlarmed = 20
)

// keepAlarms writes alarms and takes over those of the engine until ctx ends.
func (c *core) keepAlarms(ctx context.Context) {
	tick := time.NewTicker(alarmTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-c.alarms.dirty:
		case <-tick.C:
			c.takeEngineAlarms()
		}
		// A database that takes no writes is an alarm of the engine itself.
		if err := c.writeAlarms(ctx); err != nil && !errors.Is(err, context.Canceled) {
			c.log.Debug("alarms not written yet", "error", err)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), alarmTick)
	defer cancel()
	if err := c.writeAlarms(last); err != nil {
		c.log.Warn("alarms not written", "error", err)
	}
}

// engineAlarms are the kinds that the engine raises.
var engineAlarms = []engine.AlarmKind{
	engine.AlarmJournal, engine.AlarmRefused, engine.AlarmBroken, engine.AlarmPlan, engine.AlarmAbandoned, engine.AlarmNoRun,
	engine.AlarmNoProgress, engine.AlarmGuard, engine.AlarmWakes, engine.AlarmProjection, engine.AlarmClock, engine.AlarmUndo,
}

// takeEngineAlarms makes the engine's alarms some of ours, and ends those that
// the engine has no more.
func (c *core) takeEngineAlarms() {
	byKind := map[engine.AlarmKind][]engine.Alarm{}
	for _, a := range c.engine.Alarms() {
		byKind[a.Kind] = append(byKind[a.Kind], a)
	}
	c.alarms.mirror(summed(byKind), utc(c.now()), c.log)
}

// summed makes one alarm of those of one kind about very many runs.
func summed(byKind map[engine.AlarmKind][]engine.Alarm) map[alarmKey]store.Alarm {
	out := map[alarmKey]store.Alarm{}
	for kind, list := range byKind {
		if len(list) > mostRunsAlarmed {
			first, n := list[0], 0
			for _, a := range list {
				n += a.Count
			}
			out[alarmKey{string(kind), ""}] = store.Alarm{
				Kind: string(kind), Since: utc(first.Since), Times: n,
				Message: fmt.Sprintf("%d runs, the first of them %s: %s", len(list), first.Run, first.Message),
			}
			continue
		}
		for _, a := range list {
			subject := runSubject(a.Run)
			out[alarmKey{string(kind), subject}] = store.Alarm{Kind: string(kind), Subject: subject, Message: a.Message, Since: utc(a.Since), Times: a.Count}
		}
	}
	return out
}

func runSubject(n run.ID) string {
	if n == 0 {
		return ""
	}
	return n.String()
}

// mirror makes the alarms of the engine's kinds those that are given. The engine
// has logged them.
func (b *alarmBook) mirror(want map[alarmKey]store.Alarm, now time.Time, log *slog.Logger) {
	for _, a := range b.list("") {
		if _, still := want[alarmKey{a.Kind, a.Subject}]; !still && slices.Contains(engineAlarms, engine.AlarmKind(a.Kind)) {
			b.settle(a.Kind, a.Subject, now, slog.New(slog.DiscardHandler))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, a := range want {
		h := b.open[k]
		switch {
		case h == nil:
			h = &heldAlarm{Alarm: a}
			b.open[k] = h
		case h.Message == a.Message && h.Times >= a.Times:
			continue
		}
		h.Message, h.Times, h.Last = a.Message, max(h.Times, a.Times), now
		b.changed(h)
	}
}
