package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/intel"
	"riposte/internal/observable"
	"riposte/internal/score"
	"riposte/internal/store"
)

// scoring is what scores are made of, in memory: the rules in force, the lists,
// what people decided and what was seen before.
type scoring struct {
	memory score.Memory
	wake   chan struct{} // a run has ended that an alert may wait for

	mu         sync.RWMutex
	rules      *score.Rules
	seen       string // the text that was looked at last
	broken     string // why the file that is there now is not in force
	assets     *score.Inventory
	identities *score.Inventory
	closing    map[string]*store.ClosingRule
	ended      map[alert.ID]bool // alerts a run of which has ended
}

// shippedScore is the name of the score file that holds where none is configured.
const shippedScore = "triage/score.yaml"

// ReadScore reads a score file: the one at a path, "" for the one we ship.
func ReadScore(path string) (*score.Rules, error) {
	name, text, err := scoreText(path)
	if err != nil {
		return nil, fmt.Errorf("read the score file: %w", err)
	}
	return score.Parse(name, text)
}

func scoreText(path string) (name string, text []byte, err error) {
	if path != "" {
		text, err = os.ReadFile(path)
		return path, text, err
	}
	text, err = fs.ReadFile(content.Files(), shippedScore)
	return shippedScore, text, err
}

// openScore puts the score file in force and learns what is known.
func (c *core) openScore(ctx context.Context) error {
	name, text, err := scoreText(c.cfg.Triage.Score)
	if err != nil {
		return fmt.Errorf("read the score file: %w", err)
	}
	rules, err := score.Parse(name, text)
	if err != nil {
		return err
	}
	c.score = &scoring{wake: make(chan struct{}, 1), rules: rules, seen: string(text), ended: map[alert.ID]bool{}}
	if err := c.openClosing(ctx); err != nil {
		return err
	}
	if err := c.loadInventories(ctx); err != nil {
		return err
	}
	return c.remember(ctx)
}

// remember takes up what people decided before.
func (c *core) remember(ctx context.Context) error {
	now := utc(c.now())
	from := now.AddDate(0, 0, -score.HistoryDays)
	return c.db.Read(ctx, func(q *store.Reader) error {
		judged, err := store.JudgedSince(q, from)
		if err != nil {
			return err
		}
		for _, j := range judged {
			c.score.memory.Decided(score.Detection{Tenant: j.Tenant, Source: j.Source, Rule: j.Rule}, j.Verdict, j.At, 1)
		}
		pairs, err := store.PairsSince(q, from)
		for _, p := range pairs {
			c.score.memory.Said([]uint64{p.Pair}, p.Verdict, p.At)
		}
		return err
	})
}

// mostRemembered bounds how many alerts are read again after a start, to know
// what was seen before.
const mostRemembered = 50_000

// sawBefore counts what was seen in the last alerts; it may take a moment, so it
// is done beside the work.
func (c *core) sawBefore(ctx context.Context) error {
	slice := store.Slice{Limit: 1000}
	for n := 0; n < mostRemembered; {
		var page store.Page[alert.Alert]
		err := c.db.Read(ctx, func(q *store.Reader) (err error) {
			page, err = store.ListAlerts(q, "", store.AlertFilter{Until: c.started}, slice)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page.Items {
			c.score.memory.Saw(pairsOf(&page.Items[i]))
		}
		n += len(page.Items)
		if slice.Cursor = page.Next; page.Next == "" {
			return nil
		}
	}
	return nil
}

// loadInventories reads the lists that say which machines and accounts matter.
func (c *core) loadInventories(ctx context.Context) error {
	lists := c.scoreRules().Lists
	var assets, identities *score.Inventory
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		if assets, err = inventory(q, lists.Assets, utc(c.now())); err != nil {
			return err
		}
		identities, err = inventory(q, lists.Identities, utc(c.now()))
		return err
	})
	if err != nil {
		return err
	}
	c.score.mu.Lock()
	defer c.score.mu.Unlock()
	c.score.assets, c.score.identities = assets, identities
	return nil
}

func inventory(q *store.Reader, list string, now time.Time) (*score.Inventory, error) {
	var entries []score.Entry
	for s := (store.Slice{Limit: 1000}); ; {
		page, err := store.ListEntries(q, store.DefaultTenant, list, now, s)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Items {
			entries = append(entries, score.Entry{Value: e.Value, Note: e.Note})
		}
		if s.Cursor = page.Next; page.Next == "" {
			return score.NewInventory(entries), nil
		}
	}
}

func (c *core) scoreRules() *score.Rules {
	c.score.mu.RLock()
	defer c.score.mu.RUnlock()
	return c.score.rules
}

// assessed is the score of an alert with what it rests on.
type assessed struct {
	rules  *score.Rules
	facts  score.Facts
	result score.Result
	pairs  []uint64
}

// assess scores an alert with what is known in memory. found is what was looked
// up for it.
func (c *core) assess(a *alert.Alert, found []finding, missing []string, at time.Time) assessed {
	s := c.score
	s.mu.RLock()
	rules, assets, identities := s.rules, s.assets, s.identities
	s.mu.RUnlock()
	x := assessed{rules: rules, pairs: pairsOf(a)}
	x.facts = score.Facts{
		Verdicts: c.verdicts(a, found, at), Assets: assets.Assets(a), Identities: identities.Identities(a),
		History: s.memory.History(detection(a), at), Seen: s.memory.Seen(x.pairs), Missing: missing,
	}
	x.result = rules.Score(a, nil, x.facts, at)
	a.Score, a.Band, a.Reasons = x.result.Score, x.result.Band, x.result.Reasons
	return x
}

// detection is the rule of a product that made an alert, in the tenant's name as
// the store has it.
func detection(a *alert.Alert) score.Detection {
	d := score.DetectionOf(a)
	d.Tenant = tenantOf(d.Tenant)
	return d
}

// pairsOf names what an alert is about, alike before and after it is stored.
func pairsOf(a *alert.Alert) []uint64 { return score.Pairs(tenantOf(a.Tenant), a) }

// verdicts are what we know, and what was found, of the things seen in an alert.
func (c *core) verdicts(a *alert.Alert, found []finding, at time.Time) []score.Verdict {
	return score.JudgeAll(a, func(thing observable.Observable) ([]intel.Opinion, string) {
		i, _ := c.intel.Lookup(a.Tenant, thing, at)
		opinions := i.Opinions
		for _, f := range found {
			if f.value == thing.Value && (f.typ == "" || f.typ == string(thing.Type) || f.typ == "hash") {
				opinions = append(slices.DeleteFunc(opinions, f.sameSource), f.opinion)
			}
		}
		l, _ := c.intel.Listed(a.Tenant, thing, at)
		return opinions, l.List
	}, at)
}

// keepScore learns what people decide, makes alerts ready, and reads the score
// file again when it changes, until ctx ends.
func (c *core) keepScore(ctx context.Context) {
	if err := c.sawBefore(ctx); err != nil && ctx.Err() == nil {
		c.log.Warn("what was seen before the start is not known", "error", err)
	}
	tick := time.NewTicker(scoreTick)
	defer tick.Stop()
	hour := c.now()
	for all := true; ; all = false {
		err := errors.Join(c.learnDecisions(ctx), c.makeReady(ctx, all))
		if c.cfg.Triage.Score != "" {
			c.reloadScore(ctx)
		}
		if c.now().Sub(hour) >= time.Hour {
			hour = c.now()
			err = errors.Join(err, c.forget(ctx), c.loadInventories(ctx)) // entries of lists end, too
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("scores not kept up", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.score.wake:
		}
	}
}

// scoreTick is how late at most a deadline or a decision is noticed.
const scoreTick = 500 * time.Millisecond

// forget drops decisions that are too old to count.
func (c *core) forget(ctx context.Context) error {
	now := utc(c.now())
	c.score.memory.Forget(now)
	return c.db.Write(ctx, func(tx *store.Tx) error {
		return store.ForgetDecisions(tx, now.AddDate(0, 0, -score.HistoryDays-1))
	})
}

// reloadScore puts the score file in force, if it is another than before. One
// that is broken leaves in force what is.
func (c *core) reloadScore(ctx context.Context) {
	s := c.score
	name, text, err := scoreText(c.cfg.Triage.Score)
	if err == nil && s.seen == string(text) && s.broken == "" {
		return
	}
	var rules *score.Rules
	if err == nil {
		rules, err = score.Parse(name, text)
	}
	if s.seen = string(text); err != nil {
		if s.broken != err.Error() {
			s.broken = err.Error()
			c.raise(alarm{Kind: alarmTriageRules, Subject: "score", Message: "The score file is broken; that of before stays in force. " + err.Error()})
		}
		return
	}
	s.mu.Lock()
	s.rules, s.broken = rules, ""
	s.mu.Unlock()
	if err := errors.Join(c.openClosing(ctx), c.loadInventories(ctx)); err != nil {
		c.log.Warn("score file in force, and its lists not read", "error", err)
	}
	c.settle(alarmTriageRules, "score")
	c.log.Info("score file in force", "file", name, "score", rules.Name, "version", rules.Version)
}
