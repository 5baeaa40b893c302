package triage

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"riposte/internal/alert"
	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// key says what alerts must share to belong together. The zero key is shared by
// all.
type key struct {
	group bool // the alert's group key, as its mapping made it
	parts []*expr.Program
	names []string // as they are written
}

var plainWord = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// meanings are words of by that mean something else than the alert's field of
// that name.
var meanings = map[string]string{"rule": "alert.rule_id ?? alert.rule ?? alert.title", "source": "source"}

// key reads by: one part or a list.
func (c *compiler) key(at string, v any) (k key) {
	texts := c.texts(at, v)
	for i, text := range texts {
		place := at
		if _, list := v.([]any); list {
			place = strictyaml.Join(at, i)
		}
		source := text
		if plainWord.MatchString(text) {
			if source = meanings[text]; source == "" {
				source = "alert." + text
			}
		}
		p, err := expr.Compile(source, c.plain, expr.Any())
		if err != nil {
			c.wrong(place, err)
			continue
		}
		k.parts, k.names = append(k.parts, p), append(k.names, text)
	}
	k.group = len(texts) == 1 && (texts[0] == "group" || texts[0] == "alert.group")
	return k
}

// of works a key out for an alert. whole is false where a part of it is nil:
// what is not known is not shared.
func (k *key) of(a *alert.Alert, e *expr.Env) (text string, whole bool, err error) {
	if k.group {
		return a.GroupKey, a.GroupKey != "", nil
	}
	if len(k.parts) == 0 {
		return "", true, nil
	}
	values := make([]any, len(k.parts))
	whole = true
	for i, p := range k.parts {
		if values[i], err = p.Eval(e); err != nil {
			return "", false, err
		}
		whole = whole && values[i] != nil && values[i] != ""
	}
	b, err := expr.EncodeJSON(values)
	if err != nil {
		return "", false, err
	}
	h := sha256.New()
	for _, n := range k.names {
		h.Write([]byte(n))
		h.Write([]byte{0})
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil)[:16]), whole, nil
}

// subject says for people what alerts with a key share.
func (k *key) subject(e *expr.Env) string {
	var parts []string
	for i, p := range k.parts {
		v, err := p.Eval(e)
		if err != nil || v == nil {
			continue
		}
		if text, err := expr.Show(v); err == nil {
			parts = append(parts, k.names[i]+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

// ident is a key as it is remembered: short, whatever its text.
type ident [16]byte

func identOf(key string) (id ident) {
	if len(key) == 32 {
		if _, err := hex.Decode(id[:], []byte(key)); err == nil {
			return id
		}
	}
	sum := sha256.Sum256([]byte(key))
	copy(id[:], sum[:])
	return id
}
