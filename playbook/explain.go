package playbook

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// explain says in one sentence what a value breaks in a JSON Schema: what is
// wrong; what was expected.
func explain(e jsonschema.ErrorKind) string {
	switch k := e.(type) {
	case *kind.Type:
		return fmt.Sprintf("is %s; expected %s", typeNames[k.Got], anyOf(named2(k.Want)))
	case *kind.Enum:
		word, _ := k.Got.(string)
		return fmt.Sprintf("is %s; expected %s%s", shown(k.Got), anyOf(shownAll(k.Want)), didYouMean(word, textsOf(k.Want)))
	case *kind.Const:
		return fmt.Sprintf("is %s; expected %s", shown(k.Got), shown(k.Want))
	case *kind.Format:
		return fmt.Sprintf("is %s; expected %s", shown(k.Got), article(k.Want))
	case *kind.Required:
		return fmt.Sprintf("has no %s; expected it", allOf(k.Missing))
	case *kind.AdditionalProperties:
		return fmt.Sprintf("has %s; expected no such field", allOf(k.Properties))
	case *kind.Minimum:
		return fmt.Sprintf("is %s; expected %s or more", rat(k.Got), rat(k.Want))
	case *kind.Maximum:
		return fmt.Sprintf("is %s; expected %s or less", rat(k.Got), rat(k.Want))
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("is %s; expected more than %s", rat(k.Got), rat(k.Want))
	case *kind.ExclusiveMaximum:
		return fmt.Sprintf("is %s; expected less than %s", rat(k.Got), rat(k.Want))
	case *kind.Pattern:
		return fmt.Sprintf("is %s; expected a text that matches %s", quoted(k.Got), k.Want)
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters; expected %d or more", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters; expected %d or fewer", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d entries; expected %d or more", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d entries; expected %d or fewer", k.Got, k.Want)
	}
	return "is wrong: " + e.LocalizedString(message.NewPrinter(language.English))
}

var typeNames = map[string]string{
	"array": "a list", "object": "a mapping", "string": "a text", "integer": "a whole number", "number": "a number",
	"boolean": "a boolean", "null": "null",
}

func named2(types []string) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = typeNames[t]
	}
	return out
}

// shown writes a value for a message.
func shown(v any) string {
	if s, ok := v.(string); ok {
		return quoted(s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func shownAll(values []any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if s, ok := v.(string); ok && namePattern.MatchString(s) {
			out[i] = s
			continue
		}
		out[i] = shown(v)
	}
	return out
}

func textsOf(values []any) []string {
	var out []string
	for _, v := range values {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func rat(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// keywords are the words of JSON Schema, and those that the contract of
// connectors adds.
var keywords = strings.Fields(`$schema $id $ref $anchor $dynamicRef $dynamicAnchor $defs $comment $vocabulary definitions
	type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern format
	maxItems minItems uniqueItems maxContains minContains contains items prefixItems unevaluatedItems
	maxProperties minProperties required dependentRequired dependentSchemas properties patternProperties additionalProperties
	propertyNames unevaluatedProperties allOf anyOf oneOf not if then else title description default deprecated readOnly
	writeOnly examples contentEncoding contentMediaType contentSchema kind secret redact unit`)

var schemaTypes = []string{"string", "integer", "number", "boolean", "array", "object", "null"}

// schemaWords looks for typing mistakes in a JSON Schema, which would let
// everything through: unknown types and formats, and words that are nearly
// keywords. It tells whether there are any.
func (c *checker) schemaWords(n *node) (clean bool) {
	clean = true
	for _, p := range pairs(n) {
		switch key := p.key.text; key {
		case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
			for _, q := range pairs(p.value) {
				clean = c.schemaWords(q.value) && clean
			}
		case "default", "enum", "const", "examples", "required", "dependentRequired":
		case "type":
			clean = c.typeWords(p.value) && clean
		case "format":
			known := append(slices.Clone(Formats), schemaFormats...)
			if p.value.isText() && !slices.Contains(known, p.value.text) {
				clean = false
				c.r.errorf(p.value.at, "unknown format %q%s", p.value.text, orFormats(p.value.text, known))
			}
		default:
			if best := nearest(key, keywords); best != "" && !slices.Contains(keywords, key) {
				clean = false
				c.r.errorf(p.key.at, "unknown key %s in a JSON Schema; did you mean %q?", quoted(key), best)
			}
			clean = c.schemaWords(p.value) && clean
			for _, item := range items(p.value) {
				clean = c.schemaWords(item) && clean
			}
		}
	}
	return clean
}

func (c *checker) typeWords(n *node) (clean bool) {
	clean = true
	for _, leaf := range n.leaves() {
		switch {
		case leaf.isNull() && leaf.text != "":
			clean = false
			c.r.errorf(leaf.at, "type is null; expected \"null\" in quotes")
		case !leaf.isText() || !slices.Contains(schemaTypes, leaf.text):
			clean = false
			c.r.errorf(leaf.at, "type is %s; expected %s%s", leaf.describe(), anyOf(schemaTypes), didYouMean(leaf.text, schemaTypes))
		}
	}
	return clean
}

func orFormats(word string, known []string) string {
	if hint := didYouMean(word, known); hint != "" {
		return hint
	}
	return "; expected " + anyOf(Formats)
}
