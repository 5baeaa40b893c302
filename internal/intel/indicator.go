package intel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/fault"
	"riposte/internal/id"
	"riposte/internal/observable"
)

// ID names an indicator. Its text form is I-42.
type ID int64

func (i ID) String() string { return id.Format("I", int64(i)) }

// MarshalText writes the text form, "" for zero.
func (i ID) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads the text form; fault.Invalid otherwise.
func (i *ID) UnmarshalText(b []byte) error {
	n, err := id.Parse("I", string(b))
	*i = ID(n)
	return err
}

// Verdict is what a thing is taken for.
type Verdict string

// The verdicts, from worst to none.
const (
	Malicious  Verdict = "malicious"
	Suspicious Verdict = "suspicious"
	Harmless   Verdict = "harmless"
	Unknown    Verdict = "unknown"
)

// ParseVerdict reads a verdict; fault.Invalid for any other text.
func ParseVerdict(s string) (Verdict, error) {
	switch v := Verdict(s); v {
	case Malicious, Suspicious, Harmless, Unknown:
		return v, nil
	}
	return "", fmt.Errorf("%q is no verdict; expected malicious, suspicious, harmless or unknown: %w", s, fault.Invalid)
}

// badness sorts verdicts, the worst highest.
func (v Verdict) badness() int {
	switch v {
	case Malicious:
		return 3
	case Suspicious:
		return 2
	case Harmless:
		return 1
	case Unknown:
	}
	return 0
}

// Reliability says how far a source can be trusted, from A (completely) to F
// (cannot be judged), as the Admiralty code does. The zero value is C.
type Reliability string

const defaultReliability Reliability = "C"

// rank sorts reliabilities, the best highest.
func (r Reliability) rank() int {
	r = cmp.Or(r, defaultReliability)
	return 6 - strings.Index("ABCDEF", string(r[:1]))
}

func (r Reliability) check() error {
	if r == "" || len(r) == 1 && strings.Contains("ABCDEF", string(r)) {
		return nil
	}
	return fmt.Errorf("%q is no reliability; expected a letter from A to F: %w", r, fault.Invalid)
}

// Opinion is what one source says of an indicator.
type Opinion struct {
	Source      string      `json:"source"`
	Manual      bool        `json:"manual,omitempty"` // a person says so
	Reliability Reliability `json:"reliability,omitempty"`
	Verdict     Verdict     `json:"verdict"`
	Confidence  int         `json:"confidence"` // 0 to 100
	Note        string      `json:"note,omitempty"`
	At          time.Time   `json:"at"`
	Expires     time.Time   `json:"expires,omitzero"` // zero: never
}

func (o *Opinion) over(at time.Time) bool { return !o.Expires.IsZero() && !at.Before(o.Expires) }

func (o *Opinion) check() error {
	if o.Source == "" {
		return fmt.Errorf("an opinion needs a source: who says so: %w", fault.Invalid)
	}
	if o.Confidence < 0 || o.Confidence > 100 {
		return fmt.Errorf("confidence is %d; expected 0 to 100: %w", o.Confidence, fault.Invalid)
	}
	if !o.Expires.IsZero() && !o.Expires.After(o.At) {
		return fmt.Errorf("it expires at %s, which is over: %w", o.Expires.Format(time.RFC3339), fault.Invalid)
	}
	if _, err := ParseVerdict(string(o.Verdict)); err != nil {
		return err
	}
	return o.Reliability.check()
}

// Indicator is a thing that sources have an opinion of, or that somebody tagged.
type Indicator struct {
	ID     ID     `json:"id"`
	Tenant string `json:"tenant,omitempty"`
	observable.Observable
	Opinions []Opinion `json:"opinions,omitempty"` // one for each source
	Tags     []string  `json:"tags,omitempty"`     // sorted
	Added    time.Time `json:"added"`
	Changed  time.Time `json:"changed"`
}

// Summary is one verdict out of all opinions that still hold.
type Summary struct {
	Verdict    Verdict
	Confidence int
	Source     string    // whose opinion decided
	Sources    []string  // who has one, sorted
	Expires    time.Time // of the opinion that decided; zero: never
}

// Sum makes one verdict out of several opinions: what a person says beats all,
// then the more reliable source, and between equals the worse verdict. Who says
// "unknown" has no say while anybody says more.
func (i *Indicator) Sum(at time.Time) Summary {
	s := Summary{Verdict: Unknown}
	var best *Opinion
	for n := range i.Opinions {
		o := &i.Opinions[n]
		if o.over(at) {
			continue
		}
		s.Sources = append(s.Sources, o.Source)
		if best == nil || o.compare(best) > 0 {
			best = o
		}
	}
	slices.Sort(s.Sources)
	if best != nil {
		s.Verdict, s.Confidence, s.Source, s.Expires = best.Verdict, best.Confidence, best.Source, best.Expires
	}
	return s
}

// compare is positive where o decides over p.
func (o *Opinion) compare(p *Opinion) int {
	return cmp.Or(
		cmp.Compare(says(o), says(p)),
		cmp.Compare(byPerson(o), byPerson(p)),
		cmp.Compare(o.Reliability.rank(), p.Reliability.rank()),
		cmp.Compare(o.Verdict.badness(), p.Verdict.badness()),
		cmp.Compare(o.Confidence, p.Confidence),
		o.At.Compare(p.At),
		cmp.Compare(p.Source, o.Source),
	)
}

func says(o *Opinion) int {
	if o.Verdict == Unknown {
		return 0
	}
	return 1
}

func byPerson(o *Opinion) int {
	if o.Manual {
		return 1
	}
	return 0
}

// Known tells whether anybody has an opinion that still holds.
func (i *Indicator) Known(at time.Time) bool {
	return slices.ContainsFunc(i.Opinions, func(o Opinion) bool { return !o.over(at) })
}

// Object is the indicator as expressions see it: the root indicator of
// playbooks.
func (i *Indicator) Object(at time.Time) map[string]any {
	s := i.Sum(at)
	o := map[string]any{
		"id": i.ID.String(), "type": string(i.Type), "value": i.Value, string(i.Type): i.Value,
		"verdict": string(s.Verdict), "confidence": s.Confidence, "source": textOrNil(s.Source),
		"sources": list(s.Sources), "tags": list(i.Tags), "added": timeOrNil(i.Added), "changed": timeOrNil(i.Changed),
		"expires": timeOrNil(s.Expires),
	}
	switch i.Type {
	case observable.MD5, observable.SHA1, observable.SHA256, observable.SHA512:
		o["hash"] = i.Value
	default:
	}
	return o
}

func list(texts []string) []any {
	all := make([]any, len(texts))
	for i, s := range texts {
		all[i] = s
	}
	return all
}

func textOrNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func timeOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
