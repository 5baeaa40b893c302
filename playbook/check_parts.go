package playbook

import (
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones must be known on every machine alike

	"github.com/netresearch/go-cron"

	"riposte/internal/expr"
)

var (
	connectorPattern = slugPattern
	commandPattern   = namePattern
)

// identity holds the playbook's id against the file's name.
func (c *checker) identity() {
	if !c.p.ID.Set() || c.p.File == "" || c.p.File == "-" || strings.HasPrefix(c.p.File, "<") { // standard input has no name
		return
	}
	if want, base := c.p.ID.Value+".playbook.yaml", filepath.Base(c.p.File); base != want {
		c.finding(c.p.ID.Pos, CodeFileName, "the file is named %s; expected %s, after the playbook's id", base, want)
	}
}

// triggers checks what starts the playbook.
func (c *checker) triggers() {
	for _, t := range c.p.On {
		w := where{names: c.triggerRoots(t)}
		scope := c.base
		c.base = expr.NewScope()
		c.expr(t.Where, w, expr.Bool())
		v := c.value(t.With, w, expr.Any())
		c.base = scope
		c.fills(t, v)
		switch t.Kind {
		case OnSchedule:
			c.cron(t)
		case OnManual:
			c.roles(t)
		default: // the others were checked by the decoder
		}
	}
}

// triggerRoots are the names that a trigger's condition and with can use.
func (c *checker) triggerRoots(t *TriggerText) []binding {
	all := map[string]expr.Type{"alert": AlertType(), "case": CaseType(), "indicator": IndicatorType()}
	var roots []binding
	switch t.Kind {
	case OnAlert:
		return []binding{{"alert", all["alert"]}, {"case", all["case"].Nullable()}}
	case OnCase, OnIndicator:
		return []binding{{string(t.Kind), all[string(t.Kind)]}}
	case OnWebhook:
		return []binding{{"body", expr.Any()}}
	case OnManual:
		for _, name := range []string{"alert", "case", "indicator"} {
			if len(t.From) == 0 || slices.Contains(words(t.From), name) {
				roots = append(roots, binding{name, all[name].Nullable()})
			}
		}
	default: // the others have nothing of the kind
	}
	return roots
}

// fills checks the with beside a trigger, and that required inputs can be filled.
func (c *checker) fills(t *TriggerText, v *expr.Value) {
	inputs := map[string]any{}
	var names []string
	for _, in := range c.out.inputs {
		inputs[in.Name] = in.Schema
		names = append(names, in.Name)
	}
	for _, p := range pairs(t.With.node) {
		schema, ok := inputs[p.key.text].(map[string]any)
		if _, known := inputs[p.key.text]; !known {
			c.r.errorf(p.key.at, "the playbook has no input %q%s", p.key.text, orKnown(p.key.text, names))
			continue
		}
		if ok {
			c.fitsProperty(p, v, schema)
		}
	}
	c.unfilled(t)
}

// unfilled reports required inputs that a trigger can never fill.
func (c *checker) unfilled(t *TriggerText) {
	var object expr.Type
	switch t.Kind {
	case OnSchedule:
		object = expr.Object(nil, false)
	case OnCase:
		object = CaseType()
	case OnIndicator:
		object = IndicatorType()
	default:
		return // filled by a form, a body or the open fields of an alert
	}
	for _, in := range c.out.inputs {
		if _, named := object.Field(in.Name); named || !in.Required || t.With.has(in.Name) {
			continue
		}
		if t.Kind == OnSchedule {
			c.r.errorf(t.Pos, "a schedule cannot fill the input %q; expected it under with beside the trigger, or a default", in.Name)
			continue
		}
		c.finding(t.Pos, CodeUnfilledInput, "%s has no field %q to fill the input of that name, so such a start is refused; give it under with beside the trigger, or a default", article(string(t.Kind)), in.Name)
	}
}

// roles reports roles that may start the playbook and that nobody has.
func (c *checker) roles(t *TriggerText) {
	for _, role := range t.Roles {
		if c.opt.People == nil {
			return
		}
		if _, ok := c.opt.People("role:" + role.Value); !ok {
			c.finding(role.Pos, CodeNobodyStarts, "there is no role %q, so nobody may start it so; name a role that people have", role.Value)
		}
	}
}

func (c *checker) cron(t *TriggerText) {
	if t.Cron.Set() {
		if err := parseCron(t.Cron.Value); err != "" {
			c.r.errorf(t.Cron.Pos, "schedule %q: %s; expected five fields: minute, hour, day of month, month, day of week", t.Cron.Value, err)
		}
	}
	if t.Zone.Set() {
		if _, err := time.LoadLocation(t.Zone.Value); err != nil || t.Zone.Value == "" || t.Zone.Value == "Local" {
			c.r.errorf(t.Zone.Pos, "unknown time zone %q; expected a name such as Europe/Berlin or UTC", t.Zone.Value)
		}
	}
}

// parseCron says what is wrong with a cron text, "" if nothing is.
func parseCron(text string) string {
	if strings.HasPrefix(text, "@") {
		return "aliases are left out"
	}
	if len(strings.Fields(text)) != 5 {
		return "it has not five fields"
	}
	parser, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	if err != nil {
		return err.Error()
	}
	if _, err := parser.Parse(text); err != nil {
		return err.Error()
	}
	return ""
}

// outputs checks what the playbook gives to others.
func (c *checker) outputs(w where) {
	for _, o := range c.p.Outputs {
		v := c.value(o.Value, w, expr.Any())
		schema, _ := o.Schema.Value.(map[string]any)
		if schema == nil {
			continue
		}
		c.schema(o.Schema, schema)
		if v == nil {
			continue
		}
		if wrong := v.Type().Fits(expr.FromSchema(schema)); wrong != "" {
			c.r.errorf(o.Value.Pos, "output %s: %s", o.Name, wrong)
		}
	}
}
