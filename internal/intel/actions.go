package intel

import (
	"fmt"
	"math"
	"time"

	"riposte/internal/fault"
	"riposte/internal/observable"
	"riposte/internal/strictyaml"
)

// Call is one call of a built-in intel action.
type Call struct {
	Tenant string
	Action string         // lookup, allow_list, add_indicator, tag or untag
	Inputs map[string]any // as connector/builtin/intel/connector.yaml has them
	By     string         // the source where the inputs name none: a playbook or a person
	Manual bool           // a person called it
	NewID  ID             // for an indicator that is not known yet
	At     time.Time
}

// Answer is what a call gives, and the indicator that it changed, to be stored
// (or, with Dropped, removed).
type Answer struct {
	Output    map[string]any
	Change    Change
	Indicator Indicator // where Change is not Same
}

// Do carries out a built-in intel action. It returns fault.Invalid for inputs
// that make no sense.
func (m *Matcher) Do(c Call) (Answer, error) {
	typ, value := text(c.Inputs["type"]), text(c.Inputs["value"])
	o, err := observable.Parse(observable.Type(typ), value)
	if err != nil {
		return Answer{}, fmt.Errorf("intel.%s: %w", c.Action, err)
	}
	switch c.Action {
	case "lookup":
		return m.lookup(c, o), nil
	case "allow_list":
		return m.listed(c, o), nil
	case "add_indicator":
		return m.add(c, o)
	case "tag", "untag":
		return m.tag(c, o)
	}
	return Answer{}, fmt.Errorf("intel has no action %q; it has lookup, allow_list, add_indicator, tag and untag: %w", c.Action, fault.Invalid)
}

func (m *Matcher) lookup(c Call, o observable.Observable) Answer {
	i, ok := m.Lookup(c.Tenant, o, c.At)
	if !ok {
		i, _ = m.Get(c.Tenant, o) // tagged, or known once
	}
	s := i.Sum(c.At)
	return Answer{Output: map[string]any{
		"known": ok, "id": textOrNil(i.ID.String()), "verdict": string(s.Verdict), "confidence": s.Confidence,
		"tags": list(i.Tags), "source": textOrNil(s.Source), "expires": timeOrNil(s.Expires),
	}}
}

func (m *Matcher) listed(c Call, o observable.Observable) Answer {
	a, ok := m.Listed(c.Tenant, o, c.At)
	return Answer{Output: map[string]any{"listed": ok, "list": textOrNil(a.List), "entry": textOrNil(a.Value)}}
}

func (m *Matcher) add(c Call, o observable.Observable) (Answer, error) {
	wrong := func(err error) (Answer, error) { return Answer{}, fmt.Errorf("intel.add_indicator: %w", err) }
	op := Opinion{Source: c.By, Manual: c.Manual, Verdict: Malicious, Confidence: 75, Note: text(c.Inputs["note"]), At: c.At}
	if s := text(c.Inputs["source"]); s != "" {
		op.Source = s
	}
	if v := text(c.Inputs["verdict"]); v != "" {
		op.Verdict = Verdict(v)
	}
	if n, ok := number(c.Inputs["confidence"]); ok {
		op.Confidence = n
	}
	var err error
	if op.Expires, err = expires(c.Inputs["expires"], c.At); err != nil {
		return wrong(err)
	}
	tags, err := texts(c.Inputs["tags"])
	if err != nil {
		return wrong(err)
	}
	i, change, err := m.Add(c.Tenant, o, op, tags, c.NewID)
	if err != nil {
		return wrong(err)
	}
	return Answer{Output: map[string]any{"id": i.ID.String(), "added": change == Added}, Change: change, Indicator: i}, nil
}

func (m *Matcher) tag(c Call, o observable.Observable) (Answer, error) {
	tags, err := texts(c.Inputs["tags"])
	if err == nil && len(tags) == 0 {
		err = fmt.Errorf("no tags are given: %w", fault.Invalid)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("intel.%s: %w", c.Action, err)
	}
	var i Indicator
	var change Change
	if c.Action == "tag" {
		i, change, err = m.Tag(c.Tenant, o, tags, c.NewID, c.At)
	} else {
		i, change, err = m.Untag(c.Tenant, o, tags, c.At)
	}
	return Answer{Output: map[string]any{"id": i.ID.String(), "tags": list(i.Tags)}, Change: change, Indicator: i}, err
}

// expires reads how long an opinion holds: a length of time from now, or a time
// in RFC 3339. Nothing is for ever.
func expires(v any, at time.Time) (time.Time, error) {
	s := text(v)
	if v == nil || s == "" {
		return time.Time{}, nil
	}
	if d, ok := strictyaml.ParseDuration(s); ok {
		if d == 0 {
			return time.Time{}, nil
		}
		return at.Add(d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("expires is %q; expected a length of time such as 30d, or a time such as 2027-01-31T00:00:00Z: %w", s, fault.Invalid)
	}
	return t.UTC(), nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		all := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("tags must be texts: %w", fault.Invalid)
			}
			all[i] = s
		}
		return all, nil
	}
	return nil, fmt.Errorf("tags must be a list of texts: %w", fault.Invalid)
}

func number(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case float64:
		return int(math.Round(v)), true
	}
	return 0, false
}
