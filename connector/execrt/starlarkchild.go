package execrt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"runtime/debug"
	"runtime/metrics"
	"sort"
	"sync/atomic"
	"time"

	starjson "go.starlark.net/lib/json"
	starmath "go.starlark.net/lib/math"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"riposte/internal/expr"
)

// starlarkChild is the hidden command starlark-child: it reads a job, limits
// itself, runs main and writes the result.
func starlarkChild(in io.Reader, out, complain io.Writer) int {
	text, err := io.ReadAll(in)
	if err != nil {
		_, _ = fmt.Fprintln(complain, err)
		return 1
	}
	var j scriptJob
	if err := json.Unmarshal(text, &j); err != nil {
		_, _ = fmt.Fprintln(complain, err)
		return 1
	}
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(j.Memory)
	limitSelf(2 * j.Memory) // for a jump that watchMemory has no time to see
	done := runScript(j)
	if err := json.NewEncoder(out).Encode(done); err != nil {
		_, _ = fmt.Fprintln(complain, err)
		return 1
	}
	return 0
}

func runScript(j scriptJob) scriptDone {
	thread := &starlark.Thread{
		Name:  j.Name,
		Print: func(*starlark.Thread, string) {}, // nobody reads it
		Load: func(*starlark.Thread, string) (starlark.StringDict, error) {
			return nil, errors.New("load is not available: a script is one file")
		},
	}
	thread.SetMaxExecutionSteps(j.Steps)
	passed := false
	thread.OnMaxSteps = func(t *starlark.Thread) {
		passed = true
		t.Cancel("steps")
	}
	over := watchMemory(thread, j.Memory)
	fail := func(err error) scriptDone {
		if over.Load() {
			return scriptDone{Limit: true, Error: fmt.Sprintf("script %s used more than %s of memory", j.Name, sizeText(j.Memory))}
		}
		if passed {
			return scriptDone{Limit: true, Error: fmt.Sprintf("script %s took more than %d steps", j.Name, j.Steps)}
		}
		return scriptDone{Error: scriptError(j.Name, err)}
	}
	options := &syntax.FileOptions{Set: true, While: true, TopLevelControl: true}
	globals, err := starlark.ExecFileOptions(options, thread, j.Name, j.Source, starlark.StringDict{
		"json": starjson.Module, "math": starmath.Module,
	})
	if err != nil {
		return fail(err)
	}
	main, ok := globals["main"].(starlark.Callable)
	if !ok {
		return scriptDone{Error: fmt.Sprintf("script %s defines no function main; expected def main(input):", j.Name)}
	}
	with, err := toStarlark(j.With, 0)
	if err != nil {
		return fail(err)
	}
	v, err := starlark.Call(thread, main, starlark.Tuple{with}, nil)
	if err != nil {
		return fail(err)
	}
	value, err := fromStarlark(v, 0)
	if err != nil {
		return scriptDone{Error: fmt.Sprintf("script %s: what main returns is no JSON: %v", j.Name, err)}
	}
	text, err := expr.EncodeJSON(value)
	if err != nil {
		return scriptDone{Error: fmt.Sprintf("script %s: what main returns is no JSON: %v", j.Name, err)}
	}
	if len(text) > maxScriptOutput {
		return scriptDone{Limit: true, Error: fmt.Sprintf("script %s returns more than %s", j.Name, sizeText(maxScriptOutput))}
	}
	return scriptDone{Output: text}
}

// watchMemory ends a script that uses too much. It lives as long as the process.
func watchMemory(thread *starlark.Thread, most int64) *atomic.Bool {
	var over atomic.Bool
	use := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	go func() {
		for range time.Tick(2 * time.Millisecond) {
			if metrics.Read(use); use[0].Value.Uint64() > uint64(most) {
				over.Store(true)
				thread.Cancel("memory")
				return
			}
		}
	}()
	return &over
}

// scriptError names the line of the script that failed.
func scriptError(name string, err error) string {
	var eval *starlark.EvalError
	if errors.As(err, &eval) {
		for i := len(eval.CallStack) - 1; i >= 0; i-- {
			if pos := eval.CallStack[i].Pos; pos.Filename() == name && pos.Line > 0 {
				return fmt.Sprintf("script %s:%d:%d: %s", name, pos.Line, pos.Col, eval.Msg)
			}
		}
		return fmt.Sprintf("script %s: %s", name, eval.Msg)
	}
	return "script " + err.Error()
}

const maxScriptDepth = 200

var errScriptDeep = fmt.Errorf("it is nested more than %d levels deep", maxScriptDepth)

// toStarlark turns a value of JSON into one of Starlark. Keys of objects are put
// in by name, so that going through them has always the same order.
func toStarlark(v any, depth int) (starlark.Value, error) {
	if depth > maxScriptDepth {
		return nil, errScriptDeep
	}
	switch v := v.(type) {
	case nil:
		return starlark.None, nil
	case bool:
		return starlark.Bool(v), nil
	case string:
		return starlark.String(v), nil
	case int:
		return starlark.MakeInt(v), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return starlark.MakeInt64(int64(v)), nil
		}
		return starlark.Float(v), nil
	case []any:
		list := make([]starlark.Value, len(v))
		for i, e := range v {
			one, err := toStarlark(e, depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = one
		}
		return starlark.NewList(list), nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		dict := starlark.NewDict(len(v))
		for _, k := range keys {
			one, err := toStarlark(v[k], depth+1)
			if err != nil {
				return nil, err
			}
			if err := dict.SetKey(starlark.String(k), one); err != nil {
				return nil, err
			}
		}
		return dict, nil
	}
	return nil, fmt.Errorf("a value of type %T", v)
}

// fromStarlark turns a value of Starlark into one of JSON.
func fromStarlark(v starlark.Value, depth int) (any, error) {
	if depth > maxScriptDepth {
		return nil, errScriptDeep
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return nil, nil
	case starlark.Bool:
		return bool(v), nil
	case starlark.String:
		return string(v), nil
	case starlark.Int:
		if i, ok := v.Int64(); ok {
			return int(i), nil
		}
		f, _ := new(big.Float).SetInt(v.BigInt()).Float64()
		return finite(f)
	case starlark.Float:
		return finite(float64(v))
	case *starlark.Dict:
		object := make(map[string]any, v.Len())
		for _, item := range v.Items() {
			key, ok := item[0].(starlark.String)
			if !ok {
				return nil, fmt.Errorf("a key is a %s, and keys are texts", item[0].Type())
			}
			e, err := fromStarlark(item[1], depth+1)
			if err != nil {
				return nil, err
			}
			object[string(key)] = e
		}
		return object, nil
	case starlark.Iterable: // list, tuple, set, range
		list := []any{}
		it := v.Iterate()
		defer it.Done()
		for e := starlark.Value(nil); it.Next(&e); {
			one, err := fromStarlark(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
		return list, nil
	}
	return nil, fmt.Errorf("a %s cannot be written", v.Type())
}

func finite(f float64) (any, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, errors.New("a number that is not finite")
	}
	return f, nil
}
