package playbook

import (
	"errors"
	"maps"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// schema compiles a JSON Schema of the file and reports what is wrong with it.
func (c *checker) schema(d Data, schema map[string]any) *connector.CompiledSchema {
	if !c.schemaWords(d.node) {
		return nil
	}
	compiled, err := connector.CompileSchema(schema)
	for _, p := range connector.SchemaProblems(err) {
		at := d.node.follow(p.Path)
		what := whatIsWrong(at, p.What)
		switch {
		case strings.HasPrefix(what, "a reference"):
			what = "has " + strings.TrimSuffix(what, unsaid)
		case len(p.Path) > 0 && p.Path[len(p.Path)-1] == "pattern" && at.isText():
			what = "is " + quoted(at.text) + "; expected a regular expression (RE2)" + patternFault(at.text)
		}
		c.r.errorf(at.at, "%s %s", connector.FieldName(append([]string{"the JSON Schema"}, p.Path...)), what)
	}
	return compiled
}

// follow finds the place of an instance location.
func (n *node) follow(path []string) *node {
	for _, part := range path {
		var next *node
		if i, err := strconv.Atoi(part); err == nil && n.kind == listNode && i < len(n.items) {
			next = n.items[i]
		} else {
			next = n.value(part)
		}
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// fitsSchema holds a literal value against a schema.
func (c *checker) fitsSchema(d Data, schema any, what string) {
	m, ok := schema.(map[string]any)
	if !ok {
		return
	}
	if compiled := c.compiled(m); compiled != nil {
		c.fitsCompiled(d.node, d.Value, compiled, what)
	}
}

// compiled compiles a schema once for each mapping: steps that use the same
// action share its inputs. nil means that it is no schema.
func (c *checker) compiled(schema map[string]any) *connector.CompiledSchema {
	key := reflect.ValueOf(schema).Pointer()
	s, ok := c.schemas[key]
	if !ok {
		s, _ = connector.CompileSchema(schema)
		c.schemas[key] = s
	}
	return s
}

func (c *checker) fitsCompiled(n *node, v any, compiled *connector.CompiledSchema, what string) {
	for _, p := range compiled.Check(v) {
		at := n.follow(p.Path)
		name := connector.FieldName(append([]string{what}, p.Path...))
		c.r.errorf(at.at, "%s %s", name, whatIsWrong(at, p.What))
	}
}

// expectations turn what the contract says is wrong with a value into what was
// expected instead. The longer ones stand first.
var expectations = [][2]string{
	{"is not more than ", "more than "}, {"is not less than ", "less than "}, {"is not one of ", "one of "}, {"is not ", ""},
	{"is less than ", "at least "}, {"is more than ", "at most "}, {"does not match ", "a text that matches "},
}

// whatIsWrong says what a value is, and what was expected.
func whatIsWrong(n *node, what string) string {
	if _, expected, ok := strings.Cut(what, ", expected "); ok {
		return "is " + n.describe() + "; expected " + expected
	}
	for _, e := range expectations {
		if expected, ok := strings.CutPrefix(what, e[0]); ok && n.kind == scalarNode {
			return "is " + shown(n) + "; expected " + e[1] + expected
		}
	}
	return what + unsaid
}

// unsaid ends what cannot be said better.
const unsaid = "; expected what its schema says"

// patternFault is what is wrong with a pattern, "" where that is not known.
func patternFault(pattern string) string {
	_, err := regexp.Compile(pattern)
	var e *syntax.Error
	if !errors.As(err, &e) {
		return ""
	}
	return ": " + e.Code.String()
}

// shown writes a scalar as it stands in the file, texts in quotes.
func shown(n *node) string {
	if n.isText() || n.text == "" {
		return quoted(n.text)
	}
	return n.text
}

// checkInput checks the declaration of an input.
func (c *checker) checkInput(e Entry, in Input) {
	if in.Schema == nil {
		return
	}
	compiled := c.schema(e.Value, in.Schema)
	if compiled != nil {
		c.out.inputs[len(c.out.inputs)-1].compiled = compiled
	}
	if compiled == nil || !in.HasDefault {
		return
	}
	c.fitsCompiled(e.Value.node.value("default"), in.Default, compiled, "the default of "+e.Name)
}

// fitsAction holds a step's with against an action's input schema. v is the
// compiled value, nil where it is wrong or left out.
func (c *checker) fitsAction(d Data, v *expr.Value, spec *connector.Action, at Pos, name string) {
	var properties map[string]any
	if spec.Inputs != nil {
		properties, _ = spec.Inputs["properties"].(map[string]any)
	}
	c.fitsProperties(d, v, properties, openSchema(spec.Inputs), name)
	required, _ := spec.Inputs["required"].([]any)
	for _, r := range required {
		key, _ := r.(string)
		property, _ := properties[key].(map[string]any)
		if _, hasDefault := property["default"]; hasDefault || d.has(key) {
			continue
		}
		c.r.errorf(at, "%s needs the input %q; expected it under with%s", name, key, describeSchema(property))
	}
}

// openSchema tells whether an object schema says that it takes more than it
// names. A schema that names nothing takes everything.
func openSchema(schema connector.Schema) bool {
	switch extra := schema["additionalProperties"].(type) {
	case bool:
		return extra
	case map[string]any:
		return true
	}
	return schema["properties"] == nil || schema["patternProperties"] != nil
}

// has tells whether a mapping holds a key.
func (d Data) has(key string) bool { return d.node != nil && d.node.pair(key) != nil }

// fitsProperties holds each value of a with against the property of its name.
func (c *checker) fitsProperties(d Data, v *expr.Value, properties map[string]any, open bool, name string) {
	for _, p := range pairs(d.node) {
		key := p.key.text
		property, known := properties[key].(map[string]any)
		switch {
		case known:
			c.fitsProperty(p, v, property)
		case properties[key] == nil && !open:
			c.r.errorf(p.key.at, "%s has no input %q%s", name, key, orKnown(key, sortedKeys(properties)))
		}
	}
}

// fitsProperty holds one value against its schema: wholly where it is literal,
// by its type where it is worked out.
func (c *checker) fitsProperty(p *pair, v *expr.Value, property map[string]any) {
	if !p.value.templated() {
		data := p.value.decode()
		if p.key.text == "severity" {
			data = severityOf(data, property)
		}
		if s, ok := data.(string); ok {
			data = unescape(s)
		}
		before := len(c.r.all)
		c.fitsSchema(Data{Value: data, Pos: p.value.at, node: p.value}, property, p.key.text)
		if words, ok := property["enum"].([]any); ok && len(c.r.all) == before+1 {
			c.r.all[before].Message += didYouMean(p.value.text, texts(words))
		}
		return
	}
	if v == nil {
		return
	}
	t, _ := v.Type().Field(p.key.text)
	if wrong := t.Fits(expr.FromSchema(property)); wrong != "" {
		c.r.errorf(p.value.at, "%s: %s", p.key.text, wrong)
	}
}

func texts(values []any) []string {
	var all []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// severityOf turns the word for a severity into its number where the schema
// asks for a number.
func severityOf(data any, property map[string]any) any {
	word, ok := data.(string)
	if n := severities[word]; ok && n > 0 && (property["type"] == "integer" || property["type"] == "number") {
		return n
	}
	return data
}

// templated tells whether a node holds ${{ }} that is worked out.
func (n *node) templated() bool {
	return slices.ContainsFunc(n.leaves(), func(l *node) bool { return l.isText() && hasTemplate(l.text) })
}

// describeSchema names a type for a message.
func describeSchema(schema map[string]any) string {
	if schema == nil {
		return ""
	}
	if words, ok := schema["enum"].([]any); ok && len(texts(words)) == len(words) && len(words) < 9 {
		return ": " + anyOf(texts(words))
	}
	t := expr.FromSchema(schema)
	if t.Kind() == expr.KindAny {
		return ""
	}
	return ": " + article(t.String())
}

// fitsInputs holds a with against the inputs of a called playbook.
func (c *checker) fitsInputs(d Data, v *expr.Value, inputs []Input, at Pos, name string) {
	properties := map[string]any{}
	for _, in := range inputs {
		properties[in.Name] = in.Schema
		if in.Required && !d.has(in.Name) {
			c.r.errorf(at, "playbook %s needs the input %q; expected it under with%s", name, in.Name, describeSchema(in.Schema))
		}
	}
	c.fitsProperties(d, v, properties, false, name)
}
