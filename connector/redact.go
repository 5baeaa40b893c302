package connector

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"riposte/internal/expr"
)

// Redacted stands where a secret was.
const Redacted = "[secret]"

// shortestSecret is the shortest value that is looked for: a shorter one would
// also be found where it is no secret.
const shortestSecret = 4

// Redactor takes the secrets of one call out of everything that leaves it:
// outputs, errors, logs. It knows them as they are and as they are written in
// URLs, JSON, base64 and hexadecimal. The zero Redactor knows none.
type Redactor struct {
	secrets  []string
	forms    []string // longest first
	replacer *strings.Replacer
}

// NewRedactor knows the given secrets. Secrets of several lines, such as keys in
// PEM, are known line by line as well.
func NewRedactor(secrets ...string) *Redactor {
	var forms []string
	add := func(s string) {
		if len(s) >= shortestSecret && !slices.Contains(forms, s) {
			forms = append(forms, s)
		}
	}
	for _, s := range secrets {
		for _, form := range writtenForms(s) {
			add(form)
		}
		if strings.Contains(s, "\n") {
			for line := range strings.Lines(s) {
				if line = strings.TrimSpace(line); len(line) >= 16 && !strings.HasPrefix(line, "-----") {
					add(line)
				}
			}
		}
	}
	r := &Redactor{secrets: secrets, forms: forms}
	if len(forms) == 0 {
		return r
	}
	// Of two secrets that begin alike the longer one must be found first.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, Redacted)
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r
}

// With is a redactor that knows further secrets as well.
func (r *Redactor) With(secrets ...string) *Redactor {
	return NewRedactor(append(slices.Clone(r.secrets), secrets...)...)
}

// writtenForms lists how a secret may be written.
func writtenForms(s string) []string {
	if len(s) < shortestSecret {
		return nil
	}
	forms := []string{s, url.QueryEscape(s), url.PathEscape(s), strings.ToLower(url.QueryEscape(s))}
	if text, err := json.Marshal(s); err == nil {
		forms = append(forms, string(text[1:len(text)-1]))
	}
	var plain strings.Builder
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) == nil {
		forms = append(forms, strings.Trim(strings.TrimSpace(plain.String()), `"`))
	}
	digits := hex.EncodeToString([]byte(s))
	forms = append(forms, digits, strings.ToUpper(digits))
	return append(forms, base64Forms(s)...)
}

// base64Forms are the letters that the secret gives in base64 wherever it stands
// in a longer text, such as user:secret: three places, each without the letters
// that its neighbours have a part in.
func base64Forms(s string) []string {
	forms := []string{base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s))}
	for shift := range 3 {
		padded := append(make([]byte, shift), s...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			from := (shift*8 + 5) / 6
			to := len(padded) * 8 / 6
			if to-from >= 6 {
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
}

// Text is s without the secrets.
func (r *Redactor) Text(s string) string {
	if r == nil || r.replacer == nil || !r.holds(s) {
		return s
	}
	return r.replacer.Replace(s)
}

func (r *Redactor) holds(s string) bool {
	for _, f := range r.forms {
		if strings.Contains(s, f) {
			return true
		}
	}
	return false
}

// JSON is text without the secrets. It stays valid JSON.
func (r *Redactor) JSON(text []byte) []byte {
	if r == nil || r.replacer == nil || len(text) == 0 {
		return text
	}
	s := string(text)
	if !r.holds(s) {
		return text
	}
	if out := []byte(r.replacer.Replace(s)); json.Valid(out) {
		return out
	}
	// A secret of digits stood in a number: go through the values one by one.
	v, err := expr.DecodeJSON(text)
	if err != nil {
		return []byte(`"` + Redacted + `"`)
	}
	out, err := expr.EncodeJSON(r.Value(v))
	if err != nil {
		return []byte(`"` + Redacted + `"`)
	}
	return out
}

// Value is a plain value without the secrets; v itself is not changed.
func (r *Redactor) Value(v any) any {
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case int, float64:
		if text := fmt.Sprint(v); r.Text(text) != text {
			return Redacted
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = r.Value(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[r.Text(k)] = r.Value(e)
		}
		return out
	}
	return v
}

// Result takes the secrets out of a result, those of several connections
// included.
func (r *Redactor) Result(res Result) Result {
	if r == nil || r.replacer == nil {
		return res
	}
	res.Output, res.Before, res.After = r.JSON(res.Output), r.JSON(res.Before), r.JSON(res.After)
	res.Message, res.External, res.Drift = r.Text(res.Message), r.Text(res.External), r.Text(res.Drift)
	for i := range res.Results {
		res.Results[i] = r.Result(res.Results[i])
	}
	return res
}
