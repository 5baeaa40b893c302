package connector

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/expr"
	"riposte/internal/fault"
)

func TestTargetsAreExactObjects(t *testing.T) {
	t.Parallel()
	target := func(kind TargetKind, most int) *Action {
		return &Action{Connector: "acme", ID: "act", Impact: Change, Targets: []TargetSpec{{Input: "x", Kind: kind, MaxPerCall: most}}}
	}
	tests := []struct {
		name   string
		action *Action
		value  any
		want   []Target
		says   string
	}{
		{"one", target("host", 0), "ws-7", []Target{{"host", "ws-7"}}, ""},
		{"a list, each once", target("ip", 0), []any{"203.0.113.9", "2001:db8::1", "203.0.113.9"}, []Target{{"ip", "203.0.113.9"}, {"ip", "2001:db8::1"}}, ""},
		{"a number", target("rule", 0), 17, []Target{{"rule", "17"}}, ""},
		{"a hash", target("hash", 0), strings.Repeat("ab", 32), []Target{{"hash", strings.Repeat("ab", 32)}}, ""},
		{"nothing", target("host", 0), nil, nil, "no target in x: for many products that means everything"},
		{"an empty text", target("host", 0), "", nil, "is empty, and for many products that means everything"},
		{"an empty list", target("host", 0), []any{}, nil, "is empty, and for many products that means everything"},
		{"an empty entry", target("host", 0), []any{"a", ""}, nil, "has no target at place 1"},
		{"nil in a list", target("host", 0), []any{nil}, nil, "neither a text nor a list"},
		{"a pattern", target("user", 0), "*", nil, "is a pattern and no user"},
		{"blanks", target("user", 0), " ", nil, "blanks or control characters"},
		{"blanks around", target("user", 0), "ann ", nil, "blanks or control characters"},
		{"a line break", target("user", 0), "ann\nbob", nil, "blanks or control characters"},
		{"too many", target("host", 2), []any{"a", "b", "c"}, nil, "names 3 targets, one call takes at most 2; use for_each"},
		{"no address", target("ip", 0), "203.0.113.256", nil, "is no ip"},
		{"a network as an address", target("ip", 0), "203.0.113.0/24", nil, "is no ip"},
		{"every address", target("cidr", 0), "0.0.0.0/0", nil, "every address there is"},
		{"every address of IPv6", target("cidr", 0), "::/0", nil, "every address there is"},
		{"no domain", target("domain", 0), "localhost", nil, "is no domain"},
		{"no URL", target("url", 0), "example.com/a", nil, "is no url"},
		{"no hash", target("hash", 0), "abc", nil, "is no hash"},
		{"a secret", target("user", 0), expr.Secret{Connection: "c", Field: "f"}, nil, "is a secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Targets(tt.action, map[string]any{"x": tt.value})
			if tt.says != "" {
				if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) || !strings.HasPrefix(err.Error(), "acme.act: ") {
					t.Errorf("%v, want %q", err, tt.says)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestAReadMayGoWithoutATarget(t *testing.T) {
	t.Parallel()
	a := &Action{Connector: "acme", ID: "look", Impact: Read, Targets: []TargetSpec{{Input: "x", Kind: "host"}}}
	if got, err := Targets(a, nil); len(got) != 0 || err != nil {
		t.Errorf("%v %v", got, err)
	}
	if _, err := Targets(a, map[string]any{"x": []any{}}); err == nil {
		t.Error("but an empty list is refused all the same")
	}
}

func TestABatchHasALimit(t *testing.T) {
	t.Parallel()
	a := &Action{Connector: "acme", ID: "tag", Impact: Read, Batch: &BatchSpec{Input: "x", MaxItems: 2}}
	if _, err := Targets(a, map[string]any{"x": []any{1, 2, 3}}); err == nil || !strings.Contains(err.Error(), "has 3 items, one call takes at most 2") {
		t.Errorf("%v", err)
	}
}

func TestImpactByInput(t *testing.T) {
	t.Parallel()
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := r.Action("http.request")
	for method, want := range map[any]Impact{"GET": Read, "HEAD": Read, "POST": Change, "DELETE": Change, 7: Change} {
		if got := ImpactOf(a, map[string]any{"method": method}); got != want {
			t.Errorf("%v: %s", method, got)
		}
	}
	if got := ImpactOf(a, nil); got != Read {
		t.Errorf("without a method, which means GET: %s", got)
	}
}

func TestMessagesOfValidationNameTheFieldAndNotTheValue(t *testing.T) {
	t.Parallel()
	a := &Action{Connector: "acme", ID: "act", Inputs: Schema{
		"type": "object", "required": []any{"ip"}, "additionalProperties": false,
		"properties": map[string]any{
			"ip":    map[string]any{"type": "string", "format": "ipv4"},
			"ip6":   map[string]any{"type": "string", "format": "ipv6"},
			"dom":   map[string]any{"type": "string", "format": "domain"},
			"url":   map[string]any{"type": "string", "format": "url"},
			"mail":  map[string]any{"type": "string", "format": "email"},
			"sum":   map[string]any{"type": "string", "format": "sha256"},
			"host":  map[string]any{"type": "string", "format": "host"},
			"level": map[string]any{"enum": []any{"low", "high"}},
			"n":     map[string]any{"type": "integer", "minimum": 1, "maximum": 5},
			"list":  map[string]any{"type": "array", "minItems": 1, "items": map[string]any{"type": "object", "required": []any{"id"}}},
			"text":  map[string]any{"type": "string", "minLength": 3, "pattern": "^[a-z]+$"},
			"any":   map[string]any{"oneOf": []any{map[string]any{"type": "string"}, map[string]any{"type": "array"}}},
		},
	}}
	tests := []struct {
		name, says string
		inputs     map[string]any
	}{
		{"missing", `lacks "ip"`, nil},
		{"unknown", `has no field "ipp"`, map[string]any{"ipp": 1}},
		{"ipv4", "ip: is not an IPv4 address such as 203.0.113.9", map[string]any{"ip": "s3cret"}},
		{"ipv4 is no ipv6", "ip6: is not an IPv6 address", map[string]any{"ip6": "203.0.113.9"}},
		{"domain", "dom: is not a domain", map[string]any{"dom": "-x.example"}},
		{"url", "url: is not an address such as https://example.com/a", map[string]any{"url": "javascript:alert(1)"}},
		{"email", "mail: is not a mail address", map[string]any{"mail": "a@b@"}},
		{"sha256", "sum: is not a SHA-256 sum", map[string]any{"sum": "s3cret"}},
		{"host", "host: is not a host name or an IP address", map[string]any{"host": "a b"}},
		{"enum", `level: is not one of "low", "high"`, map[string]any{"level": "s3cret"}},
		{"range", "n: is more than 5", map[string]any{"n": 6}},
		{"a fraction", "n: is a number, expected a whole number", map[string]any{"n": 1.5}},
		{"a nested field", `list[1]: lacks "id"`, map[string]any{"list": []any{map[string]any{"id": 1}, map[string]any{}}}},
		{"too few", "list: has 0 entries, at least 1 needed", map[string]any{"list": []any{}}},
		{"too short", "text: has 2 letters, at least 3 needed", map[string]any{"text": "ab"}},
		{"a pattern", "text: does not match the pattern ^[a-z]+$", map[string]any{"text": "s3cret"}},
		{"one of several", "any: fits none of the forms", map[string]any{"any": 7}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inputs := map[string]any{"ip": "203.0.113.9"}
			if tt.name == "missing" {
				inputs = nil
			}
			for k, v := range tt.inputs {
				inputs[k] = v
			}
			err := ValidateInputs(a, inputs)
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
	secret := expr.Secret{Connection: "c", Field: "f"}
	if err := ValidateInputs(a, map[string]any{"ip": secret, "text": secret}); err != nil {
		t.Errorf("a secret stands for any text: %v", err)
	}
	if err := ValidateInputs(a, map[string]any{"ip": "203.0.113.9", "n": secret}); err == nil || !strings.Contains(err.Error(), "n: is a text") {
		t.Errorf("but not for a number: %v", err)
	}
}
