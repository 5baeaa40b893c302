package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/intel"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// lookUp starts the playbooks that look things up for an alert, which then waits
// for them. began is empty where none is wanted or published.
func (c *core) lookUp(tx *store.Tx, a *alert.Alert, object map[string]any, caseID int64, at time.Time) (begin []func(), err error) {
	e := &c.scoreRules().Enrich
	if len(e.Playbooks) == 0 {
		return nil, nil
	}
	w := store.Wait{Alert: a.ID, Tenant: a.Tenant, Began: at, Deadline: at.Add(e.Deadline)}
	var raw json.RawMessage
	for _, slug := range e.Wanted(object, at) {
		p, err := c.plans.Published(a.Tenant, slug, 0)
		if err != nil {
			continue // not switched on
		}
		if raw == nil {
			if raw, err = expr.EncodeJSON(object); err != nil {
				return nil, err
			}
		}
		given, err := run.FromTrigger(p, ownTrigger(p), run.Object{Alert: object}, at)
		if err == nil {
			given, err = p.FillInputs(given)
		}
		if err != nil {
			c.log.Warn("playbook not started", "playbook", slug, "alert_id", a.ID, "error", err)
			continue
		}
		inputs, err := expr.EncodeJSON(given)
		if err != nil {
			return nil, err
		}
		id, f, err := c.engine.StartIn(tx, run.Start{
			Tenant: tenantOf(a.Tenant), Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs, CaseID: caseID,
			Severity: a.Severity, By: "score:enrichment", Alert: raw, AlertID: int64(a.ID),
		}, fmt.Sprintf("alert:%d:new:%s", a.ID, p.ID))
		if err != nil {
			return nil, err
		}
		begin = append(begin, f)
		w.Runs = append(w.Runs, store.WaitRun{Playbook: slug, Run: int64(id)})
	}
	if len(w.Runs) == 0 {
		return nil, nil
	}
	a.Waiting, a.Ready = true, time.Time{}
	return begin, store.BeginWait(tx, &w)
}

// ownTrigger is the trigger by which a playbook fills its inputs from an alert.
func ownTrigger(p *playbook.Plan) *playbook.Trigger {
	for i := range p.Triggers {
		if p.Triggers[i].Kind == playbook.OnAlert {
			return &p.Triggers[i]
		}
	}
	return &playbook.Trigger{Kind: playbook.OnAlert}
}

// runEnded notes that a run has ended that an alert may wait for.
func (s *scoring) runEnded(id int64) {
	if id == 0 {
		return
	}
	s.mu.Lock()
	s.ended[alert.ID(id)] = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// mostWaits bounds how many waiting alerts are looked at in one go.
const mostWaits = 1000

// makeReady ends the waiting of alerts whose runs have ended or whose deadline
// has passed. all looks at every alert that waits, as after a start.
func (c *core) makeReady(ctx context.Context, all bool) error {
	s := c.score
	s.mu.Lock()
	ended := s.ended
	s.ended = map[alert.ID]bool{}
	s.mu.Unlock()
	var waits []store.Wait
	err := c.db.Read(ctx, func(q *store.Reader) (err error) {
		waits, err = store.Waits(q, mostWaits)
		return err
	})
	if err != nil {
		return err
	}
	at := utc(c.now())
	for i := range waits {
		w := &waits[i]
		late := !at.Before(w.Deadline)
		if !all && !late && !ended[w.Alert] && len(waits) < mostWaits {
			continue
		}
		over, found, failed, err := c.lookedAt(ctx, w, late)
		if err == nil && (over || late) {
			err = c.endWait(ctx, w, found, failed)
		}
		if err != nil {
			s.runEnded(int64(w.Alert)) // looked at again
			return err
		}
	}
	return nil
}

// finding is what a source said of a thing when it was asked.
type finding struct {
	typ, value string
	opinion    intel.Opinion
}

func (f finding) sameSource(o intel.Opinion) bool { return o.Source == f.opinion.Source }

// lookedAt collects what the runs of a waiting alert have found so far, and which
// sources failed. over tells that all have ended.
func (c *core) lookedAt(ctx context.Context, w *store.Wait, late bool) (over bool, found []finding, failed []string, err error) {
	over = true
	for _, r := range w.Runs {
		sum, ok, err := c.engine.Summary(ctx, run.ID(r.Run))
		if err != nil {
			return false, nil, nil, err
		}
		if !ok {
			failed = append(failed, "playbook "+r.Playbook+": its run is gone")
			continue
		}
		if !sum.Status.Final() {
			over = false
			if !late {
				return false, nil, nil, nil
			}
		}
		view, err := c.engine.Get(ctx, run.ID(r.Run))
		if err != nil {
			return false, nil, nil, err
		}
		at := w.Began
		if !sum.Status.Final() {
			failed = append(failed, c.lateOnes(view.Steps, r.Playbook, w)...)
		} else if sum.Status != run.Succeeded {
			failed = append(failed, fmt.Sprintf("playbook %s: %s: %s", r.Playbook, sum.Status, clipText(sum.Code+" "+sum.Message)))
		}
		for i := range view.Steps {
			f, why := foundIn(&view.Steps[i], at)
			found = append(found, f...)
			if why != "" && !slices.Contains(failed, why) {
				failed = append(failed, why)
			}
		}
		found = append(found, foundOut(view.Outputs, r.Playbook, at)...)
	}
	return over, found, failed, nil
}

// lateOnes names what has not answered by the deadline.
func (c *core) lateOnes(steps []run.StepView, playbook string, w *store.Wait) (list []string) {
	after := w.Deadline.Sub(w.Began)
	for i := range steps {
		s := &steps[i]
		if s.Action == "" || s.Status.Final() {
			continue
		}
		asked := sourceOf(s)
		if s.Connection == "" {
			if name, _ := c.caller.Route(tenantOf(w.Tenant), "", s.Action); name != "" {
				asked = name
			}
		}
		who := fmt.Sprintf("deadline passed: %s has not answered within %s", asked, after)
		if !slices.Contains(list, who) {
			list = append(list, who)
		}
	}
	if len(list) == 0 {
		list = []string{fmt.Sprintf("deadline passed: playbook %s has not ended within %s", playbook, after)}
	}
	return list
}

// sourceOf names who was asked in a step.
func sourceOf(s *run.StepView) string {
	if s.Connection != "" {
		return s.Connection
	}
	return s.Action
}

// foundIn reads what a step found: the verdict that the platform makes of an
// answer, or why there is none. What an answer says that makes no sense counts
// for nothing and is told.
func foundIn(s *run.StepView, at time.Time) (found []finding, why string) {
	if s.Action == "" {
		return nil, ""
	}
	if s.Status.Final() && s.Status != run.Succeeded && s.Status != run.Skipped {
		if s.Error != nil {
			return nil, fmt.Sprintf("%s: %s: %s", sourceOf(s), s.Error.Code, clipText(s.Error.Message))
		}
		return nil, fmt.Sprintf("%s: %s", sourceOf(s), s.Status)
	}
	var out struct {
		Known   *bool
		Verdict *struct {
			Score       *float64
			Label       string
			Reliability string
		}
	}
	var in struct{ Type, Value, IP, Domain, URL, Hash, Email string }
	if json.Unmarshal(s.Output, &out) != nil || out.Verdict == nil || json.Unmarshal(s.Inputs, &in) != nil {
		return nil, ""
	}
	f := finding{typ: in.Type, value: in.Value}
	for _, v := range []string{in.IP, in.Domain, in.URL, in.Hash, in.Email} {
		if f.value == "" {
			f.value = v
		}
	}
	v, err := intel.ParseVerdict(out.Verdict.Label)
	if err != nil || out.Verdict.Score != nil && (*out.Verdict.Score < 0 || *out.Verdict.Score > 100) {
		return nil, fmt.Sprintf("%s: answer makes no sense: a verdict of %q", sourceOf(s), clipText(out.Verdict.Label))
	}
	f.opinion = intel.Opinion{Source: sourceOf(s), Verdict: v, Reliability: intel.Reliability(out.Verdict.Reliability), Confidence: confidence(v, out.Verdict.Score), At: at}
	return []finding{f}, ""
}

// confidence is how sure a source is that scores from 0 harmless to 100
// malicious.
func confidence(v intel.Verdict, points *float64) int {
	const unsaid = 60
	switch {
	case v == intel.Unknown:
		return 0
	case points == nil:
		return unsaid
	case v == intel.Harmless:
		return 100 - int(*points)
	}
	return int(*points)
}

// foundOut reads what a playbook says itself that it found, in its output
// verdicts: a list of {type, value, verdict, confidence, source}.
func foundOut(outputs map[string]any, playbook string, at time.Time) (list []finding) {
	all, _ := outputs["verdicts"].([]any)
	for _, x := range all {
		m, _ := x.(map[string]any)
		word := func(k string) string { s, _ := m[k].(string); return s }
		v, err := intel.ParseVerdict(word("verdict"))
		if err != nil || word("value") == "" {
			continue
		}
		f := finding{typ: word("type"), value: word("value"), opinion: intel.Opinion{Source: word("source"), Verdict: v, Confidence: 60, At: at}}
		if f.opinion.Source == "" {
			f.opinion.Source = playbook
		}
		switch n := m["confidence"].(type) {
		case int:
			f.opinion.Confidence = max(0, min(n, 100))
		case float64:
			f.opinion.Confidence = int(max(0, min(n, 100)))
		}
		list = append(list, f)
	}
	return list
}

// clipText shortens what came from outside for a line.
func clipText(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 160 {
		return string(r[:159]) + "…"
	}
	return s
}

// endWait scores an alert again with what was found, makes it ready, and starts
// what the new score starts. A rule may close it then.
func (c *core) endWait(ctx context.Context, w *store.Wait, found []finding, failed []string) error {
	at := utc(c.now())
	untouched, err := c.untouched(ctx, w)
	if err != nil {
		return err
	}
	var begin []func()
	err = c.db.Write(ctx, func(tx *store.Tx) error {
		begin = nil
		ended, err := store.EndWait(tx, w.Alert, at)
		if err != nil || !ended {
			return err
		}
		a, err := store.Alert(&tx.Reader, w.Tenant, w.Alert)
		if err != nil {
			return err
		}
		a.Failed, a.Waiting = failed, false
		x := c.assess(asCame(&a), found, failed, at)
		a.Score, a.Band, a.Reasons = x.result.Score, x.result.Band, x.result.Reasons
		if err := store.SaveScore(tx, &a); err != nil {
			return err
		}
		if a.Status != alert.New && a.Status != alert.InCase {
			return nil // somebody was quicker
		}
		object := a.Object()
		if untouched && a.Status == alert.New {
			closed, err := c.closeByRule(tx, &a, object, &x, at)
			if err != nil || closed {
				return err
			}
		}
		begin, err = c.fire(tx, happening{
			tenant: a.Tenant, kind: playbook.OnAlert, event: "new", now: object, key: fmt.Sprintf("alert:%d:new", a.ID), alert: &a, severity: a.Severity,
		})
		return err
	})
	if err == nil {
		beginAll(begin)
	}
	return err
}

// asCame is an alert with the severity that its source said: what rules have
// made of it since is no fact of the score.
func asCame(a *alert.Alert) *alert.Alert {
	b := *a
	if a.Given != nil {
		b.Severity, b.Category = a.Given.Severity, a.Given.Category
	}
	return &b
}

// untouched tells that nothing but what looks things up works on an alert.
func (c *core) untouched(ctx context.Context, w *store.Wait) (bool, error) {
	runs, err := c.db.Journal().List(ctx, store.RunQuery{Tenant: tenantOf(w.Tenant), Alert: int64(w.Alert), Limit: 100})
	for _, r := range runs {
		if !slices.ContainsFunc(w.Runs, func(x store.WaitRun) bool { return x.Run == int64(r.Run) }) {
			return false, err
		}
	}
	return true, err
}
