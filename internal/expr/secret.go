package expr

import "encoding/json"

// Secret stands for a credential: a reference that only the runtime that sends
// it can resolve. It prints as [secret]; comparing it, joining it with a text
// or writing it as JSON in an expression is an error.
type Secret struct{ Connection, Field string }

func (Secret) String() string   { return "[secret]" }
func (Secret) GoString() string { return "[secret]" }

// MarshalJSON writes the reference, never the value: {"$secret":"edr-main/token"}.
func (s Secret) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{secretKey: s.Connection + "/" + s.Field})
}

// secretKey is the key under which a Secret is written as JSON.
const secretKey = "$secret"

// HasSecret tells whether a plain value is a Secret or holds one.
func HasSecret(v any) bool {
	switch v := v.(type) {
	case Secret:
		return true
	case []any:
		for _, e := range v {
			if HasSecret(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if HasSecret(e) {
				return true
			}
		}
	}
	return false
}
