package triage

// Asked is one rule that was asked about an alert, in the order of asking.
type Asked struct {
	Rule  string
	Held  bool
	What  string // what came of it
	Error string
}

func (w *walk) note(rule string, held bool, err error, what string) {
	if w.trace == nil {
		return
	}
	a := Asked{Rule: rule, Held: held, What: what}
	if err != nil {
		a.Error = err.Error()
	}
	*w.trace = append(*w.trace, a)
}

// Explain tells which rules would be asked about an alert in a state, and what
// came of each. It changes nothing.
func (r *Rules) Explain(p *Prepared, s *State, world World) (Decision, []Asked, error) {
	var asked []Asked
	w := walk{r: r, p: p, s: s, world: world, dry: true, trace: &asked}
	w.Decision = Decision{Act: Keep, Triggers: true, Severity: p.Alert.Severity, Category: p.Alert.Category, Tags: p.Alert.Tags}
	err := w.all()
	if err == nil && w.Act != Drop {
		if out := r.stormed(p, s, &w.Decision, true, nil); out != nil {
			w.note(out.Rule, true, nil, "a storm goes on")
			w.Decision = *out
		}
	}
	return w.Decision, asked, err
}
