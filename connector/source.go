package connector

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/strictyaml"
)

// Source is a stream of alerts or indicators that the product offers.
//
// A source of mode pull is asked again and again; each time is a look. Without
// look_back its cursor is carried on from look to look. With it each look begins
// anew, as far before the end of the last one as look_back says, and the cursor
// leads from page to page within the look.
type Source struct {
	ID       string         `yaml:"id,required" pattern:"[a-z][a-z0-9_]{0,62}" doc:"a name of small letters, digits and underscores"`
	Title    string         `yaml:"title"`
	Kind     string         `yaml:"kind,required" enum:"alerts,indicators"`
	Mode     string         `yaml:"mode,required" enum:"push,pull"`
	Action   string         `yaml:"action" doc:"pull: the read action that fetches"`
	With     map[string]any `yaml:"with" doc:"pull: the action's inputs; templates over cursor, since, until, batch and config"`
	Every    time.Duration  `yaml:"every" doc:"pull: how often; default 1m"`
	Cursor   string         `yaml:"cursor" doc:"pull: an expression over output, items and cursor that gives where to go on; nil keeps the one before"`
	More     string         `yaml:"more" doc:"pull: a condition over output, items and cursor: there is more at once. Default: records came and the cursor moved"`
	LookBack time.Duration  `yaml:"look_back" doc:"pull: how far to look back, for records that arrive late"`
	Items    string         `yaml:"items" doc:"an expression over output, or body of a push, that gives the list of records; default the output, or its items"`
	Identity string         `yaml:"identity" doc:"an expression over item that gives its key: the same key is the same record and is not taken twice; default the whole record"`
	Batch    int            `yaml:"batch" min:"1" doc:"how many records one call fetches at most"`
	Mapping  string         `yaml:"mapping" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the source mapping that reads its records"`
	Count    *CountSpec     `yaml:"count" doc:"pull: how many records there are in a time, so that what came can be held against it"`
}

// CountSpec says how a product is asked how many records it has in a time.
type CountSpec struct {
	Action string         `yaml:"action,required" doc:"the read action that counts"`
	With   map[string]any `yaml:"with" doc:"its inputs; templates over since, until and config"`
	Value  string         `yaml:"value" doc:"an expression over output that gives the number; default output.count"`
}

const (
	defaultPullEvery = time.Minute
	maxCursorBytes   = 64 << 10
)

// sourceScope types what the inputs of a pull see.
func sourceScope(config Schema) scope {
	open, _ := ConnectionScope(config).Lookup("config")
	return expr.NewScope().With("config", open).With("cursor", wantAny).
		With("since", expr.Time()).With("until", expr.Time()).With("batch", expr.Int())
}

// pageScope types what expressions over an answer of a pull see.
func pageScope(output expr.Type) scope {
	return scopeOf("output", output).With("items", expr.List(expr.Any())).With("cursor", wantAny)
}

func (c *checker) sources() {
	seen := map[string]bool{}
	for i := range c.m.Sources {
		s := &c.m.Sources[i]
		at := strictyaml.Join("/sources", i)
		if seen[s.ID] {
			c.errorf(at+"/id", "choose another id", "the source %q is here twice", s.ID)
		}
		seen[s.ID] = true
		if s.Mode == "pull" {
			c.pull(at, s)
			continue
		}
		for key, given := range map[string]bool{
			"action": s.Action != "", "with": len(s.With) > 0, "every": s.Every != 0, "cursor": s.Cursor != "", "more": s.More != "",
			"look_back": s.LookBack != 0, "batch": s.Batch != 0, "count": s.Count != nil,
		} {
			if given {
				c.errorf(at+"/"+key, "remove it, or set mode: pull", "a source that is pushed to asks nothing, so %s has no meaning", key)
			}
		}
		c.optional(at+"/items", s.Items, wantList, scopeOf("body", typeAny()))
		c.optional(at+"/identity", s.Identity, wantAny, scopeOf("item", typeAny()))
	}
}

// pull checks a source that is asked.
func (c *checker) pull(at string, s *Source) {
	if s.Action == "" {
		c.errorf(at, "add action: with the read action that fetches", "the source %q pulls, but with no action", s.ID)
		return
	}
	asked := sourceScope(c.m.Config)
	output := typeAny()
	if a := c.named(at+"/action", "a source", s.Action); a != nil {
		c.mustRead(at+"/action", "a source", a)
		c.with(at+"/with", s.With, a, asked)
		output = typeOfOutput(a.Outputs)
	}
	c.optional(at+"/items", s.Items, wantList, scopeOf("output", output))
	c.optional(at+"/cursor", s.Cursor, wantAny, pageScope(output))
	c.optional(at+"/more", s.More, wantBool, pageScope(output))
	c.optional(at+"/identity", s.Identity, wantAny, scopeOf("item", typeAny()))
	if s.More != "" && s.Cursor == "" {
		c.errorf(at+"/more", "add cursor:, or let the action fetch all pages itself", "there may be more, but no cursor leads to it")
	}
	if s.Every < 0 || s.Every > 0 && s.Every < time.Second {
		c.errorf(at+"/every", "expected a duration such as 1m", "every is less than a second")
	}
	if k := s.Count; k != nil {
		if a := c.named(at+"/count/action", "count", k.Action); a != nil {
			c.mustRead(at+"/count/action", "count", a)
			c.with(at+"/count/with", k.With, a, asked)
			c.expression(at+"/count/value", k.value(), wantNumber, scopeOf("output", typeOfOutput(a.Outputs)))
		}
	}
}

func (k *CountSpec) value() string {
	if k.Value == "" {
		return "output.count"
	}
	return k.Value
}

// Asked is what the inputs of a pull are made from.
type Asked struct {
	Config       map[string]any // the connection's fields that are not secret
	Cursor       any            // nil: from the beginning of the time
	Since, Until time.Time
	Now          time.Time // what now() gives; zero is Until
}

// SourcePage is what one answer of a pull holds.
type SourcePage struct {
	Items  []any
	Keys   []string // of each item, see Source.Identity
	Cursor any      // where to go on
	More   bool     // at once
}

// Pull is a source of mode pull, compiled.
type Pull struct {
	Source
	Asks   *Action // the action that fetches
	Counts *Action // nil: the product cannot be asked how many there are

	with, countWith               *expr.Value
	items, cursor, more, identity *expr.Program
	count                         *expr.Program
}

// Pull compiles a source of mode pull: fault.NotFound, with the ones there are.
// An empty id is the only one of them.
func (m *Manifest) Pull(id string) (*Pull, error) {
	var names []string
	found := -1
	for i, s := range m.Sources {
		if s.Mode != "pull" || s.Kind != "alerts" {
			continue
		}
		if names = append(names, s.ID); s.ID == id || id == "" {
			found = i
		}
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("connector %s offers no alerts that could be pulled: %w", m.Connector, fault.NotFound)
	case found < 0 || id == "" && len(names) > 1:
		return nil, fmt.Errorf("connector %s: name one of its sources, %s, not %q: %w", m.Connector, strings.Join(names, ", "), id, fault.NotFound)
	}
	p := &Pull{Source: m.Sources[found]}
	if p.Every == 0 {
		p.Every = defaultPullEvery
	}
	p.Asks = m.Action(p.Action)
	c := &pullCompiler{}
	asked, output := sourceScope(m.Config), typeOfOutput(p.Asks.Outputs)
	p.with = c.value(p.With, asked)
	p.items = c.program(p.Items, scopeOf("output", output), wantList)
	p.cursor = c.program(p.Source.Cursor, pageScope(output), wantAny)
	p.more = c.program(p.More, pageScope(output), wantBool)
	p.identity = c.program(p.Identity, scopeOf("item", typeAny()), wantAny)
	if k := p.Count; k != nil {
		p.Counts = m.Action(k.Action)
		p.countWith = c.value(k.With, asked)
		p.count = c.program(k.value(), scopeOf("output", typeOfOutput(p.Counts.Outputs)), wantNumber)
	}
	if c.err != nil {
		return nil, fmt.Errorf("connector %s, source %s: %w", m.Connector, p.ID, c.err)
	}
	return p, nil
}

// pullCompiler keeps the first error; a manifest that was checked gives none.
type pullCompiler struct{ err error }

func (c *pullCompiler) program(text string, s scope, w want) *expr.Program {
	if text == "" || c.err != nil {
		return nil
	}
	p, err := expr.Compile(text, s, w)
	c.err = err
	return p
}

func (c *pullCompiler) value(v map[string]any, s scope) *expr.Value {
	if len(v) == 0 || c.err != nil {
		return nil
	}
	out, err := expr.CompileValue(v, s, func(_ []any, e *expr.Error) error { return e })
	c.err = err
	return out
}

// Inputs are those of the action that fetches.
func (p *Pull) Inputs(a Asked) (map[string]any, error) { return p.inputs(p.with, a) }

// CountInputs are those of the action that counts.
func (p *Pull) CountInputs(a Asked) (map[string]any, error) { return p.inputs(p.countWith, a) }

func (p *Pull) inputs(with *expr.Value, a Asked) (map[string]any, error) {
	if with == nil {
		return map[string]any{}, nil
	}
	now := a.Now
	if now.IsZero() {
		now = a.Until
	}
	v, err := with.Eval(&expr.Env{Now: now, Roots: map[string]any{
		"config": a.Config, "cursor": a.Cursor, "since": a.Since, "until": a.Until, "batch": p.Batch,
	}})
	if err != nil {
		return nil, fmt.Errorf("source %s: with: %w", p.ID, err)
	}
	in, _ := v.(map[string]any)
	for name, one := range in {
		if one == nil {
			delete(in, name) // as if it had not been given
		}
	}
	return in, nil
}

// Page reads an answer. before is the cursor that it was asked with; an answer
// that is not what the source says is fault.Invalid.
func (p *Pull) Page(output, before any, now time.Time) (SourcePage, error) {
	page := SourcePage{Cursor: before}
	list, err := p.list(output, now)
	if err != nil {
		return page, err
	}
	page.Items = list
	for _, item := range list {
		key, err := p.key(item, now)
		if err != nil {
			return page, err
		}
		page.Keys = append(page.Keys, key)
	}
	env := &expr.Env{Now: now, Roots: map[string]any{"output": output, "items": list, "cursor": before}}
	if p.cursor != nil {
		v, err := p.cursor.Eval(env)
		if err != nil {
			return page, p.wrong("cursor", err)
		}
		if v = expr.Normalize(v); v != nil {
			page.Cursor = v
		}
		if text, err := expr.EncodeJSON(page.Cursor); err != nil || len(text) > maxCursorBytes {
			return page, p.wrong("cursor", fmt.Errorf("it has %d bytes; the most is %d", len(text), maxCursorBytes))
		}
	}
	if p.more == nil {
		page.More = p.cursor != nil && len(list) > 0 && !sameCursor(page.Cursor, before)
		return page, nil
	}
	if page.More, err = p.more.EvalBool(env); err != nil {
		return page, p.wrong("more", err)
	}
	return page, nil
}

func sameCursor(a, b any) bool {
	x, errX := expr.EncodeJSON(a)
	y, errY := expr.EncodeJSON(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func (p *Pull) wrong(part string, err error) error {
	return fmt.Errorf("source %s: %s: %s: %w", p.ID, part, strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()), fault.Invalid)
}

// list gives the records of an answer.
func (p *Pull) list(output any, now time.Time) ([]any, error) {
	v := output
	if p.items != nil {
		var err error
		if v, err = p.items.Eval(&expr.Env{Now: now, Roots: map[string]any{"output": output}}); err != nil {
			return nil, p.wrong("items", err)
		}
	} else if m, ok := output.(map[string]any); ok {
		v = m["items"]
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []any:
		return v, nil
	}
	return nil, p.wrong("items", fmt.Errorf("expected a list of records, got %s", expr.Describe(v)))
}

// key tells a record from others; "" where it has none.
func (p *Pull) key(item any, now time.Time) (string, error) {
	v := item
	if p.identity != nil {
		var err error
		if v, err = p.identity.Eval(&expr.Env{Now: now, Roots: map[string]any{"item": item}}); err != nil {
			// A record of another kind among them must not hold up the others.
			v = item
		}
		if v == nil || v == "" {
			v = item
		}
	}
	text, err := expr.EncodeJSON(v)
	if err != nil {
		return "", p.wrong("identity", err)
	}
	return string(text), nil
}

// Number reads the answer of the action that counts.
func (p *Pull) Number(output any, now time.Time) (int, error) {
	v, err := p.count.Eval(&expr.Env{Now: now, Roots: map[string]any{"output": output}})
	if err != nil {
		return 0, p.wrong("count", err)
	}
	switch n := v.(type) {
	case int:
		if n >= 0 {
			return n, nil
		}
	case float64:
		if n >= 0 && n < 1e15 {
			return int(n), nil
		}
	}
	return 0, p.wrong("count", fmt.Errorf("expected a number of records, got %s", expr.Describe(v)))
}
