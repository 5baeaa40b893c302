package score

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
)

// Reason is one part of a score.
type Reason = alert.Reason

// Result is the score of an alert. The points of its reasons add up to it.
type Result struct {
	Score   int        `json:"score"`
	Band    alert.Band `json:"band"`
	Reasons []Reason   `json:"reasons"`
}

// Score works out the score of an alert. object is a.Object(), which the caller
// may have made already; nil makes it.
func (r *Rules) Score(a *alert.Alert, object map[string]any, f Facts, now time.Time) Result {
	if object == nil {
		object = a.Object()
	}
	s := &scene{object: object, facts: f, named: len(a.Techniques)}
	out := Result{Reasons: make([]Reason, 0, 8)}
	out.Reasons = append(out.Reasons, r.base(a), r.weighTechnique(s, a.Techniques))
	if out.Reasons[1].Factor == "" {
		out.Reasons = out.Reasons[:1]
	}
	out.Reasons = r.weigh(s, out.Reasons, now)
	out.Reasons = r.hold(out.Reasons)
	out.Reasons = append(out.Reasons, notKnown(s, a)...)
	r.limit(&out)
	return out
}

// weigh adds the reasons of the factors that hold. Most alerts hold nothing that
// anything is known of; factors that look at no more than that were worked out
// when the file was read.
func (r *Rules) weigh(s *scene, reasons []Reason, now time.Time) []Reason {
	known, unknown := s.known(), s.unknowns()
	var env *expr.Env
	for _, x := range r.factors {
		reason, holds := x.idle, x.idleHolds
		if x.reads&known != 0 || x.reads == 0 {
			if x.reads&known == ofVerdicts && unknown >= 0 && x.quiet[unknown] {
				continue
			}
			if env == nil {
				env = &expr.Env{Roots: s.roots(everything), Now: now}
			}
			reason, holds = x.eval(env)
		}
		if holds && (reason.Points != 0 || strings.HasPrefix(reason.Why, "could not")) {
			reasons = append(reasons, reason)
		}
	}
	return reasons
}

// base is what every alert begins with.
func (r *Rules) base(a *alert.Alert) Reason {
	n := a.Severity
	if n < 0 || n > 5 {
		n = 0
	}
	why := "its source calls it " + severityWords[n]
	switch {
	case a.Error != "":
		why = "it could not be read, so nobody knows how severe it is"
	case n == 0:
		why = "its source says no severity"
	}
	return Reason{Factor: "severity", Points: r.severity[n], Why: why}
}

// weighTechnique finds the technique with the most points, that of a parent
// standing for its sub-techniques.
func (r *Rules) weighTechnique(s *scene, ids []string) Reason {
	found := false
	for _, id := range ids {
		for _, one := range techniqueIDs(id) {
			t, ok := r.techniques[one]
			if !ok {
				continue
			}
			t.id = one
			if !found || t.points > s.technique.points || t.points == s.technique.points && t.id < s.technique.id {
				found, s.technique = true, t
			}
			break
		}
	}
	if !found || s.technique.points == 0 {
		return Reason{}
	}
	return Reason{Factor: "technique", Points: s.technique.points, Why: s.technique.id + ": " + s.technique.name}
}

// techniqueIDs are the names under which an ID such as TA0002:T1059.001 may stand
// in a table, the narrowest first.
func techniqueIDs(id string) (all []string) {
	tactic, id, both := strings.Cut(strings.ToUpper(strings.TrimSpace(id)), ":")
	if !both {
		id = tactic
	}
	all = append(all, id)
	if parent, _, sub := strings.Cut(id, "."); sub {
		all = append(all, parent)
	}
	if both {
		all = append(all, tactic)
	}
	return all
}

// hold keeps groups within their caps, and says where one is at work.
func (r *Rules) hold(reasons []Reason) []Reason {
	for _, g := range r.groups {
		sum := 0
		for _, x := range reasons {
			if r.groupOf(x.Factor) == g.name {
				sum += x.Points
			}
		}
		switch {
		case g.Most != nil && sum > *g.Most:
			reasons = append(reasons, Reason{Factor: "limit", Points: *g.Most - sum, Why: fmt.Sprintf("%s counts for at most %d", g.name, *g.Most)})
		case g.Least != nil && sum < *g.Least:
			reasons = append(reasons, Reason{Factor: "limit", Points: *g.Least - sum, Why: fmt.Sprintf("%s counts for at least %d", g.name, *g.Least)})
		}
	}
	return reasons
}

func (r *Rules) groupOf(name string) string {
	for _, f := range r.factors {
		if f.name == name {
			return f.group
		}
	}
	return ""
}

// notKnown says what the score does not rest on.
func notKnown(s *scene, a *alert.Alert) (all []Reason) {
	for _, v := range s.facts.Verdicts {
		if len(v.Against) == 0 || v.Allowed != "" {
			continue
		}
		says := "nobody's word is taken"
		if v.Source != "" {
			says = v.Source + " decides, " + strings.Join(v.Against, ", ")
		}
		all = append(all, Reason{Factor: "contradiction", Why: fmt.Sprintf("sources contradict each other about %s: %s; taken as %s", few([]string{v.Value}), says, v.Verdict)})
		if len(all) == 3 {
			break
		}
	}
	var none []string
	sum := sumUp(s.facts.Verdicts)
	switch {
	case len(s.facts.Verdicts) == 0:
		none = append(none, "nothing in it to look up")
	case sum.count[1] == len(s.facts.Verdicts):
		none = append(none, "no verdict on "+plural(sum.count[1], "thing")+" in it")
	case sum.count[1] > 0:
		none = append(none, fmt.Sprintf("no verdict on %d of %s in it", sum.count[1], plural(len(s.facts.Verdicts), "thing")))
	}
	for _, x := range []struct {
		is  bool
		why string
	}{
		{len(s.facts.Assets.All) == 0, "no listed machine"},
		{len(s.facts.Identities.All) == 0, "no listed account"},
		{len(a.Techniques) == 0, "no technique"},
		{s.facts.History.Total() == 0, "detection never judged"},
		{s.facts.Seen.Alerts == 0, "nothing like it before"},
	} {
		if x.is {
			none = append(none, x.why)
		}
	}
	if none = append(none, s.facts.Missing...); len(none) > 0 {
		all = append(all, Reason{Factor: "not-known", Why: strings.Join(none, "; ")})
	}
	return all
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// limit adds the points up and holds them between 0 and 100.
func (r *Rules) limit(out *Result) {
	sum := 0
	for _, x := range out.Reasons {
		sum += x.Points
	}
	out.Score = max(0, min(sum, 100))
	if out.Score != sum {
		out.Reasons = append(out.Reasons, Reason{Factor: "limit", Points: out.Score - sum, Why: fmt.Sprintf("%d is held to %d", sum, out.Score)})
	}
	out.Band = r.Band(out.Score)
}
