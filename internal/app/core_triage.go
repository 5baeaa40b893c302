package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/store"
	"riposte/internal/triage"
)

// desk is where alerts are decided about: the rules in force and what they have
// to remember. Rules and state belong together and are replaced together.
type desk struct {
	mu     sync.Mutex
	rules  *triage.Rules
	no     int           // of the rules in the store: what alerts remember
	state  *triage.State // nil: it does not yet know what came before
	broken string        // why the file that is there now is not in force; "" where it is
	seen   string        // the text that was looked at last
}

// shippedRules is the name of the rules that hold where none are configured.
const shippedRules = "triage/rules.yaml"

// readRules reads the triage rules: the installation's, else those we ship.
func (c *core) readRules() (name string, text []byte, err error) {
	if path := c.cfg.Triage.Rules; path != "" {
		text, err = os.ReadFile(path)
		return path, text, err
	}
	text, err = fs.ReadFile(content.Files(), shippedRules)
	return shippedRules, text, err
}

// openTriage puts the rules in force that are there at the start.
func (c *core) openTriage(ctx context.Context) error {
	name, text, err := c.readRules()
	if err != nil {
		return fmt.Errorf("read the triage rules: %w", err)
	}
	rules, err := triage.Parse(name, text)
	if err != nil {
		return err
	}
	c.triage = &desk{seen: string(text)}
	if err := c.enforce(ctx, rules); err != nil {
		return err
	}
	for _, w := range rules.Warnings(c.now().UTC(), c.published("")) {
		c.log.Warn("triage rules", "file", name, "line", w.Line, "warning", w.What)
	}
	return nil
}

// published tells which playbooks can be started in a tenant.
func (c *core) published(tenant string) func(slug string) bool {
	return func(slug string) bool {
		_, err := c.plans.Published(tenant, slug, 0)
		return err == nil
	}
}

// enforce keeps rules in the store and puts them in force.
func (c *core) enforce(ctx context.Context, rules *triage.Rules) error {
	set := store.RuleSet{Hash: rules.Hash, Name: rules.Name, Text: rules.Text, Loaded: utc(c.now())}
	if err := c.db.Write(ctx, func(tx *store.Tx) error { return store.KeepRuleSet(tx, "", &set) }); err != nil {
		return err
	}
	d := c.triage
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules, d.no, d.state, d.broken = rules, set.No, nil, ""
	return nil
}

// reloadRules puts the rules of the file in force, if they are others than
// before. A file that is broken leaves those in force that are.
func (c *core) reloadRules(ctx context.Context) (changed bool, err error) {
	name, text, err := c.readRules()
	d := c.triage
	d.mu.Lock()
	same := err == nil && d.seen == string(text)
	broken := d.broken
	d.mu.Unlock()
	if same && broken == "" {
		return false, nil
	}
	var rules *triage.Rules
	if err == nil {
		rules, err = triage.Parse(name, text)
	}
	if err == nil {
		err = c.enforce(ctx, rules)
	}
	d.mu.Lock()
	d.seen = string(text)
	if err != nil {
		d.broken = err.Error()
	}
	d.mu.Unlock()
	if err != nil {
		if broken != err.Error() {
			c.raise(alarm{Kind: alarmTriageRules, Message: "The triage rules are broken; those of before stay in force. " + err.Error()})
		}
		return false, err
	}
	c.settle(alarmTriageRules, "")
	c.log.Info("triage rules in force", "file", name, "rules", rules.Name, "version", rules.Version)
	for _, w := range rules.Warnings(c.now().UTC(), c.published("")) {
		c.log.Warn("triage rules", "file", name, "line", w.Line, "warning", w.What)
	}
	return true, nil
}

// mostRecalled bounds how many alerts are recalled after a restart, the newest.
const (
	mostRecalled   = 20_000
	recalledAtOnce = 250
)

// recall makes the state know what came before, as far as the rules look back,
// and which storms go on. It must be called with the desk locked.
func (c *core) recall(q *store.Reader, at time.Time) error {
	d := c.triage
	if d.state != nil {
		return nil
	}
	s := triage.NewState()
	if back := d.rules.LookBack(); back > 0 {
		behind, err := store.NewestBut(q, "", mostRecalled)
		if err != nil {
			return err
		}
		until := at.Add(24 * time.Hour) // the clock may have been set back
		for more := true; more; {       // a slice at a time: whole alerts are large
			var list []alert.Alert
			if list, behind, err = store.AlertsSince(q, "", at.Add(-back), until, behind, recalledAtOnce); err != nil {
				return fmt.Errorf("recall the alerts of before: %w", err)
			}
			for i := range list {
				d.rules.Recall(s, &list[i])
			}
			more = len(list) == recalledAtOnce
		}
	}
	storms, err := store.OpenStorms(q)
	if err != nil {
		return err
	}
	for _, st := range storms {
		s.Restore(d.rules, openStorm(st), at)
	}
	d.state = s
	return nil
}

func openStorm(s store.Storm) triage.Open {
	return triage.Open{
		ID: s.ID, Rule: s.Storm, Key: s.Key, Subject: s.Subject, Head: s.Alert, Case: int64(s.Case), Began: s.Began, Passed: s.Passed,
	}
}

// deskWorld is what decisions ask about records, inside a transaction.
type deskWorld struct {
	q      *store.Reader
	tenant string
	open   map[alert.ID]bool
	cases  map[groupSince]int64
}

type groupSince struct {
	group string
	since int64
}

func (w *deskWorld) Open(id alert.ID) (bool, error) {
	open, known := w.open[id]
	if known {
		return open, nil
	}
	open, err := store.AlertOpen(w.q, w.tenant, id)
	if err == nil {
		if w.open == nil {
			w.open = map[alert.ID]bool{}
		}
		w.open[id] = open
	}
	return open, err
}

// CaseOf looks a group up once in a transaction; since is the same for all of a
// batch, or nearly.
func (w *deskWorld) CaseOf(group string, since time.Time) (int64, error) {
	k := groupSince{group, since.Unix()}
	n, known := w.cases[k]
	if known {
		return n, nil
	}
	id, err := store.CaseOfGroupSince(w.q, w.tenant, group, since)
	if err == nil {
		if w.cases == nil {
			w.cases = map[groupSince]int64{}
		}
		w.cases[k] = int64(id)
	}
	return int64(id), err
}

// opened forgets what was known of a group: it has a case now.
func (w *deskWorld) opened(group string) {
	for k := range w.cases {
		if k.group == group {
			delete(w.cases, k)
		}
	}
}

// keepTriage reads the rules again when they change and ends storms, until ctx
// ends.
func (c *core) keepTriage(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if c.cfg.Triage.Rules != "" {
			_, _ = c.reloadRules(ctx) // told as an alarm
		}
		if !c.triage.stormy() {
			continue
		}
		if err := c.endStorms(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("storms not ended", "error", err)
		}
	}
}

// stormy tells whether a storm may go on.
func (d *desk) stormy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state == nil || len(d.state.Storms()) > 0
}

// endStorms ends the storms that are over, tells their cases, and settles their
// alarms.
func (c *core) endStorms(ctx context.Context) error {
	at := utc(c.now())
	d := c.triage
	var over, going []triage.Open
	var ended []store.Storm
	err := c.db.Write(ctx, func(tx *store.Tx) error { // in the order of what is decided
		open, err := store.OpenStorms(&tx.Reader)
		if err != nil {
			return err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if err := c.recall(&tx.Reader, at); err != nil {
			return err
		}
		over, going, ended = d.state.Over(d.rules, at), d.state.Storms(), nil
		for _, s := range open {
			is := func(o triage.Open) bool { return o.Rule == s.Storm && o.Key == s.Key }
			if slices.ContainsFunc(over, is) || !slices.ContainsFunc(going, is) { // its rule may be gone
				ended = append(ended, s)
			}
		}
		return nil
	})
	for i := range ended {
		if err == nil {
			err = c.endStorm(ctx, ended[i], over, at)
		}
	}
	return err
}

func (c *core) endStorm(ctx context.Context, s store.Storm, over []triage.Open, at time.Time) error {
	for _, o := range over {
		if o.Key == s.Key && o.Rule == s.Storm {
			s.Passed = o.Passed
		}
	}
	err := c.db.Write(ctx, func(tx *store.Tx) error {
		head, err := store.Alert(&tx.Reader, s.Tenant, s.Alert)
		if err != nil {
			return err
		}
		s.Ended, s.Total = at, head.Folded
		if err := store.PutStorm(tx, &s); err != nil {
			return err
		}
		what := fmt.Sprintf("The storm of %s is over: %d alerts in %s are folded into %s", s.Subject, s.Total+1, at.Sub(s.Began).Round(time.Second), s.Alert)
		if s.Passed > 0 {
			what += fmt.Sprintf("; %d of rare kinds were let through", s.Passed)
		}
		return tell(tx, s.Tenant, s.Case, cases.Record{Kind: cases.AlertRepeated, What: what, Links: []string{s.Alert.String()}}, at,
			cases.By{Kind: cases.ByRule, Name: s.Storm})
	})
	if err != nil {
		return fmt.Errorf("end the storm of %s: %w", s.Subject, err)
	}
	c.settle(alarmStorm, s.Subject)
	return nil
}

// ruleBy is a triage rule as the timeline of a case names it.
func ruleBy(rule string) cases.By { return cases.By{Kind: cases.ByRule, Name: rule} }

// plainError drops the kind of an error: the words say enough.
func plainError(err error) string { return strings.TrimSuffix(err.Error(), ": invalid") }
