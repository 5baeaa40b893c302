package connector

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

// ImpactOf is the impact of a call with these inputs: the action's, or what its
// deciding input says.
func ImpactOf(a *Action, inputs map[string]any) Impact {
	by := a.ImpactBy
	if by == nil {
		return a.Impact
	}
	v, ok := inputs[by.Input]
	if !ok {
		v = a.Inputs.Property(by.Input)["default"]
	}
	if i, ok := by.Values[fmt.Sprint(v)]; ok {
		return i
	}
	return by.Else
}

// Targets works out what a call acts on, each target once. An empty selector, a
// value that is no object of its kind, and more than the action takes at once
// are errors (fault.Invalid): for many products an empty list means everything.
func Targets(a *Action, inputs map[string]any) ([]Target, error) {
	var list []Target
	seen := map[Target]bool{}
	for _, spec := range a.Targets {
		v, given := inputs[spec.Input]
		if !given || v == nil {
			continue
		}
		values, err := targetTexts(v)
		if err != nil {
			return nil, targetError(a, spec, "%v", err)
		}
		if len(values) == 0 {
			return nil, targetError(a, spec, "is empty, and for many products that means everything; name at least one %s", spec.Kind)
		}
		if spec.MaxPerCall > 0 && len(values) > spec.MaxPerCall {
			return nil, targetError(a, spec, "names %d targets, one call takes at most %d; use for_each", len(values), spec.MaxPerCall)
		}
		for _, text := range values {
			if wrong := wrongTarget(spec.Kind, text); wrong != "" {
				return nil, targetError(a, spec, "%s", wrong)
			}
			t := Target{Kind: spec.Kind, Value: text}
			if !seen[t] {
				seen[t] = true
				list = append(list, t)
			}
		}
	}
	if len(list) == 0 && len(a.Targets) > 0 && ImpactOf(a, inputs) >= Change {
		names := make([]string, len(a.Targets))
		for i, spec := range a.Targets {
			names[i] = spec.Input
		}
		return nil, fmt.Errorf("%s: no target in %s: for many products that means everything: %w", a.label(), strings.Join(names, ", "), fault.Invalid)
	}
	if b := a.Batch; b != nil {
		if items, ok := inputs[b.Input].([]any); ok && len(items) > b.MaxItems {
			return nil, fmt.Errorf("%s: input %s has %d items, one call takes at most %d; use for_each: %w", a.label(), b.Input, len(items), b.MaxItems, fault.Invalid)
		}
	}
	return list, nil
}

func targetError(a *Action, spec TargetSpec, what string, args ...any) error {
	return fmt.Errorf("%s: input %s %s: %w", a.label(), spec.Input, fmt.Sprintf(what, args...), fault.Invalid)
}

func targetTexts(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil, nil
		}
		return []string{v}, nil
	case int:
		return []string{strconv.Itoa(v)}, nil
	case expr.Secret:
		return nil, fmt.Errorf("is a secret, and a target must be known to be checked")
	case []any:
		list := make([]string, 0, len(v))
		for i, e := range v {
			one, err := targetTexts(e)
			if err != nil {
				return nil, err
			}
			if len(one) != 1 {
				return nil, fmt.Errorf("has no target at place %d", i)
			}
			list = append(list, one[0])
		}
		return list, nil
	}
	return nil, fmt.Errorf("is neither a text nor a list of texts")
}

var hashLengths = map[int]string{32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}

// wrongTarget says why a text is not exactly one object of a kind, "" when it
// is.
func wrongTarget(kind TargetKind, s string) string {
	if strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Sprintf("holds %q, with blanks or control characters around or in it", shortText(s))
	}
	if strings.Trim(s, "*?%.") == "" {
		return fmt.Sprintf("holds %q, which is a pattern and no %s", s, kind)
	}
	ok := true
	switch kind {
	case "ip":
		ok = checkFormat("ip", s)
	case "cidr":
		p, err := netip.ParsePrefix(s)
		if err == nil && p.Bits() == 0 {
			return fmt.Sprintf("holds %q, which is every address there is", s)
		}
		ok = err == nil
	case "domain":
		ok = isDomain(s)
	case "url":
		ok = isURL(s)
	case "hash":
		_, err := hex.DecodeString(s)
		_, known := hashLengths[len(s)]
		ok = err == nil && known
	}
	if !ok {
		return fmt.Sprintf("holds %q, which is no %s", shortText(s), kind)
	}
	return ""
}

func shortText(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "…"
	}
	return s
}
