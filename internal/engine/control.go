package engine

import (
	"context"
	"errors"
	"fmt"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// tell hands an event from outside to a run and returns when it is on disk:
// fault.Conflict if it does not fit, fault.NotFound if there is no such run.
func (e *Engine) tell(ctx context.Context, id run.ID, ev run.Event) error {
	if err := e.commit.healthy(); err != nil {
		return fmt.Errorf("run %s cannot be changed now: %w", id, err)
	}
	happened := &event{Event: ev}
	offload(ctx, e.Blobs, happened)
	done := make(chan error, 1)
	e.laneOf(id).post(message{kind: msgEvent, run: id, ev: happened, reply: func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("run %s: the change may still be made: %w", id, ctx.Err())
	}
}

// Answer gives a person's answer to question n of an activation. Who may answer
// is the caller's business. It returns when the answer is on disk.
func (e *Engine) Answer(ctx context.Context, id run.ID, act run.Act, n int, a run.Answer) error {
	return e.tell(ctx, id, run.Event{Kind: run.Answered, Act: act, N: n, Answer: &a})
}

// Cancel ends a run: reads are cut off, changes under way end first, finally
// runs.
func (e *Engine) Cancel(ctx context.Context, id run.ID, by, reason string) error {
	return e.tell(ctx, id, run.Event{Kind: run.Cancel, By: by, Reason: reason})
}

// Pause lets what is under way end and starts nothing new.
func (e *Engine) Pause(ctx context.Context, id run.ID, by, reason string) error {
	return e.tell(ctx, id, run.Event{Kind: run.Pause, By: by, Reason: reason})
}

// Resume ends a pause.
func (e *Engine) Resume(ctx context.Context, id run.ID, by, reason string) error {
	return e.tell(ctx, id, run.Event{Kind: run.Resume, By: by, Reason: reason})
}

// Retry starts a new run that takes over what a failed run achieved and goes on
// from there. A run can be retried once: fault.Conflict names the run that does
// it already. The new run has the plan of the old one.
func (e *Engine) Retry(ctx context.Context, id run.ID, by string) (run.ID, error) {
	sum, ok, err := e.Summary(ctx, id)
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return 0, fmt.Errorf("retry run %s: it is not there: %w", id, fault.NotFound)
	case !sum.Status.Final():
		return 0, fmt.Errorf("retry run %s: it is under way: %w", id, fault.Conflict)
	case sum.Status == run.Succeeded:
		return 0, fmt.Errorf("retry run %s: it succeeded: %w", id, fault.Conflict)
	case sum.Undoes != 0:
		return 0, fmt.Errorf("retry run %s: it takes back a ledger entry; undo the entry again instead: %w", id, fault.Conflict)
	}
	s, err := e.retryStart(ctx, sum, by)
	if err != nil {
		return 0, fmt.Errorf("retry run %s: %w", id, err)
	}
	var begin func()
	var next run.ID
	err = e.do(ctx, func(tx Tx) (err error) {
		next, begin, err = e.StartIn(tx, s, "retry/"+id.String())
		return err
	})
	if err != nil {
		return 0, err
	}
	if begin == nil {
		return next, fmt.Errorf("retry run %s: run %s retries it already: %w", id, next, fault.Conflict)
	}
	begin()
	return next, nil
}

// retryStart works out what the run that retries another begins with. It is
// nobody's child: the calling run has long gone its way.
func (e *Engine) retryStart(ctx context.Context, sum run.Summary, by string) (run.Start, error) {
	p, events, err := e.history(ctx, sum.Last)
	if err != nil {
		return run.Start{}, err
	}
	s := *events[0].Start
	s.Run, s.Parent, s.From, s.By = 0, nil, sum.Run, by
	s.Given = run.Results(p, events)
	return s, nil
}

// Retried is what RetryAll did.
type Retried struct {
	Started []run.ID
	Skipped int // retried before
	Errors  []error
}

// RetryAll retries all runs that failed for one reason, and that nobody has
// retried yet. It goes through them all even if some cannot be retried.
func (e *Engine) RetryAll(ctx context.Context, f run.Filter, by string) (Retried, error) {
	var out Retried
	after := run.ID(0)
	for {
		list, err := e.Runs.Failed(ctx, f, after, 200)
		if err != nil {
			return out, fmt.Errorf("retry failed runs: %w", err)
		}
		for _, s := range list {
			id, err := e.Retry(ctx, s.Run, by)
			switch {
			case err == nil:
				out.Started = append(out.Started, id)
			case errors.Is(err, fault.Conflict):
				out.Skipped++
			case ctx.Err() != nil:
				return out, ctx.Err()
			default:
				out.Errors = append(out.Errors, err)
			}
			after = s.Run
		}
		if len(list) < 200 {
			return out, nil
		}
	}
}
