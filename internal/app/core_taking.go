package app

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/internal/triage"
	"riposte/playbook"
)

// taking is a batch on its way into the database: what can be worked out before
// the writer has it, what is decided inside the transaction, and what follows
// once that is on disk.
type taking struct {
	c     *core
	b     ingest.Batch
	at    time.Time
	rules *triage.Rules
	no    int
	all   []arrival
	taken []ingest.Taken

	world  *deskWorld
	undo   triage.Undo
	begin  []func()
	raised []alarm
	states map[string]int // what became of those that were new
	folded map[alert.ID]*fold
	heads  []alert.ID // of folded, in the order of their first
}

// arrival is one alert of a batch.
type arrival struct {
	came     alert.Alert // as the source sent it
	row      store.NewAlert
	prepared *triage.Prepared
	assessed assessed
}

// fold is what was folded into one alert.
type fold struct {
	n    int
	last time.Time
}

// ready prepares a batch before the writer has it. An alert that can never be
// stored is kept as an event that could not be read: it must not hold up the
// others of its batch, nor its source for ever.
func (t *taking) ready() error {
	d := t.c.triage
	d.mu.Lock()
	t.rules, t.no = d.rules, d.no
	d.mu.Unlock()
	t.all, t.taken = make([]arrival, len(t.b.Alerts)), make([]ingest.Taken, len(t.b.Alerts))
	for i := range t.b.Alerts {
		a := &t.all[i]
		a.came = t.b.Alerts[i]
		if err := t.prepare(a); err != nil {
			a.came = alert.Keep(t.b.Source, a.came.Raw, err, t.at)
			if err := t.prepare(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare makes the row of an alert as it most often ends: as it does where
// nothing came before.
func (t *taking) prepare(a *arrival) error {
	if a.came.Received.IsZero() {
		a.came.Received = t.at
	}
	a.assessed = t.c.assess(&a.came, nil, nil, t.at)
	row := a.came
	a.prepared = t.rules.Prepare(&a.came, nil)
	d, err := t.rules.Foresee(a.prepared, triage.NewState(), triage.Nowhere{})
	if err != nil {
		return err
	}
	if d.Act != triage.OpenCase {
		d.Apply(&row, &a.came, t.no, "")
	}
	a.row, err = store.ReadyAlert(&row)
	return err
}

// do stores the batch. It may be called again when the transaction has to be
// repeated.
func (t *taking) do(tx *store.Tx) (err error) {
	d := t.c.triage
	d.mu.Lock()
	defer d.mu.Unlock()
	t.undo.Back(0)
	defer func() {
		if err != nil {
			t.undo.Back(0)
		}
	}()
	t.begin, t.raised, t.folded, t.heads = nil, nil, map[alert.ID]*fold{}, nil
	t.states = map[string]int{}
	t.world = &deskWorld{q: &tx.Reader}
	if d.rules != t.rules { // they were read again meanwhile
		t.rules, t.no = d.rules, d.no
		for i := range t.all {
			if err := t.prepare(&t.all[i]); err != nil {
				return err
			}
		}
	}
	if err := t.c.recall(&tx.Reader, t.at); err != nil {
		return err
	}
	rows, place, err := t.insert(tx, d.state)
	if err != nil {
		return err
	}
	for k := range rows {
		i := k
		if place != nil {
			i = place[k]
		}
		if err := t.arrived(tx, d.state, &rows[k], i); err != nil {
			return err
		}
	}
	if err := t.count(tx); err != nil {
		return err
	}
	if t.b.Cursor != nil {
		return store.SaveCursor(tx, "", t.b.Source, t.b.Cursor, t.at)
	}
	return nil
}

// insert stores the rows as they will most likely end, so that few have to be
// touched again: what is decided counts only alerts that were not there before.
func (t *taking) insert(tx *store.Tx, s *triage.State) (rows []store.NewAlert, place []int, err error) {
	all := make([]store.NewAlert, len(t.all))
	for i := range t.all {
		a := &t.all[i]
		d, err := t.rules.Foresee(a.prepared, s, t.world)
		if err != nil {
			return nil, nil, err
		}
		if d.Act == triage.Fold || d.Act == triage.Storm {
			d.Apply(a.row.Alert, &a.came, t.no, "")
		}
		all[i] = a.row
	}
	if rows, place, err = fresh(tx, &t.b, all, t.taken, t.at); err != nil {
		return nil, nil, err
	}
	return rows, place, store.InsertAlerts(tx, rows)
}

// arrived decides about one alert that was stored.
func (t *taking) arrived(tx *store.Tx, s *triage.State, n *store.NewAlert, i int) error {
	t.taken[i] = ingest.Taken{ID: n.ID, Duplicate: !n.Fresh}
	if !n.Fresh {
		return tellCasesOfRepeated(tx, n.Alert, t.at)
	}
	if i < len(t.b.Blobs) {
		if err := store.KeepBlobs(tx, n.ID, t.b.Blobs[i]); err != nil {
			return err
		}
	}
	a := &t.all[i]
	a.came.ID = n.ID
	a.prepared.Object["id"] = n.ID.String()
	d, err := t.rules.Decide(a.prepared, s, t.world, &t.undo)
	if err != nil {
		return err
	}
	t.check(&d)
	var opened *cases.Applied
	if d.Open != nil {
		if opened, err = t.open(tx, n, &d); err != nil {
			return err
		}
	}
	before := *n.Alert
	anew := d.Apply(n.Alert, &a.came, t.no, caseRef(d.Case))
	if anew || before.Status != n.Status || before.Rule != n.Rule || before.RulesNo != n.RulesNo || before.Outcome != n.Outcome ||
		before.Into != n.Into || before.Severity != n.Severity || before.Category != n.Category {
		if err := store.DecideAlert(tx, n, anew); err != nil {
			return err
		}
	}
	if n.Into != 0 {
		t.fold(n.Into, n.LastSeen)
	}
	if d.Case != 0 && n.Status == alert.InCase {
		if err := t.join(tx, n.Alert, &d, opened); err != nil {
			return err
		}
	}
	if d.Storm != nil {
		if err := t.storm(tx, s, n.Alert, &d); err != nil {
			return err
		}
	}
	if err := t.weigh(tx, n.Alert, a, &d); err != nil {
		return err
	}
	t.states[became(n.Alert)]++
	return nil
}

// became is the word that an alert is counted by once it is decided.
func became(a *alert.Alert) string {
	if a.Error != "" {
		return "unread"
	}
	return string(a.Status)
}

// weigh lets what looks things up begin for an alert that is kept, or a closing
// rule close it; else it starts what it starts. What a triage rule names a
// playbook for is no noise to anybody.
func (t *taking) weigh(tx *store.Tx, n *alert.Alert, a *arrival, d *triage.Decision) error {
	if d.Triggers && (n.Status == alert.New || n.Status == alert.InCase) && n.Error == "" {
		begin, err := t.c.lookUp(tx, n, a.prepared.Object, d.Case, t.at)
		if err != nil {
			return err
		}
		t.begin = append(t.begin, begin...)
	}
	if n.Status == alert.New && !n.Waiting && len(d.Starts) == 0 {
		closed, err := t.c.closeByRule(tx, n, a.prepared.Object, &a.assessed, t.at)
		if err != nil || closed {
			return err
		}
	}
	return t.start(tx, n, a.prepared.Object, d)
}

// check notes what a decision names and is not there: that loses no alert.
func (t *taking) check(d *triage.Decision) {
	for _, s := range d.Starts {
		if _, err := t.c.plans.Published("", s.Playbook, 0); err != nil {
			d.Problems = append(d.Problems, triage.Problem{Rule: s.By, What: plainError(err)})
		}
	}
	for _, p := range d.Problems {
		t.raised = append(t.raised, alarm{Kind: alarmTriageRules, Subject: p.Rule, Message: "A triage rule fails for alerts, which are kept all the same: " + p.What})
	}
}

// open opens the case that a decision wants. Where it cannot be opened as the
// rule says, the alert stays new and says so.
func (t *taking) open(tx *store.Tx, n *store.NewAlert, d *triage.Decision) (*cases.Applied, error) {
	plan := d.Open
	if d.Storm != nil { // the same storm again, and its case is still open
		id, err := store.OpenCaseOfGroup(&tx.Reader, n.Tenant, plan.Group)
		if err != nil || id != 0 {
			d.Case = int64(id)
			return nil, err
		}
	}
	by := ruleBy(d.Rule)
	done, err := store.OpenCase(tx, n.Tenant, cases.Open{
		Title: plan.Title, Description: plan.Description, Category: plan.Category, Severity: plan.Severity, Owner: plan.Owner,
		TLP: plan.TLP, PAP: plan.PAP, Tags: plan.Tags, Group: plan.Group,
	}, t.at, by)
	if errors.Is(err, fault.Invalid) {
		d.Problems = append(d.Problems, triage.Problem{Rule: d.Rule, What: plainError(err)})
		d.Act, d.Open = triage.Keep, nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, task := range plan.Tasks {
		if _, err := store.ChangeCase(tx, n.Tenant, done.Case.ID, 0, cases.AddTask{Title: task.Title, Text: task.Text, Assignee: task.Assignee}, t.at, by); err != nil {
			return nil, err
		}
	}
	d.Case = int64(done.Case.ID)
	t.world.opened(plan.Group)
	return &done, nil
}

// join puts an alert into the case that a decision names.
func (t *taking) join(tx *store.Tx, a *alert.Alert, d *triage.Decision, opened *cases.Applied) error {
	id, by := cases.ID(d.Case), ruleBy(d.Rule)
	if opened == nil {
		begin, err := t.c.joinCase(tx, a.Tenant, id, a, t.at, by)
		t.begin = append(t.begin, begin...)
		return err
	}
	if _, err := linkAlert(tx, a.Tenant, id, a, t.at, by); err != nil {
		return err
	}
	begin, err := t.c.caseChanged(tx, a.Tenant, *opened, nil)
	t.begin = append(t.begin, begin...)
	return err
}

// fold notes that an alert was folded into another.
func (t *taking) fold(into alert.ID, last time.Time) {
	f := t.folded[into]
	if f == nil {
		f = &fold{}
		t.folded[into], t.heads = f, append(t.heads, into)
	}
	f.n++
	if last.After(f.last) {
		f.last = last
	}
}

// count counts what was folded, once for each alert that it was folded into, and
// tells its cases now and then.
func (t *taking) count(tx *store.Tx) error {
	for _, into := range t.heads {
		f := t.folded[into]
		n, err := store.AddFolded(tx, into, f.n, f.last)
		if err != nil {
			return err
		}
		if bits.Len(uint(n)) == bits.Len(uint(max(0, n-f.n))) { // not twice as many as when it was told last
			continue
		}
		in, err := store.CasesOfAlert(&tx.Reader, into)
		if err != nil {
			return err
		}
		for _, c := range in {
			r := cases.Record{Kind: cases.AlertRepeated, What: fmt.Sprintf("%d alerts are folded into alert %s", n, into), Links: []string{into.String()}}
			if err := tell(tx, "", c, r, t.at, cases.By{Kind: cases.BySystem, Name: "triage"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// storm keeps a storm that has begun, and folds the alerts of its first minute
// that nobody has touched.
func (t *taking) storm(tx *store.Tx, s *triage.State, a *alert.Alert, d *triage.Decision) error {
	b := d.Storm
	st := store.Storm{
		Tenant: a.Tenant, Storm: b.Rule, Key: b.Key, Subject: b.Subject, Case: cases.ID(d.Case), Alert: a.ID, Began: t.at,
		StormBody: store.StormBody{Before: b.Before},
	}
	if err := store.PutStorm(tx, &st); err != nil {
		return err
	}
	s.Restore(t.rules, openStorm(st), t.at)
	n := 0
	for _, id := range b.Alone {
		ok, err := store.Untouched(&tx.Reader, a.Tenant, id)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		n++
		if err := store.MoveAlert(tx, a.Tenant, id, alert.Event{
			At: t.at, By: "rule:" + b.Rule, Status: alert.Folded, Rule: b.Rule, RulesNo: t.no, Into: a.ID.String(),
			Outcome: fmt.Sprintf("Folded into %s, one of the storm of %s that began with it", a.ID, b.Subject),
		}); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("A storm of %s: more than %d alerts a minute. They are folded into %s until it is over", b.Subject, b.PerMin, a.ID)
	if n > 0 {
		what += fmt.Sprintf(", and so are %d of the minute before", n)
	}
	err := tell(tx, a.Tenant, st.Case, cases.Record{Kind: cases.AlertRepeated, What: what, Links: []string{a.ID.String()}}, t.at, ruleBy(b.Rule))
	t.raised = append(t.raised, alarm{Kind: alarmStorm, Subject: b.Subject, Since: t.at, Message: fmt.Sprintf(
		"More than %d alerts a minute of %s; they are folded into %s of case %s. Look for the cause there.", b.PerMin, b.Subject, a.ID, caseRef(d.Case))})
	return err
}

// start starts the playbooks that the decision names, and those whose own
// triggers an alert meets that was not dropped or folded, each once.
func (t *taking) start(tx *store.Tx, a *alert.Alert, object map[string]any, d *triage.Decision) error {
	if !d.Triggers || len(d.Starts) == 0 && !t.c.plans.listens(a.Tenant, playbook.OnAlert) {
		return nil
	}
	object["status"] = string(a.Status)
	if d.Case != 0 {
		object["case"] = caseRef(d.Case)
	}
	h := happening{
		tenant: a.Tenant, kind: playbook.OnAlert, event: "new", now: object, key: fmt.Sprintf("alert:%d:new", a.ID), alert: a,
		caseID: d.Case, severity: a.Severity,
	}
	for _, s := range d.Starts {
		f, err := t.c.startNamed(tx, s, h, t.at)
		if err != nil {
			return err
		}
		if f != nil {
			t.begin = append(t.begin, f)
		}
	}
	begin, err := t.c.fire(tx, h)
	t.begin = append(t.begin, begin...)
	return err
}

// startNamed starts a playbook that triage names. What the row of the table does
// not give it is filled as the playbook's own trigger says, or by name.
func (c *core) startNamed(tx *store.Tx, s triage.Start, h happening, at time.Time) (func(), error) {
	p, err := c.plans.Published(h.tenant, s.Playbook, 0)
	if err != nil {
		return nil, nil // told as a problem of the alert
	}
	own := &playbook.Trigger{Kind: playbook.OnAlert}
	if i := slices.IndexFunc(p.Triggers, func(t playbook.Trigger) bool { return t.Kind == playbook.OnAlert }); i >= 0 && s.With == nil {
		own = &p.Triggers[i]
	}
	raw, err := expr.EncodeJSON(h.now)
	if err != nil {
		return nil, err
	}
	given, err := run.FromTrigger(p, own, objectOf(h.kind, h.now), at)
	if err == nil {
		maps.Copy(given, s.With)
	}
	return c.startWith(tx, p, given, err, raw, h, s.By)
}

// done follows once everything is on disk.
func (t *taking) done() {
	beginAll(t.begin)
	for word, n := range t.states {
		t.c.alertsDecided(word, n)
	}
	for i := range t.all {
		if !t.taken[i].Duplicate && !t.taken[i].LeftOut {
			t.c.score.memory.Saw(t.all[i].assessed.pairs)
		}
	}
	for _, a := range t.raised {
		t.c.raise(a)
	}
}

// back takes back what the state remembers of a batch that was not stored.
func (t *taking) back() {
	d := t.c.triage
	d.mu.Lock()
	defer d.mu.Unlock()
	t.undo.Back(0)
}
