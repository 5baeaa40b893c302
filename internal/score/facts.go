package score

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/intel"
)

// Facts are what is known of an alert beside the alert itself. The zero value
// knows nothing.
type Facts struct {
	Verdicts   []Verdict // of the things that were looked up
	Assets     Found     // the machines that the list of assets holds
	Identities Found     // the accounts that the list of identities holds
	History    History   // of alerts by the same detection
	Seen       Seen      // earlier alerts about the same
	// Missing names facts that could not be had, in words for people, such as
	// "reputation has not answered".
	Missing []string
}

// Verdict is what is known of one thing seen in an alert.
type Verdict struct {
	Type       string        `json:"type"`
	Value      string        `json:"value"`
	Verdict    intel.Verdict `json:"verdict"`
	Confidence int           `json:"confidence,omitempty"` // 0 to 100
	Source     string        `json:"source,omitempty"`     // who decided
	Against    []string      `json:"against,omitempty"`    // who says otherwise: "feed-b says harmless"
	Allowed    string        `json:"allowed,omitempty"`    // the allow list that holds it
}

// Judge makes one verdict of what sources say of a thing. A person's word
// decides. Where sources contradict each other, one says harmless and one says
// worse, a harmless one does not count: a source that lies or errs must not talk
// an alert down against another.
func Judge(typ, value string, opinions []intel.Opinion, at time.Time) Verdict {
	i := intel.Indicator{Opinions: opinions}
	s := i.Sum(at)
	v := Verdict{Type: typ, Value: value, Verdict: s.Verdict, Confidence: s.Confidence, Source: s.Source}
	manual := false
	for _, o := range opinions {
		if o.Source == s.Source {
			manual = o.Manual
		}
		if !o.Expires.IsZero() && !at.Before(o.Expires) || o.Source == s.Source || bad(o.Verdict) == bad(s.Verdict) || o.Verdict == intel.Unknown {
			continue
		}
		v.Against = append(v.Against, o.Source+" says "+string(o.Verdict))
	}
	slices.Sort(v.Against)
	if s.Verdict == intel.Harmless && len(v.Against) > 0 && !manual {
		v.Verdict, v.Confidence = intel.Unknown, 0
	}
	return v
}

func bad(v intel.Verdict) bool { return v == intel.Malicious || v == intel.Suspicious }

// worseness sorts verdicts for the score: what nobody knows is worse than what
// somebody called harmless.
func worseness(v intel.Verdict) int {
	return slices.Index([]intel.Verdict{intel.Harmless, intel.Unknown, intel.Suspicious, intel.Malicious}, v)
}

// History is how people decided about alerts of the same detection lately.
type History struct {
	TruePositive   int `yaml:"true_positive" json:"true_positive"`
	BenignPositive int `yaml:"benign_positive" json:"benign_positive"`
	FalsePositive  int `yaml:"false_positive" json:"false_positive"`
}

// Total is the number of decisions.
func (h History) Total() int { return h.TruePositive + h.BenignPositive + h.FalsePositive }

// Seen is what is known of earlier alerts in which the same observable and the
// same entity came together.
type Seen struct {
	Alerts  int    `yaml:"alerts" json:"alerts"`   // how many there were
	Verdict string `yaml:"verdict" json:"verdict"` // what a person said of one of them last: true_positive, benign_positive, false_positive or ""
}

// facet is a set of roots.
type facet uint8

const (
	ofAlert facet = 1 << iota
	ofVerdicts
	ofAssets
	ofIdentities
	ofTechnique
	ofHistory
	ofSeen

	everything = ofAlert | ofVerdicts | ofAssets | ofIdentities | ofTechnique | ofHistory | ofSeen
	// restful are the roots of which nothing is known for most alerts.
	restful = ofAssets | ofIdentities | ofTechnique | ofHistory | ofSeen
)

var facetOf = map[string]facet{
	"alert": ofAlert, "verdicts": ofVerdicts, "assets": ofAssets, "identities": ofIdentities,
	"technique": ofTechnique, "history": ofHistory, "seen": ofSeen,
}

// Scope holds the names that conditions of a score file may use.
func Scope() *expr.Scope {
	text, count := expr.Text().Nullable(), expr.Int()
	closed := func(fields map[string]expr.Type) expr.Type { return expr.Object(fields, false) }
	level := expr.Text().OneOf("low", "medium", "high", "critical").Nullable()
	listed := func(more map[string]expr.Type) expr.Type {
		f := map[string]expr.Type{"value": expr.Text(), "criticality": level, "note": text}
		all := map[string]expr.Type{"count": count, "highest": level, "level": count, "names": expr.Text()}
		for k, v := range more {
			all[k], f[k] = v, v
		}
		all["all"] = expr.List(closed(f))
		return closed(all)
	}
	verdict := expr.Text().OneOf("malicious", "suspicious", "harmless", "unknown")
	outcome := expr.Text().OneOf("true_positive", "benign_positive", "false_positive").Nullable()
	return expr.NewScope().
		With("alert", alert.Type()).
		With("verdicts", closed(map[string]expr.Type{
			"worst": verdict, "confidence": count, "names": expr.Text(), "total": count, "known": count, "malicious": count, "suspicious": count,
			"harmless": count, "unknown": count, "allowed": count, "contradicting": count,
			"all": expr.List(closed(map[string]expr.Type{"type": expr.Text(), "value": expr.Text(), "verdict": verdict, "confidence": count, "source": text, "allowed": text})),
		})).
		With("assets", listed(nil)).
		With("identities", listed(map[string]expr.Type{"privileged": expr.Bool()})).
		With("technique", closed(map[string]expr.Type{"id": text, "name": text, "points": count, "count": count})).
		With("history", closed(map[string]expr.Type{
			"total": count, "true_positive": count, "benign_positive": count, "false_positive": count,
			"true_share": expr.Number(), "false_share": expr.Number(),
		})).
		With("seen", closed(map[string]expr.Type{"before": expr.Bool(), "alerts": count, "verdict": outcome}))
}

// scene is an alert with its facts, as conditions see them.
type scene struct {
	object    map[string]any // Alert.Object
	facts     Facts
	technique technique
	named     int // techniques
}

// known are the roots of which something is known.
func (s *scene) known() (k facet) {
	k = ofAlert | ofVerdicts
	for _, x := range []struct {
		is bool
		of facet
	}{
		{len(s.facts.Assets.All) > 0, ofAssets}, {len(s.facts.Identities.All) > 0, ofIdentities}, {s.named > 0, ofTechnique},
		{s.facts.History != History{}, ofHistory}, {s.facts.Seen != Seen{}, ofSeen},
	} {
		if x.is {
			k |= x.of
		}
	}
	return k
}

// unknowns is how many things were looked up where nobody knows any of them; -1
// otherwise, and where there are more than was worked out in advance.
func (s *scene) unknowns() int {
	for i := range s.facts.Verdicts {
		if v := &s.facts.Verdicts[i]; v.Verdict != intel.Unknown || v.Allowed != "" || len(v.Against) > 0 {
			return -1
		}
	}
	if len(s.facts.Verdicts) > quietMost {
		return -1
	}
	return len(s.facts.Verdicts)
}

// roots makes the roots that are wanted.
func (s *scene) roots(want facet) map[string]any {
	roots := make(map[string]any, 8)
	for _, x := range []struct {
		name string
		of   facet
		make func() map[string]any
	}{
		{"alert", ofAlert, func() map[string]any { return s.object }},
		{"verdicts", ofVerdicts, s.verdicts},
		{"assets", ofAssets, func() map[string]any { return s.facts.Assets.object(false) }},
		{"identities", ofIdentities, func() map[string]any { return s.facts.Identities.object(true) }},
		{"technique", ofTechnique, s.techniqueRoot},
		{"history", ofHistory, s.history},
		{"seen", ofSeen, s.seen},
	} {
		if want&x.of != 0 {
			roots[x.name] = x.make()
		}
	}
	return roots
}

func (s *scene) verdicts() map[string]any {
	sum := sumUp(s.facts.Verdicts)
	all := make([]any, 0, len(s.facts.Verdicts))
	for _, v := range sum.sorted {
		all = append(all, map[string]any{
			"type": v.Type, "value": v.Value, "verdict": string(v.Verdict), "confidence": v.Confidence, "source": some(v.Source), "allowed": some(v.Allowed),
		})
	}
	return map[string]any{
		"worst": string(sum.worst), "confidence": sum.confidence, "names": sum.names(), "total": len(s.facts.Verdicts),
		"known": len(s.facts.Verdicts) - sum.count[1], "malicious": sum.count[3], "suspicious": sum.count[2], "unknown": sum.count[1],
		"harmless": sum.count[0], "allowed": sum.allowed, "contradicting": sum.contradicting, "all": all,
	}
}

// summary is what verdicts come to.
type summary struct {
	sorted        []Verdict
	worst         intel.Verdict
	confidence    int    // the highest of those with the worst verdict
	count         [4]int // by worseness
	allowed       int
	contradicting int
}

// sumUp counts verdicts. What people have put on an allow list is ours or known
// to be good, whatever a feed says of it.
func sumUp(all []Verdict) (s summary) {
	s.worst = intel.Unknown
	if len(all) == 0 {
		return s
	}
	s.sorted = slices.Clone(all)
	slices.SortFunc(s.sorted, func(a, b Verdict) int {
		return cmp.Or(cmp.Compare(worseness(b.Verdict), worseness(a.Verdict)), cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
	})
	worst := -1
	for i := range s.sorted {
		v := &s.sorted[i]
		if v.Allowed != "" {
			s.allowed++
			v.Verdict = intel.Harmless
		}
		n := worseness(v.Verdict)
		s.count[max(n, 0)]++
		if len(v.Against) > 0 && v.Allowed == "" {
			s.contradicting++
		}
		switch {
		case n > worst:
			worst, s.worst, s.confidence = n, v.Verdict, v.Confidence
		case n == worst:
			s.confidence = max(s.confidence, v.Confidence)
		}
	}
	return s
}

// names lists the things with the worst verdict, a few of them.
func (s *summary) names() string {
	var names []string
	for _, v := range s.sorted {
		if v.Verdict == s.worst {
			names = append(names, v.Value)
		}
	}
	return few(names)
}

// few names the first three of a list and how many more there are.
func few(names []string) string {
	for i, n := range names {
		if r := []rune(n); len(r) > 80 {
			names[i] = string(r[:79]) + "…"
		}
	}
	switch n := len(names); {
	case n > 3:
		return strings.Join(names[:3], ", ") + " and " + plural(n-3, "other")
	default:
		return strings.Join(names, ", ")
	}
}

func (s *scene) techniqueRoot() map[string]any {
	return map[string]any{"id": some(s.technique.id), "name": some(s.technique.name), "points": s.technique.points, "count": s.named}
}

func (s *scene) history() map[string]any {
	h := s.facts.History
	total := max(h.Total(), 1)
	return map[string]any{
		"total": h.Total(), "true_positive": h.TruePositive, "benign_positive": h.BenignPositive, "false_positive": h.FalsePositive,
		"true_share": float64(h.TruePositive) / float64(total), "false_share": float64(h.FalsePositive+h.BenignPositive) / float64(total),
	}
}

func (s *scene) seen() map[string]any {
	x := s.facts.Seen
	return map[string]any{"before": x.Alerts > 0, "alerts": x.Alerts, "verdict": some(x.Verdict)}
}

func some(s string) any {
	if s == "" {
		return nil
	}
	return s
}
