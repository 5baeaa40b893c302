package expr

// Show writes a value as a template does inside a longer text: lists and
// objects as JSON, nil as nothing, times in RFC 3339. A Secret is an error.
func Show(v any) (string, error) { return textOf(v) }

// Describe names a value in an error message: its type, and what it is where
// that is short.
func Describe(v any) string { return describe(v) }
