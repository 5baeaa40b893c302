package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/strictyaml"
)

// Validator checks values against the schemas of actions and keeps the compiled
// schemas. The zero Validator is ready; it is safe for concurrent use.
type Validator struct {
	mu       sync.RWMutex
	compiled map[string]*CompiledSchema
}

// keptSchemas bounds the memory of a Validator; when it is full it starts anew.
const keptSchemas = 4096

// Inputs checks what is about to be sent. Secrets are references: only that a
// text is wanted where one stands is checked. The error names the field and is a
// fault.Invalid.
func (v *Validator) Inputs(a *Action, inputs map[string]any) error {
	c, err := v.schema(a, "in", a.Inputs)
	if err != nil {
		return err
	}
	if wrong := c.Check(inputs); len(wrong) > 0 {
		return fmt.Errorf("%s: input %s: %w", a.label(), joinProblems(wrong), fault.Invalid)
	}
	return nil
}

// Output checks what came back. where is "" when it fits, and otherwise says
// what breaks the schema and where.
func (v *Validator) Output(a *Action, output any) (where string) {
	if a.Outputs == nil {
		return ""
	}
	c, err := v.schema(a, "out", a.Outputs)
	if err != nil {
		return err.Error()
	}
	wrong := c.Check(output)
	if len(wrong) == 0 {
		return ""
	}
	return "output " + joinProblems(wrong)
}

// Hidden is an output without the fields that its schema marks as secret: they
// are for the product's own people. The output itself is not changed.
func (v *Validator) Hidden(a *Action, output any) any {
	if a.Outputs == nil {
		return output
	}
	c, err := v.schema(a, "out", a.Outputs)
	if err != nil || !c.hides {
		return output
	}
	return withoutFields(output, a.Outputs)
}

func withoutFields(v any, s Schema) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			p := s.Property(k)
			if secret, _ := p["secret"].(bool); secret && e != nil {
				out[k] = Redacted
				continue
			}
			out[k] = withoutFields(e, p)
		}
		return out
	case []any:
		items, _ := s["items"].(map[string]any)
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutFields(e, items)
		}
		return out
	}
	return v
}

func hidesFields(s Schema) bool {
	if secret, _ := s["secret"].(bool); secret {
		return true
	}
	for name := range s.Properties() {
		if hidesFields(s.Property(name)) {
			return true
		}
	}
	items, ok := s["items"].(map[string]any)
	return ok && hidesFields(items)
}

func (v *Validator) schema(a *Action, side string, s Schema) (*CompiledSchema, error) {
	key := a.Digest + side
	if a.Digest == "" {
		text, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("%s: read schema: %w", a.label(), err)
		}
		key = string(text)
	}
	v.mu.RLock()
	c := v.compiled[key]
	v.mu.RUnlock()
	if c != nil {
		return c, nil
	}
	c, err := CompileSchema(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.label(), err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.compiled == nil || len(v.compiled) >= keptSchemas {
		v.compiled = map[string]*CompiledSchema{}
	}
	v.compiled[key] = c
	return c, nil
}

// ValidateInputs checks inputs once; a Validator is faster for many.
func ValidateInputs(a *Action, inputs map[string]any) error {
	return new(Validator).Inputs(a, inputs)
}

// ValidateOutput checks an answer in JSON against the action's outputs; the
// error says where it breaks them.
func ValidateOutput(a *Action, raw []byte) error {
	var v any
	if len(raw) > 0 {
		var err error
		if v, err = expr.DecodeJSON(raw); err != nil {
			return fmt.Errorf("%s: output: %w", a.label(), err)
		}
	}
	if where := new(Validator).Output(a, v); where != "" {
		return fmt.Errorf("%s: %s: %w", a.label(), where, fault.Invalid)
	}
	return nil
}

func (a *Action) label() string {
	if a.Connector == "" {
		return a.Capability
	}
	return a.Name()
}

// CompiledSchema is a JSON Schema ready for use. It is safe for concurrent use.
type CompiledSchema struct {
	schema *jsonschema.Schema
	quick  quick // nil: there is none
	hides  bool  // some field is secret
}

// Problem is one thing that is wrong with a value.
type Problem struct {
	Path   []string // the fields and list places that lead to it
	What   string   // without the value itself, which may be a secret
	Fields []string // of the object there, where some are missing or too many
}

// Parts tells what is wrong by JSON pointer, each field on its own.
func Parts(list []Problem) map[string]string {
	at := map[string]string{}
	for _, p := range list {
		if len(p.Fields) == 0 {
			at[pointerTo(p.Path)] = p.What
		}
		for _, name := range p.Fields {
			what := "it is missing"
			if unknown, ok := strings.CutPrefix(p.What, unknownField); ok {
				what = "there is no such field"
				if _, hint, hinted := strings.Cut(unknown, " ("); hinted {
					what += "; " + strings.TrimSuffix(hint, ")")
				}
			}
			at[pointerTo(append(slices.Clone(p.Path), name))] = what
		}
	}
	return at
}

func pointerTo(path []string) string {
	var b strings.Builder
	for _, part := range path {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return b.String()
}

func (p Problem) String() string {
	if len(p.Path) == 0 {
		return p.What
	}
	return FieldName(p.Path) + ": " + p.What
}

// FieldName writes a path as people do: hosts[2].name.
func FieldName(path []string) string {
	var b strings.Builder
	for i, part := range path {
		if _, err := strconv.Atoi(part); err == nil && i > 0 {
			b.WriteString("[" + part + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

func joinProblems(list []Problem) string {
	texts := make([]string, 0, len(list))
	for i, p := range list {
		if i == 5 {
			texts = append(texts, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		texts = append(texts, p.String())
	}
	return strings.Join(texts, "; ")
}

// CompileSchema makes a schema ready for checking. References outside the
// schema are refused; formats are checked.
func CompileSchema(s Schema) (*CompiledSchema, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	for _, f := range Formats {
		c.RegisterFormat(&jsonschema.Format{Name: f, Validate: func(v any) error {
			if s, ok := v.(string); ok && !checkFormat(f, s) {
				return errFormat
			}
			return nil
		}})
	}
	const here = "schema:///here"
	if err := c.AddResource(here, doc); err != nil {
		return nil, schemaError(err)
	}
	compiled, err := c.Compile(here)
	if err != nil {
		return nil, schemaError(err)
	}
	return &CompiledSchema{schema: compiled, quick: quickOf(s), hides: hidesFields(s)}, nil
}

// noLoader keeps a schema from fetching others.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("a reference to %s: only references inside the schema are followed", strings.TrimPrefix(url, "schema:///"))
}

// schemaProblems are what makes a schema itself wrong, with paths inside it.
type schemaProblems []Problem

func (p schemaProblems) Error() string { return "schema: " + joinProblems(p) }

// Unwrap makes them a fault.Invalid.
func (p schemaProblems) Unwrap() error { return fault.Invalid }

// SchemaProblems gives what makes a schema wrong, with paths inside it, out of an
// error of CompileSchema; nil for any other error.
func SchemaProblems(err error) []Problem {
	var all schemaProblems
	if errors.As(err, &all) {
		return all
	}
	return nil
}

func schemaError(err error) error {
	var broken *jsonschema.SchemaValidationError
	var wrong *jsonschema.ValidationError
	if errors.As(err, &broken) && errors.As(broken.Err, &wrong) {
		return schemaProblems(collect(wrong, nil))
	}
	var load *jsonschema.LoadURLError
	if errors.As(err, &load) {
		return schemaProblems{{What: load.Err.Error()}}
	}
	var regex *jsonschema.InvalidRegexError
	if errors.As(err, &regex) {
		return schemaProblems{{What: fmt.Sprintf("the pattern %q is no regular expression (RE2)", regex.Regex)}}
	}
	return schemaProblems{{What: strings.ReplaceAll(err.Error(), "schema:///here", "")}}
}

// Check lists what is wrong with a plain value, nil when nothing is. Where a
// Secret stands only its being a text is checked.
func (c *CompiledSchema) Check(v any) []Problem {
	if c.quick != nil && c.quick(v) {
		return nil
	}
	var secrets [][]string
	if expr.HasSecret(v) {
		v = withoutSecrets(v, nil, &secrets)
	}
	if m, ok := v.(map[string]any); ok && m == nil {
		v = map[string]any{}
	}
	err := c.schema.Validate(v)
	if err == nil {
		return nil
	}
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return []Problem{{What: err.Error()}}
	}
	list := collect(wrong, secrets)
	if len(list) == 0 && len(secrets) == 0 {
		list = []Problem{{What: "does not fit its schema"}}
	}
	return list
}

// withoutSecrets puts an empty text in the place of each Secret.
func withoutSecrets(v any, path []string, found *[][]string) any {
	switch v := v.(type) {
	case expr.Secret:
		*found = append(*found, slices.Clone(path))
		return ""
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutSecrets(e, append(path, strconv.Itoa(i)), found)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = withoutSecrets(e, append(path, k), found)
		}
		return out
	}
	return v
}

// collect turns the leaves of a validation error into problems, each once.
func collect(e *jsonschema.ValidationError, secrets [][]string) []Problem {
	var list []Problem
	seen := map[string]bool{}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		switch k := e.ErrorKind.(type) {
		case *kind.AnyOf, *kind.OneOf:
			// The branches contradict each other; where one of them has the right
			// type, its complaint is the one that helps.
			if best := bestBranch(e); best != nil {
				walk(best)
				return
			}
			list = addProblem(list, seen, Problem{slices.Clone(e.InstanceLocation), whatIsWrong(k), fieldsOf(k)})
			return
		}
		if len(e.Causes) > 0 {
			for _, c := range e.Causes {
				walk(c)
			}
			return
		}
		if isSecret(e, secrets) {
			return
		}
		list = addProblem(list, seen, Problem{slices.Clone(e.InstanceLocation), whatIsWrong(e.ErrorKind), fieldsOf(e.ErrorKind)})
	}
	walk(e)
	return list
}

func addProblem(list []Problem, seen map[string]bool, p Problem) []Problem {
	if text := p.String(); !seen[text] {
		seen[text] = true
		list = append(list, p)
	}
	return list
}

func bestBranch(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	for _, c := range e.Causes {
		leaf := c
		for len(leaf.Causes) == 1 {
			leaf = leaf.Causes[0]
		}
		if _, wrongType := leaf.ErrorKind.(*kind.Type); !wrongType || len(leaf.InstanceLocation) > len(e.InstanceLocation) {
			return c
		}
	}
	return nil
}

func isSecret(e *jsonschema.ValidationError, secrets [][]string) bool {
	_, wrongType := e.ErrorKind.(*kind.Type)
	return !wrongType && slices.ContainsFunc(secrets, func(s []string) bool { return slices.Equal(s, e.InstanceLocation) })
}

var typeWords = map[string]string{
	"string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
	"object": "an object", "array": "a list", "null": "nothing",
}

func typeList(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = typeWords[t]
	}
	return strings.Join(words, " or ")
}

var formatWords = map[string]string{
	"ipv4": "an IPv4 address such as 203.0.113.9", "ipv6": "an IPv6 address such as 2001:db8::1",
	"ip": "an IP address", "cidr": "a network such as 198.51.100.0/24", "domain": "a domain such as example.com",
	"url": "an address such as https://example.com/a", "email": "a mail address such as ann@example.com",
	"sha256": "a SHA-256 sum: 64 hexadecimal digits", "host": "a host name or an IP address",
	"duration": "a duration such as 30s, 5m, 12h or 7d", "date-time": "a time such as 2026-11-24T08:00:00Z",
}

const unknownField = "has no field "

// fieldsOf lists the fields that an object has too few or too many.
func fieldsOf(k jsonschema.ErrorKind) []string {
	switch k := k.(type) {
	case *kind.Required:
		return k.Missing
	case *kind.AdditionalProperties:
		return k.Properties
	}
	return nil
}

// whatIsWrong says it without the value: it may be a secret.
func whatIsWrong(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return fmt.Sprintf("is %s, expected %s", typeWords[k.Got], typeList(k.Want))
	case *kind.Required:
		return "lacks " + quoteAll(k.Missing)
	case *kind.AdditionalProperties:
		return unknownField + quoteAll(k.Properties)
	case *kind.Format:
		if words := formatWords[k.Want]; words != "" {
			return "is not " + words
		}
		return "does not have the format " + k.Want
	case *kind.Enum:
		return "is not one of " + literals(k.Want)
	case *kind.Const:
		return "is not " + literals([]any{k.Want})
	case *kind.Minimum:
		return "is less than " + k.Want.RatString()
	case *kind.Maximum:
		return "is more than " + k.Want.RatString()
	case *kind.ExclusiveMinimum:
		return "is not more than " + k.Want.RatString()
	case *kind.ExclusiveMaximum:
		return "is not less than " + k.Want.RatString()
	case *kind.MultipleOf:
		return "is no multiple of " + k.Want.RatString()
	case *kind.MinLength:
		return atLeast(k.Want, "letter", k.Got)
	case *kind.MaxLength:
		return atMost(k.Want, "letter", k.Got)
	case *kind.MinItems:
		return atLeast(k.Want, "entry", k.Got)
	case *kind.MaxItems:
		return atMost(k.Want, "entry", k.Got)
	case *kind.MinProperties:
		return atLeast(k.Want, "field", k.Got)
	case *kind.MaxProperties:
		return atMost(k.Want, "field", k.Got)
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same entry twice, at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.Pattern:
		return "does not match the pattern " + k.Want
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.AnyOf, *kind.OneOf:
		return "fits none of the forms that are allowed, or more than one"
	}
	return "does not fit its schema (" + strings.Join(k.KeywordPath(), " ") + ")"
}

func atLeast(want int, noun string, got int) string {
	return fmt.Sprintf("has %s, at least %d needed", plural(got, noun), want)
}

func atMost(want int, noun string, got int) string {
	return fmt.Sprintf("has %s, at most %d allowed", plural(got, noun), want)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if before, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies", n, before)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	return strings.Join(quoted, ", ")
}

func literals(list []any) string {
	texts := make([]string, len(list))
	for i, v := range list {
		text, err := json.Marshal(v)
		if err != nil || utf8.RuneCount(text) > 60 {
			return fmt.Sprintf("the %d values allowed", len(list))
		}
		texts[i] = string(text)
	}
	return strings.Join(texts, ", ")
}

var schemaKeywords = []string{
	"$schema", "$id", "$ref", "$defs", "$anchor", "$dynamicRef", "$dynamicAnchor", "$comment", "$vocabulary",
	"type", "enum", "const", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
	"properties", "patternProperties", "additionalProperties", "propertyNames", "required", "dependentRequired",
	"dependentSchemas", "minProperties", "maxProperties", "unevaluatedProperties",
	"items", "prefixItems", "additionalItems", "contains", "minContains", "maxContains", "minItems", "maxItems",
	"uniqueItems", "unevaluatedItems",
	"minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contentEncoding", "contentMediaType", "contentSchema",
	// our own
	"kind", "secret", "redact", "unit", "nullable", "x-order",
}

var standardFormats = []string{
	"date-time", "date", "time", "uuid", "uri", "uri-reference", "hostname", "regex", "json-pointer", "period", "semver",
	"iri", "iri-reference", "uri-template", "idn-email", "idn-hostname", "relative-json-pointer",
}

// checkSchema reports what is wrong with a schema in a file, at the place where
// it stands.
func checkSchema(doc *strictyaml.Document, path string, s Schema) {
	if s == nil {
		return
	}
	walkSchema(doc, path, s)
	_, err := CompileSchema(s)
	var wrong schemaProblems
	if !errors.As(err, &wrong) {
		return
	}
	for _, p := range wrong {
		at := path
		for _, part := range p.Path {
			at = strictyaml.Join(at, part)
		}
		doc.Errorf(at, "expected a JSON Schema 2020-12", "%s", p)
	}
}

func walkSchema(doc *strictyaml.Document, path string, s map[string]any) {
	for _, key := range sortedKeys(s) {
		at := strictyaml.Join(path, key)
		if !slices.Contains(schemaKeywords, key) {
			doc.Errorf(at, strictyaml.DidYouMean(key, schemaKeywords), "unknown schema keyword %q", key)
			continue
		}
		switch key {
		case "properties", "patternProperties", "$defs", "dependentSchemas":
			group, _ := s[key].(map[string]any)
			for _, name := range sortedKeys(group) {
				if sub, ok := group[name].(map[string]any); ok {
					walkSchema(doc, strictyaml.Join(at, name), sub)
				}
			}
		case "allOf", "anyOf", "oneOf", "prefixItems":
			list, _ := s[key].([]any)
			for i, e := range list {
				if sub, ok := e.(map[string]any); ok {
					walkSchema(doc, strictyaml.Join(at, i), sub)
				}
			}
		case "items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties":
			if sub, ok := s[key].(map[string]any); ok {
				walkSchema(doc, at, sub)
			}
		case "kind":
			checkKind(doc, at, s[key])
		case "format":
			if f, ok := s[key].(string); ok && !slices.Contains(Formats, f) && !slices.Contains(standardFormats, f) {
				doc.Errorf(at, strictyaml.DidYouMean(f, append(slices.Clone(Formats), standardFormats...)), "unknown format %q", f)
			}
		case "secret", "redact":
			if _, ok := s[key].(bool); !ok {
				doc.Errorf(at, "expected true or false", "%s is no truth value", key)
			}
		}
	}
}

func checkKind(doc *strictyaml.Document, at string, v any) {
	k, ok := v.(string)
	if ok && slices.Contains(TargetKinds, TargetKind(k)) {
		return
	}
	doc.Errorf(at, strictyaml.DidYouMean(k, kindNames()), "unknown kind %q", fmt.Sprint(v))
}

func kindNames() []string {
	names := make([]string, len(TargetKinds))
	for i, k := range TargetKinds {
		names[i] = string(k)
	}
	return names
}
