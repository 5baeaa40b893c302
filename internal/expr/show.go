package expr

// Show writes a value as a template does inside a longer text: lists and
// objects as JSON, nil as nothing, times in RFC 3339. A Secret is an error.
func Show(v any) (string, error) { return textOf(v) }

// Describe names a value in an error message: its type, and what it is where
// that is short.
func Describe(v any) string { return describe(v) }

// Says tells whether a value says something: it is not nil, not blank or a sign
// for nothing such as "-" or "N/A", and no empty list or object.
func Says(v any) bool { return says(v) }

// SortedKeys gives the names of an object's fields in the order in which
// everything that goes through it does.
func SortedKeys(object map[string]any) []string { return sortedKeys(object) }
