package ingest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Ask calls an action of a product and waits for its turn; with makes the inputs
// from the fields of the connection.
type Ask func(ctx context.Context, a *connector.Action, with func(config map[string]any) (map[string]any, error)) connector.Result

// Pull asks a product for its alerts, page after page. Each page is stored
// together with where to go on, so that a crash between pages loses nothing; what
// is given again within the look-back is known by its key and left out.
type Pull struct {
	Source Source
	Sink   Sink
	Plan   *connector.Pull
	Ask    Ask
	Cursor []byte               // where it stopped last time; nil: never asked
	Of     string               // what is asked, such as CONNECTION.SOURCE: a cursor of something else is not used
	First  time.Duration        // how far back the first look goes; 0 means 24 h
	Every  time.Duration        // between looks; 0 means what the plan says
	Tell   func(problem string) // told when paging makes no progress, "" when all is well; nil: nobody
	Now    func() time.Time     // nil means time.Now
	Log    *slog.Logger         // nil means slog.Default

	state pullState
}

// FirstPull is how far back the first look goes where nothing else is said.
const FirstPull = 24 * time.Hour

const (
	// longestPullWait is how long a product may make us wait at most; it is asked
	// again then all the same.
	longestPullWait = time.Hour
	// pauseWhenLimited is how long is waited where a product that wants fewer calls
	// does not say how long.
	pauseWhenLimited = time.Minute
	// maxPullPages ends a look of a product that never does.
	maxPullPages = 10_000
	// idlePages is how many pages in a row may repeat only what the same look has
	// given already.
	idlePages = 3
	// forgetAfter is how much longer keys are remembered than they can be given
	// again: clocks differ.
	forgetAfter = 24 * time.Hour
	// carriedKeysFor is how long keys are remembered where there is no look-back.
	carriedKeysFor = 7 * 24 * time.Hour
)

// pullState is a pull's cursor: what has been looked at and the look under way.
type pullState struct {
	Of      string    `json:"of"`
	Done    time.Time `json:"done,omitzero"`    // everything up to here has been taken
	Looking bool      `json:"looking,omitzero"` // the look below is not at its end
	Since   time.Time `json:"since,omitzero"`
	Until   time.Time `json:"until,omitzero"`
	Cursor  any       `json:"cursor,omitempty"`
}

// errLater says that the product wants to be asked later.
type errLater struct {
	after time.Duration
	why   string
}

func (e errLater) Error() string { return e.why }

// Run asks until ctx ends. An error is for what may be better later.
func (p *Pull) Run(ctx context.Context) error {
	p.defaults()
	if err := p.restore(); err != nil {
		return err
	}
	for {
		pause := p.Every
		err := p.look(ctx)
		var later errLater
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &later):
			pause = min(max(later.after, time.Second), longestPullWait)
			p.Log.Info("the product asks to wait", "source", p.Source.Name, "wait", pause, "reason", later.why)
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (p *Pull) defaults() {
	if p.First == 0 {
		p.First = FirstPull
	}
	if p.Every == 0 {
		p.Every = p.Plan.Every
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.Default()
	}
	if p.Tell == nil {
		p.Tell = func(string) {}
	}
}

func (p *Pull) now() time.Time { return p.Now().UTC().Truncate(time.Microsecond) }

// restore reads the cursor. One that was kept for another product means nothing.
func (p *Pull) restore() error {
	p.state = pullState{Of: p.Of}
	if len(p.Cursor) == 0 {
		return nil
	}
	var kept pullState
	if err := json.Unmarshal(p.Cursor, &kept); err != nil {
		return fmt.Errorf("cursor of source %s: %v: %w", p.Source.Name, err, fault.Invalid)
	}
	if kept.Of != p.Of {
		return nil
	}
	raw, err := expr.DecodeJSON(p.Cursor) // numbers as expressions want them
	if m, ok := raw.(map[string]any); err == nil && ok {
		kept.Cursor = m["cursor"]
	}
	p.state = kept
	return nil
}

// PulledUntil tells from a pull's cursor up to when everything has been taken;
// zero where nothing has, or where the cursor is of something else.
func PulledUntil(cursor []byte, of string) time.Time {
	var s pullState
	if len(cursor) == 0 || json.Unmarshal(cursor, &s) != nil || s.Of != of {
		return time.Time{}
	}
	return s.Done
}

// begin starts a look, unless one is under way.
func (p *Pull) begin(now time.Time) {
	s := &p.state
	if s.Looking {
		return
	}
	s.Looking, s.Until, s.Since = true, now, s.Done.Add(-p.Plan.LookBack)
	if s.Done.IsZero() {
		s.Since = now.Add(-p.First)
	}
	if p.Plan.LookBack > 0 {
		s.Cursor = nil
	}
}

// look takes all that there is now.
func (p *Pull) look(ctx context.Context) error {
	p.begin(p.now())
	met := progress{}
	for fresh := false; ; {
		page, err := p.page(ctx)
		if err != nil && p.state.Cursor != nil && !fresh && errors.Is(err, fault.NotFound) {
			// Marks of pages die with the product's patience, as over a long stop.
			p.Log.Warn("the product knows the cursor no more; this look begins anew", "source", p.Source.Name, "error", err)
			p.state.Cursor, fresh = nil, true
			continue
		}
		if err != nil {
			return err
		}
		problem := met.stuck(p.Plan, &page, p.state.Cursor)
		next := p.state
		next.Cursor = page.Cursor
		if problem != "" || !page.More {
			next.Looking = false
			if problem == "" {
				next.Done = next.Until
			}
		}
		if err := p.store(ctx, page, next); err != nil {
			return err
		}
		p.state = next
		if !next.Looking {
			p.Tell(problem)
			return nil
		}
	}
}

// page asks for one page.
func (p *Pull) page(ctx context.Context) (connector.SourcePage, error) {
	asked := connector.Asked{Cursor: p.state.Cursor, Since: p.state.Since, Until: p.state.Until, Now: p.now()}
	res := p.Ask(ctx, p.Plan.Asks, func(config map[string]any) (map[string]any, error) {
		asked.Config = config
		return p.Plan.Inputs(asked)
	})
	output, err := answer(res)
	if err != nil {
		return connector.SourcePage{}, err
	}
	return p.Plan.Page(output, p.state.Cursor, p.now())
}

// answer is the output of a call, or why there is none.
func answer(res connector.Result) (any, error) {
	if res.Status == connector.OK || res.Status == connector.Already {
		if len(res.Output) == 0 {
			return nil, nil
		}
		return expr.DecodeJSON(res.Output)
	}
	if res.RetryAfter > 0 || res.Class == connector.RateLimited {
		return nil, errLater{cmp.Or(res.RetryAfter, pauseWhenLimited), res.Message}
	}
	kind := fault.Transient
	switch res.Class {
	case connector.Invalid, connector.NotFound:
		kind = fault.NotFound
	case connector.Auth, connector.Permission, connector.Policy:
		kind = fault.Denied
	default:
	}
	return nil, fmt.Errorf("%s: %s: %w", res.Class, res.Message, kind)
}

// store hands the records of a page over; the cursor goes with the last of them.
func (p *Pull) store(ctx context.Context, page connector.SourcePage, next pullState) error {
	cursor, err := json.Marshal(next)
	if err != nil {
		return err
	}
	now := p.now()
	forget := next.Since.Add(-forgetAfter)
	if p.Plan.LookBack == 0 {
		forget = now.Add(-carriedKeysFor)
	}
	b := Batch{Source: p.Source.Name, Forget: forget}
	size := 0
	for i, item := range page.Items {
		raw, err := rawOf(item)
		if err != nil {
			return err
		}
		if len(b.Alerts) >= maxChunk || size+len(raw) > maxChunkBytes && len(b.Alerts) > 0 {
			if _, err := p.Sink.Take(ctx, b); err != nil {
				return err
			}
			b, size = Batch{Source: p.Source.Name}, 0
		}
		if r := p.Source.readEvent(raw, now); r.is {
			b.Alerts, b.Keys = append(b.Alerts, r.alert), append(b.Keys, page.Keys[i])
			size += len(raw)
		} else {
			b.Skipped++
		}
	}
	b.Cursor = cursor
	_, err = p.Sink.Take(ctx, b)
	return err
}

// rawOf is a record as it came; a text is a line of a log.
func rawOf(item any) ([]byte, error) {
	if text, ok := item.(string); ok {
		return []byte(text), nil
	}
	return expr.EncodeJSON(item)
}

// progress notices a product that gives the same again and again within a look.
type progress struct {
	pages, idle int
	cursors     map[string]bool
	keys        map[string]bool
}

// stuck says what is wrong with the way in which pages follow each other, ""
// where nothing is.
func (g *progress) stuck(plan *connector.Pull, page *connector.SourcePage, before any) string {
	if g.cursors == nil {
		g.cursors, g.keys = map[string]bool{}, map[string]bool{}
		g.cursors[cursorText(before)] = true
	}
	g.pages++
	fresh := len(page.Items) == 0
	for _, k := range page.Keys {
		fresh = fresh || !g.keys[k]
		g.keys[k] = true
	}
	if g.idle++; fresh {
		g.idle = 0
	}
	full := plan.Batch > 0 && len(page.Items) >= plan.Batch
	text := cursorText(page.Cursor)
	switch {
	case full && !page.More && plan.Source.Cursor == "":
		return fmt.Sprintf("the product gave %d records, as many as one call may give; there may be more, and its connector has no cursor to ask for them", len(page.Items))
	case page.More && g.cursors[text], full && !page.More && text == cursorText(before):
		return fmt.Sprintf("the product has more records and gives the same cursor again, %.80s; what comes after it cannot be fetched", text)
	case page.More && g.idle >= idlePages:
		return fmt.Sprintf("the product gave the same records on %d pages in a row", g.idle+1)
	case page.More && g.pages >= maxPullPages:
		return fmt.Sprintf("the product has not come to an end after %d pages", g.pages)
	}
	g.cursors[text] = true
	return ""
}

func cursorText(v any) string {
	text, err := expr.EncodeJSON(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// Count asks a product how many records it has in a time; known is false where it
// cannot be asked.
func Count(ctx context.Context, plan *connector.Pull, from, until, now time.Time, ask Ask) (n int, known bool, err error) {
	if plan.Counts == nil {
		return 0, false, nil
	}
	res := ask(ctx, plan.Counts, func(config map[string]any) (map[string]any, error) {
		return plan.CountInputs(connector.Asked{Config: config, Since: from, Until: until, Now: now})
	})
	output, err := answer(res)
	if err != nil {
		return 0, false, fmt.Errorf("count at the source: %w", err)
	}
	n, err = plan.Number(output, now)
	return n, err == nil, err
}
