package expr

import (
	"errors"
	"slices"
	"sync"
)

// Program is a compiled expression. It may be used by many goroutines at once.
type Program struct {
	text      string // as it was given
	skip      int    // where the expression begins in it
	run       run
	typ       Type
	want      Type
	vars      int
	frames    int
	lenient   bool
	refs      [][]string
	available []string
	pool      sync.Pool
}

// Compile checks an expression against a scope. ${{ }} around the whole text is
// allowed. want is the type that the result must have: what is known to differ
// is an error here, what is not known is checked when it is there. The error is
// always an *Error.
func Compile(text string, s *Scope, want Type) (*Program, error) {
	source, skip := unwrap(text)
	p, err := compileSource(source, s, want)
	if err != nil {
		var f *failure
		if !errors.As(err, &f) {
			f = failf(0, "%v", err)
		}
		return nil, f.located(text, skip)
	}
	p.text, p.skip = text, skip
	return p, nil
}

func compileSource(source string, s *Scope, want Type) (*Program, error) {
	tree, err := parse(source)
	if err != nil {
		return nil, err
	}
	c := &compiler{scope: s}
	made, err := c.compile(tree)
	if err != nil {
		return nil, err
	}
	switch {
	case want.kind == KindBool:
		if err := wantBool(made, "a condition"); err != nil {
			return nil, err
		}
	default:
		if wrong := made.typ.Fits(want); wrong != "" {
			return nil, failf(made.at(), "%s", wrong)
		}
	}
	return &Program{
		run: made.run, typ: made.typ, want: want, vars: c.vars, frames: c.frames, lenient: s.lenient,
		refs: uniquePaths(c.refs), available: uniqueTexts(c.available),
	}, nil
}

// Eval works the expression out. The value is a plain one (see Normalize); what
// it shares with env must not be changed. The error is always an *Error.
func (p *Program) Eval(env *Env) (any, error) { return p.eval(env, &usage{}) }

// eval works the expression out within what is left of the limits.
func (p *Program) eval(env *Env, used *usage) (any, error) {
	if env == nil {
		env = &Env{}
	}
	m := env.held
	if m == nil {
		m, _ = p.pool.Get().(*machine)
	}
	if m == nil {
		m = &machine{}
	}
	m.fit(p)
	m.env, m.usage, m.lenient = env, *used, p.lenient
	v, err := p.run(m)
	if err == nil {
		v, err = m.settle(v, m.memory > used.memory)
	}
	*used = m.usage
	m.release()
	if env.held == nil {
		p.pool.Put(m)
	}
	switch {
	case errors.Is(err, errNilChain):
		v = nil
	case err != nil:
		return nil, p.locate(err)
	}
	if p.want.kind != KindAny && !p.lenient {
		if err := p.checkResult(v); err != nil {
			return nil, p.locate(err)
		}
	}
	return v, nil
}

// checkResult refuses a value that does not have the type asked for.
func (p *Program) checkResult(v any) error {
	if p.want.kind == KindBool {
		if _, ok := v.(bool); ok || v == nil && p.want.null {
			return nil
		}
		f := failf(0, "a condition must be true or false, but it is %s", describe(v))
		if v == nil {
			f.hint = "write (… ?? false), or compare it with != nil"
		} else {
			f.hint = "compare it, such as > 0 or != nil"
		}
		return f
	}
	if v == nil && (p.want.null || p.want.kind == KindAny) {
		return nil
	}
	if wrong := TypeOf(v).Fits(p.want); wrong != "" {
		return failf(0, "%s", wrong)
	}
	return nil
}

func (p *Program) locate(err error) error {
	var f *failure
	if !errors.As(err, &f) {
		f = failf(0, "%v", err)
	}
	return f.located(p.text, p.skip)
}

// EvalBool works a condition out. Nothing but true and false counts as one.
func (p *Program) EvalBool(env *Env) (bool, error) {
	v, err := p.Eval(env)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok && p.lenient {
		return likeTrue(v), nil
	}
	if !ok {
		q := Program{want: Bool()}
		return false, p.locate(q.checkResult(v))
	}
	return b, nil
}

// Type is what is known of the result.
func (p *Program) Type() Type { return p.typ }

// Source is the text as it was given to Compile.
func (p *Program) Source() string { return p.text }

// Refs lists the paths that the expression reads, such as steps.look_up.output:
// each from its root to where an index, a computed name or a function follows.
func (p *Program) Refs() [][]string { return p.refs }

// Available lists what the expression asks available about.
func (p *Program) Available() []string { return p.available }

func uniquePaths(paths [][]string) [][]string {
	slices.SortFunc(paths, slices.Compare)
	return slices.CompactFunc(paths, slices.Equal)
}

func uniqueTexts(texts []string) []string {
	slices.Sort(texts)
	return slices.Compact(texts)
}
