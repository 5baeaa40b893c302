package expr

// Session works out many values over the same names, one after another, with
// less effort than each alone: it belongs to one goroutine. Each value has the
// limits of an evaluation of its own.
type Session struct {
	env  *Env
	used usage
}

// NewSession begins a session. It keeps env, whose roots must be plain values
// (see Normalize), may be added to between two values, and must not be used by
// another goroutine meanwhile.
func NewSession(env *Env) *Session {
	env.held = &machine{}
	return &Session{env: env}
}

// Set gives a name its value, for all values after this.
func (s *Session) Set(name string, v any) { s.env.Roots[name] = v }

// Eval works a value out; see Value.Eval.
func (s *Session) Eval(v *Value) (any, error) {
	s.used = usage{}
	return v.eval(s.env, &s.used)
}

// Text works a value out as text; see Value.Text.
func (s *Session) Text(v *Value) (string, error) {
	out, err := s.Eval(v)
	if err != nil {
		return "", err
	}
	return valueText(out)
}

// Bool works a condition out; see Program.EvalBool.
func (s *Session) Bool(p *Program) (bool, error) { return p.EvalBool(s.env) }
