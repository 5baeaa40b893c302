package expr_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/internal/expr"
)

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		`1`:                                 1,
		`-0`:                                0,
		`1.0`:                               1.0,
		`1e3`:                               1000.0,
		`9223372036854775807`:               math.MaxInt64,
		`-9223372036854775808`:              math.MinInt64,
		`9223372036854775808`:               9223372036854775808.0,
		`1e999`:                             math.MaxFloat64,
		` [ 1 , "a" , null, true, false ] `: []any{1, "a", nil, true, false},
		`{"a":{"b":[]}}`:                    map[string]any{"a": map[string]any{"b": []any{}}},
		`{"a":1,"a":2}`:                     map[string]any{"a": 2},
		`"\u00e9\ud83d\ude00\n\/"`:          "é😀\n/",
		`"\ud800x"`:                         "\ufffdx",
		"\"\xff\"":                          "\ufffd",
		`{"$secret":"edr/token"}`:           map[string]any{"$secret": "edr/token"},
	} {
		got, err := expr.DecodeJSON([]byte(text))
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s gives %#v, %v; want %#v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		``:                        "JSON: the value ends too early: invalid",
		`{"a":`:                   "JSON: the value ends too early: invalid",
		`"abc`:                    "JSON: the value ends too early: invalid",
		`[1 2]`:                   `JSON: expected a comma or "]", at byte 4: invalid`,
		`{a:1}`:                   "JSON: expected a key in quotes, at byte 2: invalid",
		`{"a" 1}`:                 "JSON: expected a colon, at byte 6: invalid",
		`[1,]`:                    `JSON: no value starts with "]", at byte 4: invalid`,
		`01`:                      "JSON: more text after the value, at byte 2: invalid",
		`1.`:                      "JSON: the value ends too early: invalid",
		`+1`:                      `JSON: no value starts with "+", at byte 1: invalid`,
		`nul`:                     "JSON: the value ends too early: invalid",
		`NaN`:                     `JSON: no value starts with "N", at byte 1: invalid`,
		"\"a\nb\"":                "JSON: a control character inside a text, at byte 3: invalid",
		`"\x"`:                    `JSON: unknown escape "\\x", at byte 3: invalid`,
		`1 2`:                     "JSON: more text after the value, at byte 3: invalid",
		strings.Repeat("[", 5000): "JSON: nested too deeply, at byte 1002: invalid",
	} {
		if got, err := expr.DecodeJSON([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%.20s gives %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestEncodeJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 14, 16, 9, 26, 500e6, time.FixedZone("", 3600))
	got, err := expr.EncodeJSON(map[string]any{
		"b": []any{nil, true, 1, 1.5, 1e21, "<é\u2028\x01\">"}, "a": at, "d": 90 * time.Minute, "s": expr.Secret{Connection: "edr", Field: "token"},
		"typed": []string{"x"}, "n": map[string]int{"z": 1},
	})
	want := `{"a":"2026-03-14T15:09:26.5Z","b":[null,true,1,1.5,1e+21,"<é` + "\u2028" + `\u0001\">"],"d":"90m","n":{"z":1},"s":{"$secret":"edr/token"},"typed":["x"]}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	if b, err := expr.EncodeJSON(math.Copysign(0, -1)); err != nil || string(b) != "0" {
		t.Errorf("minus zero gives %s, %v", b, err)
	}
	for _, bad := range []any{math.NaN(), math.Inf(1), make(chan int), []any{func() {}}} {
		if b, err := expr.EncodeJSON(bad); err == nil {
			t.Errorf("%T gives %s", bad, b)
		}
	}
}

func TestAStoredSecretComesBackAndAForgedOneDoesNot(t *testing.T) {
	t.Parallel()
	token := expr.Secret{Connection: "edr-main", Field: "token"}
	value := map[string]any{
		"real":   token,
		"forged": map[string]any{"$secret": "edr-main/token"},
		"twice":  map[string]any{"$$secret": "x", "$secret": 1},
		"beside": map[string]any{"$secret": "a/b", "c": 1},
	}
	b, err := expr.EncodeStored(value)
	if err != nil {
		t.Fatal(err)
	}
	got, err := expr.DecodeStored(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(value, got); d != "" {
		t.Error(d)
	}
}

// plain generates plain values.
func plain() *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Map(rapid.Int(), func(i int) any { return i }),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { return f }),
		rapid.Map(rapid.String(), func(s string) any { return strings.ToValidUTF8(s, "?") }),
	)
	key := rapid.OneOf(rapid.StringMatching(`[a-z$]{0,4}`), rapid.Just("$secret"), rapid.Just("$$secret"))
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(leaf, 0, 5), func(l []any) any { return append([]any{}, l...) }),
		rapid.Map(rapid.MapOfN(key, leaf, 0, 5), func(m map[string]any) any { return m }),
	)
}

func TestStoredValuesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := plain().Draw(t, "v")
		b, err := expr.EncodeStored(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := expr.DecodeStored(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := expr.EncodeStored(got)
		if err != nil || string(again) != string(b) {
			t.Fatalf("%s then %s, %v", b, again, err)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u00e9",null]}`, `-0.0e-1`, `"\ud83d\ude00"`, `[[[]]]`, `{"$secret":"a/b"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := expr.DecodeJSON(b)
		if err != nil {
			if json.Valid(b) && !strings.Contains(err.Error(), "nested too deeply") {
				t.Fatalf("%q: %v", b, err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("%q is no JSON, and gives %#v", b, got)
		}
		var want any
		if json.Unmarshal(b, &want) == nil && !cmp.Equal(floats(want), floats(got)) {
			t.Fatalf("%q gives %#v, want %#v", b, got, want)
		}
		out, err := expr.EncodeJSON(got)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := expr.DecodeJSON(out); err != nil || !cmp.Equal(floats(got), floats(again)) {
			t.Fatalf("%q, written and read again: %#v, %v", b, again, err)
		}
	})
}

// floats makes all numbers float64, to compare by value.
func floats(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = floats(e)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = floats(e)
		}
		return out
	}
	return v
}
