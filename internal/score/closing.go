package score

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// Closing is a rule by which alerts of the band false_positive are closed without
// a person, all but a sample.
type Closing struct {
	ID              string        `yaml:"close,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the rule's name, as it stands beside what it closes"`
	Reason          string        `yaml:"reason,required" min:"1" doc:"why such alerts need nobody; people see it"`
	When            string        `yaml:"when,required" min:"1" doc:"a condition over alert, verdicts, assets, identities, technique, history and seen"`
	Sample          Percent       `yaml:"sample,required" doc:"the share that goes to a person all the same, such as 10%"`
	MaxDisagreement Percent       `yaml:"max_disagreement,required" doc:"how often people may disagree before the rule stops itself, such as 5%"`
	Least           int           `yaml:"least" min:"1" doc:"the number of samples that the share of disagreement is taken of at least; default 20"`
	Window          time.Duration `yaml:"window" doc:"how far back people's decisions count; default 30d"`
	Verdict         string        `yaml:"verdict" enum:"false_positive,benign_positive" doc:"what the closed alert is called; default false_positive"`

	when  *expr.Program
	reads facet
}

// Percent is a share such as 10%.
type Percent float64

// UnmarshalStrict reads 10% or 2.5%.
func (p *Percent) UnmarshalStrict(n strictyaml.Node) {
	text, ok := n.Value().(string)
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if !ok || !percent || err != nil || !(f >= 0 && f <= 100) {
		n.Errorf("expected a share from 0% to 100%, such as 10%", "%v is no share", n.Value())
		return
	}
	*p = Percent(f)
}

// StrictSchema describes it for editors.
func (Percent) StrictSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": `^[0-9]+(\.[0-9]+)?%$`}
}

func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'g', -1, 64) + "%" }

// What a closing rule has where its file says nothing.
const (
	defaultLeast  = 20
	defaultWindow = 30 * 24 * time.Hour
)

func (c *reader) closing() {
	seen := map[string]bool{}
	for i := range c.r.file.Closing {
		x, at := &c.r.file.Closing[i], strictyaml.Join("/closing", i)
		if seen[x.ID] {
			c.doc.Errorf(at+"/close", "give each rule a name of its own", "the rule %q is here twice", x.ID)
		}
		seen[x.ID] = true
		x.when = c.condition(at+"/when", x.When)
		if x.when != nil {
			x.reads = (&factor{when: x.when}).facets()
		}
		if x.Sample == 0 {
			c.doc.Errorf(at+"/sample", "expected more than 0%, such as 10%", "no sample would go to a person, so nobody would find out that the rule is wrong")
		}
		if x.MaxDisagreement >= 50 {
			c.doc.Errorf(at+"/max_disagreement", "expected less than 50%, such as 5%", "the rule would go on while people disagree with half of what it does")
		}
		if x.Least == 0 {
			x.Least = defaultLeast
		}
		if x.Window == 0 {
			x.Window = defaultWindow
		}
		if x.Window < time.Hour {
			c.doc.Errorf(at+"/window", "expected 1h or more, such as 30d", "a window of %s holds no decisions of people", x.Window)
		}
		if x.Verdict == "" {
			x.Verdict = "false_positive"
		}
		c.r.Closing = append(c.r.Closing, x)
	}
}

// Closes finds the closing rules that would close an alert with this score, in
// their order. Only alerts of the band false_positive that could be read are
// closed; a condition that cannot be worked out closes nothing.
func (r *Rules) Closes(a *alert.Alert, object map[string]any, f Facts, res Result, now time.Time) (rules []*Closing) {
	if len(r.Closing) == 0 || res.Band != alert.FalsePositive || a.Error != "" || len(f.Missing) > 0 {
		return nil
	}
	if object == nil {
		object = a.Object()
	}
	s := &scene{object: object, facts: f, named: len(a.Techniques)}
	r.weighTechnique(s, a.Techniques)
	var env *expr.Env
	for _, c := range r.Closing {
		if env == nil {
			env = &expr.Env{Roots: s.roots(everything), Now: now}
		}
		if ok, err := c.when.EvalBool(env); err == nil && ok {
			rules = append(rules, c)
		}
	}
	return rules
}

// Sampled tells whether an alert is one of those that go to a person all the
// same. It is a keyed hash of what tells the alert apart, so that it is the same
// when asked again, and nobody who sends alerts and does not know the key can
// choose which.
func (c *Closing) Sampled(key []byte, tenant, source, identity string) bool {
	mac := hmac.New(sha256.New, key)
	for _, part := range []string{"sample", c.ID, tenant, source, identity} {
		_ = binary.Write(mac, binary.BigEndian, uint32(len(part))) // a hash takes everything
		mac.Write([]byte(part))
	}
	const scale = 1 << 32
	n := binary.BigEndian.Uint32(mac.Sum(nil))
	return float64(n) < float64(c.Sample)/100*scale
}

// Record is what people have said about a closing rule's work within its window.
type Record struct {
	Samples  int `json:"samples"`  // sampled alerts that a person has decided about
	Disagree int `json:"disagree"` // of them and of what the rule closed: true positives, and what was opened again
}

// Judge tells whether a rule may go on. People disagree too often where the
// disagreements are more than the allowed share of the samples, of which there
// are counted at least as many as the rule says: one early disagreement is no
// rate, and a rule that is plainly wrong stops before the sample is full.
func (c *Closing) Judge(r Record) (goes bool, why string) {
	of := max(r.Samples, c.Least)
	if float64(r.Disagree)*100 <= float64(c.MaxDisagreement)*float64(of) {
		return true, ""
	}
	return false, fmt.Sprintf("people disagreed %d times in %s within %s; allowed is %s, counted of at least %d",
		r.Disagree, plural(r.Samples, "sample"), days(c.Window), c.MaxDisagreement, c.Least)
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return plural(int(d/(24*time.Hour)), "day")
	}
	return d.String()
}
