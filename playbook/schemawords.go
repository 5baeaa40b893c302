package playbook

import (
	"slices"
	"strings"

	"riposte/connector"
)

// keywords are the words of JSON Schema, and those that the contract of
// connectors adds.
var keywords = strings.Fields(`$schema $id $ref $anchor $dynamicRef $dynamicAnchor $defs $comment $vocabulary definitions
	type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern format
	maxItems minItems uniqueItems maxContains minContains contains items prefixItems unevaluatedItems
	maxProperties minProperties required dependentRequired dependentSchemas properties patternProperties additionalProperties
	propertyNames unevaluatedProperties allOf anyOf oneOf not if then else title description default deprecated readOnly
	writeOnly examples contentEncoding contentMediaType contentSchema kind secret redact unit`)

// schemaFormats are the formats of JSON Schema itself that are checked, beside
// those of the contract.
var schemaFormats = []string{"date", "date-time", "time", "uuid", "uri", "hostname", "regex", "json-pointer"}

var schemaTypes = []string{"string", "integer", "number", "boolean", "array", "object", "null"}

// schemaWords looks for typing mistakes in a JSON Schema, which would let
// everything through: unknown types and formats, and words that are nearly
// keywords. It tells whether there are any.
func (c *checker) schemaWords(n *node) (clean bool) {
	clean = c.schemaBounds(n)
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
			known := append(slices.Clone(connector.Formats), schemaFormats...)
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

// bounds are the pairs of words of JSON Schema that leave no value where the
// first is above the second, or, where one of them is exclusive, equal to it.
var bounds = []struct {
	low, high string
	strict    bool
}{
	{"minimum", "maximum", false}, {"minimum", "exclusiveMaximum", true},
	{"exclusiveMinimum", "maximum", true}, {"exclusiveMinimum", "exclusiveMaximum", true},
	{"minLength", "maxLength", false}, {"minItems", "maxItems", false},
	{"minProperties", "maxProperties", false}, {"minContains", "maxContains", false},
}

// schemaBounds looks for bounds that no value is within: such a schema is well
// formed, and refuses everything.
func (c *checker) schemaBounds(n *node) (clean bool) {
	clean = true
	for _, b := range bounds {
		low, high := n.value(b.low), n.value(b.high)
		from, ok := low.number()
		to, too := high.number()
		if !ok || !too || from < to || from == to && !b.strict {
			continue
		}
		clean = false
		relation := "at most"
		if b.strict {
			relation = "less than"
		}
		c.r.errorf(low.at, "%s is %s and %s is %s, so that no value fits; expected %s to be %s %s", b.low, low.text, b.high, high.text, b.low, relation, b.high)
	}
	return clean
}

// number is a scalar's number, if it is one.
func (n *node) number() (float64, bool) {
	if n == nil || n.kind != scalarNode {
		return 0, false
	}
	switch v := n.data.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
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
	return "; expected " + anyOf(connector.Formats)
}
