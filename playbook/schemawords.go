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
