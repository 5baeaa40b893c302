package connector

import (
	"io/fs"
	"path"
	"slices"
	"strings"

	"riposte/internal/strictyaml"
)

func (c *checker) action(at string, s *ActionSpec) {
	if !s.Impact.Given {
		c.errorf(at, "add impact: read, notify, change or destroy", "the action %q has no impact", s.ID)
	}
	c.inputs(at, s)
	checkSchema(c.doc, at+"/outputs", s.Outputs)
	c.impactBy(at, s)
	c.targets(at, s)
	c.idempotency(at, s)
	c.followUps(at, s)
	c.capability(at, s)
	c.batch(at, s)
	c.section(at, s)
	if s.Serialize != "" {
		c.template(at+"/serialize", s.Serialize, scopeOf("inputs", typeOfInputs(s.Inputs)))
	}
	if v := s.Verdict; v != nil {
		if s.Outputs.Property("verdict") != nil {
			c.errorf(at+"/outputs/properties/verdict", "rename it: the platform adds verdict with score, label and reliability", "the action %q has an output verdict and a verdict", s.ID)
		}
		scope := outputScope(s)
		c.expression(at+"/verdict/score", v.Score, wantNumber, scope)
		c.optional(at+"/verdict/label", v.Label, wantText, scope)
		if s.Impact.Given && s.Impact.Max != Read {
			c.errorf(at+"/verdict", "remove it", "a verdict on an action of impact %s: only looking gives one", s.Impact.Max)
		}
	}
}

func (c *checker) inputs(at string, s *ActionSpec) {
	at += "/inputs"
	if s.Inputs == nil {
		return
	}
	if t, ok := s.Inputs["type"]; ok && t != "object" || !ok && len(s.Inputs) > 0 {
		c.errorf(at, "expected type: object with properties", "the inputs of %q are no object schema", s.ID)
	}
	checkSchema(c.doc, at, s.Inputs)
	for _, name := range s.Inputs.Required() {
		if s.Inputs.Property(name) == nil {
			c.errorf(at+"/required", strictyaml.DidYouMean(name, sortedKeys(s.Inputs.Properties())), "the required input %q is not among the properties", name)
		}
	}
	for name := range s.Inputs.Properties() {
		c.defaultFits(strictyaml.Join(at+"/properties", name), name, s.Inputs.Property(name))
	}
}

func (c *checker) defaultFits(at, name string, p Schema) {
	fallback, ok := p["default"]
	if !ok {
		return
	}
	compiled, err := CompileSchema(p)
	if err != nil {
		return // already reported
	}
	if wrong := compiled.Check(fallback); len(wrong) > 0 {
		c.errorf(at+"/default", "give it a value that fits", "the default of %q %s", name, wrong[0])
	}
}

func (c *checker) impactBy(at string, s *ActionSpec) {
	by := s.Impact.By
	if by == nil || by.Input == "" {
		return
	}
	p := s.Inputs.Property(by.Input)
	if p == nil {
		c.errorf(at+"/impact/by", strictyaml.DidYouMean(by.Input, sortedKeys(s.Inputs.Properties())), "the impact is decided by the input %q, which does not exist", by.Input)
		return
	}
	list, ok := p["enum"].([]any)
	if !ok {
		return
	}
	for _, value := range sortedKeys(by.Values) {
		if !slices.ContainsFunc(list, func(e any) bool { return e == value }) {
			c.errorf(strictyaml.Join(at+"/impact", value), "expected one of "+literals(list), "the input %q never has the value %q", by.Input, value)
		}
	}
}

func (c *checker) targets(at string, s *ActionSpec) {
	if len(s.Targets) == 0 && s.Impact.Max >= Change {
		c.errorf(at, "add targets: with the input that names what is acted on, and its kind", "the action %q of impact %s has no targets", s.ID, s.Impact.Max)
	}
	for i, t := range s.Targets {
		here := strictyaml.Join(at+"/targets", i)
		if t.Input == "" {
			continue
		}
		p := s.Inputs.Property(t.Input)
		if p == nil {
			c.errorf(here+"/input", strictyaml.DidYouMean(t.Input, sortedKeys(s.Inputs.Properties())), "targets name the input %q, which does not exist", t.Input)
			continue
		}
		if kind, ok := p["kind"].(string); ok && kind != string(t.Kind) && slices.Contains(TargetKinds, t.Kind) {
			c.errorf(here+"/kind", "write the same kind in both places", "the input %q is of kind %s, the target of kind %s", t.Input, kind, t.Kind)
		}
		if !holdsTexts(p) {
			c.errorf(here+"/input", "expected type: string, or type: array with items of type string", "the target input %q is neither a text nor a list of texts", t.Input)
		}
	}
}

// holdsTexts tells whether a schema is that of a text or a list of texts.
func holdsTexts(p Schema) bool {
	types := typesOf(p)
	if slices.Contains(types, "array") {
		items, _ := p["items"].(map[string]any)
		return slices.Contains(typesOf(items), "string")
	}
	return slices.Contains(types, "string")
}

func typesOf(p Schema) []string {
	switch t := p["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var list []string
		for _, e := range t {
			if name, ok := e.(string); ok {
				list = append(list, name)
			}
		}
		return list
	}
	if _, ok := p["enum"]; ok {
		return []string{"string"}
	}
	return nil
}

func (c *checker) idempotency(at string, s *ActionSpec) {
	if s.Idempotency == "" && s.Impact.Max >= Change {
		c.errorf(at, "add idempotency: natural, key, precheck or none", "the action %q of impact %s has no idempotency: it is not known whether it may be repeated", s.ID, s.Impact.Max)
		return
	}
	switch i := s.idempotency(); {
	case i == Precheck && s.Precheck == nil:
		c.errorf(at+"/idempotency", "add precheck: with a read action and a condition", "the idempotency of %q is precheck, but it has none", s.ID)
	case i == None && s.Retry != nil && s.Impact.Given && s.Impact.Max != Read:
		c.errorf(at+"/retry", "remove it, or say why repeating does no harm with another idempotency", "retry on %q, whose idempotency is none", s.ID)
	case i == Key && s.HTTP != nil && !s.sendsKey(c.m):
		c.errorf(at+"/idempotency", "put ${{ call.key }} into a header, the query, the path or the body", "the idempotency of %q is key, but no key is sent", s.ID)
	}
	if s.TTL > 0 && s.Undo == nil {
		c.errorf(at+"/ttl", "add undo:, or remove ttl", "%q ends by itself after a time, but nothing says how it is taken back", s.ID)
	}
}

// sendsKey tells whether some template of the request holds call.key.
func (s *ActionSpec) sendsKey(m *Manifest) bool {
	found := strings.Contains(s.HTTP.Path+s.HTTP.URL, "call.key")
	look := func(v any) { found = found || holdsText(v, "call.key") }
	look(s.HTTP.Query)
	for _, v := range s.HTTP.Headers {
		look(v)
	}
	if m.HTTP != nil {
		look(m.HTTP.Query)
		for _, v := range m.HTTP.Headers {
			look(v)
		}
	}
	if b := s.HTTP.Body; b != nil {
		look(b.JSON)
		look(b.Form)
		if b.Raw != nil {
			look(b.Raw.Text)
		}
		for _, p := range b.Multipart {
			look(p.Value)
		}
	}
	return found
}

func holdsText(v any, part string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, part)
	case []any:
		return slices.ContainsFunc(v, func(e any) bool { return holdsText(e, part) })
	case map[string]any:
		for _, e := range v {
			if holdsText(e, part) {
				return true
			}
		}
	}
	return false
}

// followUps checks undo, precheck, postcheck and poll: the actions they name
// and the inputs they give.
func (c *checker) followUps(at string, s *ActionSpec) {
	before := scopeOf("inputs", typeOfInputs(s.Inputs))
	after := outputScope(s)
	if u := s.Undo; u != nil {
		if a := c.named(at+"/undo/action", "undo", u.Action); a != nil {
			c.with(at+"/undo/with", u.With, a, after)
			if a.Impact.Given && a.Impact.Max == Destroy {
				c.errorf(at+"/undo/action", "expected an action that can itself be taken back", "undo calls %q, whose impact is destroy", a.ID)
			}
		}
	}
	c.check(at+"/precheck", "precheck", s.Precheck, s, before)
	c.check(at+"/postcheck", "postcheck", s.Postcheck, s, after)
	if p := s.Precheck; p != nil && (p.Within != 0 || p.Every != 0) {
		c.errorf(at+"/precheck", "remove within and every: a precheck asks once", "a precheck that waits")
	}
	if p := s.Postcheck; p != nil && p.Within > maxCheckWait {
		c.errorf(at+"/postcheck/within", "use poll for what takes longer", "a postcheck waits at most %s", maxCheckWait)
	}
	if p := s.Poll; p != nil {
		if a := c.named(at+"/poll/action", "poll", p.Action); a != nil {
			c.mustRead(at+"/poll/action", "poll", a)
			c.with(at+"/poll/with", p.With, a, after)
			c.expression(at+"/poll/until", p.Until, wantBool, after.With("poll", typeOfOutput(a.Outputs)))
		}
		if a := c.named(at+"/poll/cancel", "poll", p.Cancel); a != nil {
			c.with(at+"/poll/with", p.With, a, after)
		}
	}
}

func (c *checker) check(at, by string, k *CheckSpec, s *ActionSpec, scope scope) {
	if k == nil {
		return
	}
	a := c.named(at+"/action", by, k.Action)
	if a == nil {
		return
	}
	c.mustRead(at+"/action", by, a)
	c.with(at+"/with", k.With, a, scope)
	if k.When != "" {
		c.expression(at+"/when", k.When, wantBool, scopeOf("inputs", typeOfInputs(s.Inputs)).With("output", typeOfOutput(a.Outputs)))
	}
}

// with checks what one action gives another: no unknown inputs, all that are
// needed, and values that compile and fit.
func (c *checker) with(at string, with map[string]any, a *ActionSpec, scope scope) {
	inputs := typeOfInputs(a.Inputs)
	for _, name := range sortedKeys(with) {
		here := strictyaml.Join(at, name)
		if a.Inputs.Property(name) == nil {
			c.errorf(here, strictyaml.DidYouMean(name, sortedKeys(a.Inputs.Properties())), "%q has no input %q", a.ID, name)
			continue
		}
		c.fits(here, with[name], inputs, name, scope)
	}
	for _, name := range a.Inputs.Required() {
		_, given := with[name]
		if _, fallback := a.Inputs.Property(name)["default"]; !given && !fallback {
			c.errorf(at, "add it to with:", "%q needs the input %q", a.ID, name)
		}
	}
}

func (c *checker) batch(at string, s *ActionSpec) {
	b := s.Batch
	if b == nil || b.Input == "" {
		return
	}
	p := s.Inputs.Property(b.Input)
	switch {
	case p == nil:
		c.errorf(at+"/batch/input", strictyaml.DidYouMean(b.Input, sortedKeys(s.Inputs.Properties())), "batch names the input %q, which does not exist", b.Input)
	case !slices.Contains(typesOf(p), "array"):
		c.errorf(at+"/batch/input", "expected type: array", "the batch input %q is no list", b.Input)
	}
	c.optional(at+"/batch/results", b.Results, wantList, outputScope(s))
}

// section checks that the action says how it is done, in the way of the
// connector's runtime.
func (c *checker) section(at string, s *ActionSpec) {
	given := map[string]bool{"http": s.HTTP != nil, "exec": s.Exec != nil, "go": s.Go != nil}
	for _, name := range []string{"http", "exec", "go"} {
		if given[name] && name != c.m.Runtime && c.m.Runtime != "" {
			c.errorf(at+"/"+name, "remove it, or change the runtime", "the action %q has a section %s, but the runtime is %s", s.ID, name, c.m.Runtime)
		}
	}
	if (c.m.Runtime == "http" || c.m.Runtime == "exec") && !given[c.m.Runtime] {
		c.errorf(at, "add "+c.m.Runtime+":", "the action %q does not say how it is done", s.ID)
	}
	if c.m.Runtime != "http" && len(s.Errors) > 0 {
		c.errorf(at+"/errors", "a program or Go code gives the class itself", "errors in a connector of runtime %s", c.m.Runtime)
	}
	if s.HTTP != nil && c.m.Runtime == "http" {
		c.http(at, s)
	}
	if s.Exec != nil && c.m.Runtime == "exec" {
		c.exec(at+"/exec", s.Exec)
	}
}

func (c *checker) exec(at string, e *ExecSpec) {
	if len(e.Command) == 0 {
		return
	}
	program := e.Command[0]
	switch {
	case program == "":
		c.errorf(at+"/command", "expected a program and its arguments", "the command is empty")
	case strings.HasPrefix(program, "/"):
	case slices.Contains(strings.Split(program, "/"), ".."):
		c.errorf(at+"/command/0", "put the program into the connector's folder", "the program %q is outside the connector's folder", program)
	}
	for i, word := range e.Command {
		c.ownFile(strictyaml.Join(at+"/command", i), word, i == 0)
	}
}

// ownFile checks a word of a command that names a file of the connector's folder.
func (c *checker) ownFile(at, word string, program bool) {
	name, own := strings.CutPrefix(word, "./")
	if !own || c.from.home == "" || !fs.ValidPath(path.Clean(name)) {
		return
	}
	info, err := fs.Stat(c.from.files, path.Clean(name))
	switch {
	case err != nil:
		c.errorf(at, "put it there, or correct its name", "the file %q is not in the connector's folder", word)
	case program && (info.IsDir() || info.Mode().Perm()&0o111 == 0):
		c.errorf(at, "let it be executed (chmod +x), or name the program that runs it first", "the file %q is not executable", word)
	}
}
