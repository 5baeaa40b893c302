package score

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/intel"
	"riposte/internal/strictyaml"
)

// Rules are a score file: how points are given, and what follows from the score.
// They are never changed and may be used by many goroutines at once.
type Rules struct {
	Name    string
	Version int
	Lists   Lists
	Enrich  Enrichment
	Closing []*Closing

	file       File
	severity   [6]int
	techniques map[string]technique
	factors    []*factor
	groups     []group
	tests      []testCase
}

// File is a score file as it is written.
type File struct {
	Score       string          `yaml:"score,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the file's name, as it stands beside each score: small letters, digits, hyphens"`
	Version     int             `yaml:"version,required" min:"1" doc:"counts the changes of the file; scores keep it"`
	Description string          `yaml:"description" doc:"what the weights are made for"`
	Lists       Lists           `yaml:"lists" doc:"the lists of the installation that say which machines and people matter"`
	Bands       Bands           `yaml:"bands,required" doc:"where the bands begin"`
	Severity    Severity        `yaml:"severity,required" doc:"the points that every alert begins with, by what its source says"`
	Techniques  []TechniqueRow  `yaml:"techniques" doc:"points for ATT&CK techniques and tactics; of those that an alert names, the one with the most points counts"`
	Groups      map[string]Caps `yaml:"groups" doc:"the most and the least that the factors of a group count for together"`
	Factors     []Factor        `yaml:"factors,required" min:"1" doc:"what gives or takes points; all that hold count, in any order"`
	Enrichment  *Enrichment     `yaml:"enrichment" doc:"what is looked up before people see an alert"`
	Closing     []Closing       `yaml:"closing" doc:"which alerts are closed without a person, and how that is watched"`
	Tests       []testCase      `yaml:"tests" doc:"alerts with the score that they must have"`
}

// Lists names the lists of the installation that hold assets and identities. An
// entry's value is a host, an address, a network or an account; its note says
// how critical it is: low, medium, high or critical, and privileged.
type Lists struct {
	Assets     string `yaml:"assets" pattern:"[a-z][a-z0-9_-]{0,62}" doc:"the list of machines; default: assets"`
	Identities string `yaml:"identities" pattern:"[a-z][a-z0-9_-]{0,62}" doc:"the list of accounts; default: identities"`
}

// Bands are the scores at which the second and the third band begin.
type Bands struct {
	Analyst   int `yaml:"analyst,required" min:"1" doc:"from this score up a person decides; below it is the band false_positive"`
	Automatic int `yaml:"automatic,required" min:"1" doc:"from this score up is the band automatic; 101 leaves it empty"`
}

// Severity is the points that each severity begins with.
type Severity struct {
	Unknown       int `yaml:"unknown,required" min:"0" doc:"the source says none: not the least, for nobody has judged it"`
	Informational int `yaml:"informational,required" min:"0"`
	Low           int `yaml:"low,required" min:"0"`
	Medium        int `yaml:"medium,required" min:"0"`
	High          int `yaml:"high,required" min:"0"`
	Critical      int `yaml:"critical,required" min:"0"`
}

// TechniqueRow gives points to techniques that weigh alike.
type TechniqueRow struct {
	Name   string   `yaml:"name,required" min:"1" doc:"what they have in common, for the reason"`
	Points int      `yaml:"points,required" doc:"the points"`
	IDs    []string `yaml:"ids,required" min:"1" pattern:"T[0-9]{4}(\\.[0-9]{3})?|TA[0-9]{4}" doc:"IDs such as T1486, T1059.001 or the tactic TA0040; a technique stands for its sub-techniques too"`
}

type technique struct {
	id, name string
	points   int
}

// Caps hold what the factors of a group count for together.
type Caps struct {
	Most  *int `yaml:"most" doc:"no more than this"`
	Least *int `yaml:"least" doc:"no less than this"`
}

type group struct {
	name string
	Caps
}

// Factor gives or takes points where its condition holds.
type Factor struct {
	Name   string `yaml:"factor,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the factor's name, as it stands in reasons"`
	Group  string `yaml:"group" doc:"one of groups"`
	When   string `yaml:"when" doc:"a condition over alert, verdicts, assets, identities, technique, history and seen; default: always"`
	Points any    `yaml:"points,required" doc:"a whole number, or ${{ an expression }} that gives one"`
	Why    string `yaml:"why,required" min:"1" doc:"the reason in words; may hold ${{ expressions }}"`
}

// factor is a compiled Factor.
type factor struct {
	name, group string
	when        *expr.Program // nil: always
	points, why *expr.Value
	reads       facet  // what it looks at
	idle        Reason // what it says where nothing is known of what it looks at
	idleHolds   bool
	quiet       [quietMost + 1]bool // it does not hold where so many things are unknown and nothing else is known
}

// quietMost is up to how many unknown things a factor is worked out in advance.
const quietMost = 12

// Parse reads a score file. The error tells everything that is wrong, each at its
// line and column: fault.Invalid.
func Parse(file string, src []byte) (*Rules, error) {
	doc, err := strictyaml.Parse(file, src)
	if err != nil {
		return nil, err
	}
	r := &Rules{techniques: map[string]technique{}}
	f := &r.file
	doc.Decode(f)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	r.Name, r.Version, r.Lists = f.Score, f.Version, f.Lists
	if r.Lists.Assets == "" {
		r.Lists.Assets = "assets"
	}
	if r.Lists.Identities == "" {
		r.Lists.Identities = "identities"
	}
	c := &reader{r: r, doc: doc, scope: Scope()}
	c.bands()
	c.severity()
	c.techniques()
	c.factors()
	c.enrichment()
	c.closing()
	c.tests()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	for _, x := range r.factors {
		x.rest()
	}
	return r, nil
}

// reader compiles a score file and says where it is wrong.
type reader struct {
	r     *Rules
	doc   *strictyaml.Document
	scope *expr.Scope
}

func (c *reader) bands() {
	b := c.r.file.Bands
	if b.Analyst > 100 {
		c.doc.Errorf("/bands/analyst", "expected 1 to 100", "the band analyst begins at %d; then no score is for an analyst", b.Analyst)
	}
	if b.Automatic < b.Analyst {
		c.doc.Errorf("/bands/automatic", fmt.Sprintf("expected %d to 101", b.Analyst), "the band automatic begins at %d, below the band analyst", b.Automatic)
	}
	if b.Automatic > 101 {
		c.doc.Errorf("/bands/automatic", "expected at most 101, which leaves the band empty", "the band automatic begins at %d; scores end at 100", b.Automatic)
	}
}

func (c *reader) severity() {
	s := c.r.file.Severity
	c.r.severity = [6]int{s.Unknown, s.Informational, s.Low, s.Medium, s.High, s.Critical}
	for i, name := range severityWords {
		if c.r.severity[i] > 100 {
			c.doc.Errorf("/severity/"+name, "expected 0 to 100", "%s begins with %d points", name, c.r.severity[i])
		}
		if i > 1 && c.r.severity[i] < c.r.severity[i-1] {
			c.doc.Errorf("/severity/"+name, fmt.Sprintf("expected at least %d", c.r.severity[i-1]), "%s begins with %d points, fewer than %s", name, c.r.severity[i], severityWords[i-1])
		}
	}
}

var severityWords = [6]string{"unknown", "informational", "low", "medium", "high", "critical"}

func (c *reader) techniques() {
	for i, row := range c.r.file.Techniques {
		at := strictyaml.Join("/techniques", i)
		c.within(at+"/points", row.Points)
		for k, id := range row.IDs {
			if _, twice := c.r.techniques[id]; twice {
				c.doc.Errorf(fmt.Sprintf("%s/ids/%d", at, k), "name each technique once", "%s is here twice", id)
			}
			c.r.techniques[id] = technique{id, row.Name, row.Points}
		}
	}
}

// within refuses points that no score could have.
func (c *reader) within(at string, points int) {
	if points < -100 || points > 100 {
		c.doc.Errorf(at, "expected -100 to 100", "%d points are more than a score has", points)
	}
}

func (c *reader) factors() {
	f := &c.r.file
	for name, g := range f.Groups {
		if g.Most != nil && g.Least != nil && *g.Most < *g.Least {
			c.doc.Errorf(strictyaml.Join("/groups", name), "swap them", "the most of group %s is less than its least", name)
		}
		c.r.groups = append(c.r.groups, group{name, g})
	}
	slices.SortFunc(c.r.groups, func(a, b group) int { return strings.Compare(a.name, b.name) })
	names := map[string]bool{"severity": true, "technique": true, "not-known": true, "contradiction": true, "limit": true}
	for i := range f.Factors {
		x, at := &f.Factors[i], strictyaml.Join("/factors", i)
		if names[x.Name] {
			c.doc.Errorf(at+"/factor", "give each factor a name of its own", "the factor %q is there already, or is one of Riposte's own reasons", x.Name)
		}
		names[x.Name] = true
		if _, ok := f.Groups[x.Group]; !ok && x.Group != "" {
			c.doc.Errorf(at+"/group", strictyaml.DidYouMean(x.Group, groupNames(c.r.groups)), "there is no group %q", x.Group)
		}
		y := &factor{name: x.Name, group: x.Group, when: c.condition(at+"/when", x.When)}
		y.points, y.why = c.value(at+"/points", x.Points), c.value(at+"/why", x.Why)
		y.reads = y.facets()
		c.points(at+"/points", y.points)
		c.r.factors = append(c.r.factors, y)
	}
}

func groupNames(groups []group) (names []string) {
	for _, g := range groups {
		names = append(names, g.name)
	}
	return names
}

// points checks what can be checked of points before there is an alert.
func (c *reader) points(at string, v *expr.Value) {
	if v == nil {
		return
	}
	if n, ok := v.Const(); ok {
		whole, isInt := n.(int)
		if !isInt {
			c.doc.Errorf(at, "expected a whole number, or ${{ an expression }}", "points is %s", expr.Describe(n))
			return
		}
		c.within(at, whole)
		return
	}
	if wrong := v.Type().Fits(expr.Number().Nullable()); wrong != "" {
		c.doc.Errorf(at, "expected an expression that gives a number", "%s", wrong)
	}
}

func (c *reader) condition(at, text string) *expr.Program {
	if text == "" {
		return nil
	}
	p, err := expr.Compile(text, c.scope, expr.Bool())
	if err != nil {
		expr.TellAt(c.doc, at, "condition", err)
	}
	for _, m := range comparedWords.FindAllStringSubmatch(text, -1) {
		if words := wordsOf[m[1]]; !slices.Contains(words, m[2]) {
			c.doc.Errorf(at, strictyaml.DidYouMean(m[2], words), "%s is never %q", m[1], m[2])
		}
	}
	return p
}

// comparedWords finds facts that have a few values only where they are compared
// with a word.
var comparedWords = regexp.MustCompile(`\b(verdicts\.worst|assets\.highest|identities\.highest|seen\.verdict)\s*[!=]=\s*"([^"]*)"`)

var wordsOf = map[string][]string{
	"verdicts.worst": {"malicious", "suspicious", "harmless", "unknown"}, "assets.highest": levelWords[1:],
	"identities.highest": levelWords[1:], "seen.verdict": outcomes[1:],
}

func (c *reader) value(at string, v any) *expr.Value {
	return expr.ValueAt(c.doc, at, v, c.scope, "")
}

// facets are the roots that a factor looks at.
func (f *factor) facets() (all facet) {
	add := func(refs [][]string) {
		for _, path := range refs {
			all |= facetOf[path[0]]
		}
	}
	if f.when != nil {
		add(f.when.Refs())
	}
	for _, v := range []*expr.Value{f.points, f.why} {
		if v != nil {
			add(v.Refs())
		}
	}
	return all
}

// rest works out what the factor says where nothing is known, so that most
// factors cost nothing for most alerts.
func (f *factor) rest() {
	if f.reads&^restful == 0 {
		f.idle, f.idleHolds = f.eval(&expr.Env{Roots: (&scene{}).roots(restful)})
	}
	if f.reads&^(restful|ofVerdicts) != 0 || f.when == nil || looksAtEach(f.when.Refs()) {
		return
	}
	for n := range f.quiet {
		s := &scene{facts: Facts{Verdicts: make([]Verdict, n)}}
		for i := range n {
			s.facts.Verdicts[i].Verdict = intel.Unknown
		}
		_, holds := f.eval(&expr.Env{Roots: s.roots(restful | ofVerdicts)})
		f.quiet[n] = !holds
	}
}

// looksAtEach tells whether a condition reads more of verdicts than how many of
// each there are.
func looksAtEach(refs [][]string) bool {
	return slices.ContainsFunc(refs, func(path []string) bool {
		return path[0] == "verdicts" && (len(path) == 1 || path[1] == "all" || path[1] == "names")
	})
}

// eval works a factor out. One that cannot be worked out says so and gives no
// points: a mistake in one weight must not cost an alert its score.
func (f *factor) eval(env *expr.Env) (r Reason, holds bool) {
	r.Factor = f.name
	if f.when != nil {
		ok, err := f.when.EvalBool(env)
		if err != nil {
			r.Why = "could not be worked out: " + err.Error()
			return r, true
		}
		if !ok {
			return r, false
		}
	}
	v, err := f.points.Eval(env)
	if err == nil {
		r.Points, err = whole(v)
	}
	if err == nil {
		r.Why, err = f.why.Text(env)
	}
	if err != nil {
		r.Points, r.Why = 0, "could not be worked out: "+err.Error()
	}
	return r, true
}

func whole(v any) (int, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case int:
		return max(-100, min(v, 100)), nil
	case float64:
		if !math.IsNaN(v) {
			return int(math.Round(max(-100, min(v, 100)))), nil
		}
	}
	return 0, fmt.Errorf("points is %s; expected a number", expr.Describe(v))
}

// Band tells in which band a score is.
func (r *Rules) Band(score int) alert.Band {
	switch {
	case score >= r.file.Bands.Automatic:
		return alert.Automatic
	case score >= r.file.Bands.Analyst:
		return alert.ForAnalyst
	}
	return alert.FalsePositive
}

// Bands tells where the bands begin.
func (r *Rules) Bands() Bands { return r.file.Bands }

// Enrichment says what is looked up before people see an alert.
type Enrichment struct {
	Deadline  time.Duration    `yaml:"deadline" doc:"how long people wait for it at most; default 60s"`
	Playbooks []EnrichmentItem `yaml:"playbooks,required" min:"1" doc:"the playbooks that look things up; one that is not published is left out"`
}

// EnrichmentItem is one playbook that looks things up.
type EnrichmentItem struct {
	Playbook string `yaml:"playbook,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the playbook's name"`
	When     string `yaml:"when" doc:"a condition over alert; default: always"`

	when *expr.Program
}

const (
	defaultDeadline = time.Minute
	longestDeadline = 24 * time.Hour
)

func (c *reader) enrichment() {
	e := c.r.file.Enrichment
	if e == nil {
		return
	}
	if e.Deadline == 0 {
		e.Deadline = defaultDeadline
	}
	if e.Deadline < time.Second || e.Deadline > longestDeadline {
		c.doc.Errorf("/enrichment/deadline", "expected 1s to 24h", "people would wait %s for an alert", e.Deadline)
	}
	for i := range e.Playbooks {
		p := &e.Playbooks[i]
		p.when = c.condition(fmt.Sprintf("/enrichment/playbooks/%d/when", i), p.When)
	}
	c.r.Enrich = *e
}

// Wanted lists the playbooks that look things up for an alert. object is
// Alert.Object.
func (e *Enrichment) Wanted(object map[string]any, now time.Time) (names []string) {
	for i := range e.Playbooks {
		p := &e.Playbooks[i]
		if p.when != nil {
			ok, err := p.when.EvalBool(&expr.Env{Roots: (&scene{object: object}).roots(everything), Now: now})
			if err == nil && !ok {
				continue // one that cannot be worked out looks things up: too much is better than too little
			}
		}
		if !slices.Contains(names, p.Playbook) {
			names = append(names, p.Playbook)
		}
	}
	return names
}
