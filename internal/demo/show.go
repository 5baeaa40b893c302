package demo

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Show plays the demo to somebody who looks on, until ctx ends: it sends the
// samples, one every so often, and tells what comes of them.
func (d *Demo) Show(ctx context.Context, every time.Duration) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	told := make(chan error, 1)
	go func() {
		defer stop()
		told <- d.watch(ctx)
	}()
	err := d.stream(ctx, every)
	stop()
	return errors.Join(err, <-told)
}

// tell says what one party did, with the time.
func (d *Demo) tell(who, format string, args ...any) {
	d.say("%s  %-9s "+format, append([]any{time.Now().UTC().Format(time.TimeOnly), who}, args...)...)
}

// watch tells what people are asked and what they say, and what is in force and
// when it is taken back.
func (d *Demo) watch(ctx context.Context) error {
	asked, inForce := map[string]question{}, map[string]entryView{}
	for pace(ctx, time.Second) {
		err := d.tellQuestions(ctx, asked)
		if err == nil {
			err = d.tellLedger(ctx, inForce)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tellQuestions tells what is newly asked and what is no longer, of the open ones
// at the last look.
func (d *Demo) tellQuestions(ctx context.Context, before map[string]question) error {
	open, err := list[question](ctx, d.Client, "/api/approvals", url.Values{"state": {"open"}})
	if err != nil {
		return err
	}
	now := map[string]bool{}
	for _, q := range open {
		now[q.ID] = true
		if _, ok := before[q.ID]; !ok {
			d.tell(q.ID, "May %s be done? Answer on the page, or: riposte approval approve %s", q.about(), q.ID)
			before[q.ID] = q
		}
	}
	for id, q := range before {
		if now[id] {
			continue
		}
		delete(before, id)
		if err := d.Client.call(ctx, http.MethodGet, "/api/approvals/"+id, nil, &q); err != nil {
			return err
		}
		by := "nobody in time"
		if len(q.Answers) > 0 {
			by = q.Answers[len(q.Answers)-1].By
		}
		d.tell(id, "%s: %s by %s", q.about(), q.Result, by)
	}
	return nil
}

// tellLedger tells what is newly in force and what is no longer.
func (d *Demo) tellLedger(ctx context.Context, before map[string]entryView) error {
	open, err := list[entryView](ctx, d.Client, "/api/ledger", url.Values{"state": {"open"}})
	if err != nil {
		return err
	}
	now, held := map[string]bool{}, map[string]bool{}
	for _, e := range open {
		now[e.ID], held[e.about()] = true, true
		if _, ok := before[e.ID]; !ok {
			d.tell(e.ID, "%s in %s is in force until %s", e.about(), e.Case, e.Due.Format(time.TimeOnly))
			before[e.ID] = e
		}
	}
	for id, e := range before {
		switch {
		case now[id]:
			continue
		case held[e.about()]:
			d.tell(id, "%s in %s is over; another case still holds it", e.about(), e.Case)
		default:
			d.tell(id, "%s in %s is taken back", e.about(), e.Case)
		}
		delete(before, id)
	}
	return nil
}
