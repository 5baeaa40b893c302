// Package strictyaml reads YAML the way Riposte wants it written: one document,
// no anchors, aliases, merge keys, tags or duplicate keys, no unknown keys, and
// every error at its line and column with a hint at what was meant. It decodes
// into Go structs and makes the JSON Schema of the same structs, so a file
// format is described once.
//
// Field tags: yaml:"name" or yaml:"name,required" names the key, doc:"…"
// describes it, enum:"a,b" limits a text, pattern:"…" is a regular expression
// that the whole text must match, min:"1" the least number or length.
package strictyaml
