package caller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

const (
	defaultCheckEvery = 2 * time.Second
	maxCheckWait      = time.Minute
)

// checked makes a call with what its action wants looked at before and after.
func (c *Caller) checked(ctx context.Context, in *connector.Invocation, o *opened) connector.Result {
	a := in.Call.Action
	if a.Precheck != nil {
		held, res := c.look(ctx, in, o, a.Precheck, nil)
		switch {
		case res.Status != connector.OK:
			res.Message = "look before the call: " + res.Message
			return res
		case held:
			return connector.Result{Status: connector.Already, Output: json.RawMessage("{}"), Message: "it was so before; nothing was changed"}
		}
	}
	if a.Postcheck == nil {
		return c.run(ctx, in, o)
	}
	callCtx, cancel := leaveTime(ctx)
	res := c.run(callCtx, in, o)
	cancel()
	if res.Status != connector.OK && res.Status != connector.Unknown {
		return res
	}
	return c.confirm(ctx, in, o, res)
}

// leaveTime ends the call early enough that there is time to look what became of
// it.
func leaveTime(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(end)
	return context.WithTimeout(ctx, left-min(left/4, 10*time.Second))
}

// confirm looks whether the wanted state is there. That it is settles also a
// call whose answer was lost; that it is not settles nothing: the product may
// still be at it, so a person decides.
func (c *Caller) confirm(ctx context.Context, in *connector.Invocation, o *opened, res connector.Result) connector.Result {
	k := in.Call.Action.Postcheck
	every := k.Every
	if every <= 0 {
		every = defaultCheckEvery
	}
	ends := time.Now().Add(min(k.Within, maxCheckWait))
	var output any
	if len(res.Output) > 0 {
		output, _ = expr.DecodeJSON(res.Output)
	}
	for {
		held, check := c.look(ctx, in, o, k, output)
		if held {
			if res.Status == connector.Unknown {
				res.Class, res.Message = "", "the answer was lost, but the wanted state is there"
				if len(res.Output) == 0 {
					res.Output = json.RawMessage("{}")
				}
			}
			res.Status = connector.OK
			return res
		}
		if time.Now().Add(every).After(ends) {
			return unconfirmed(res, check)
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return unconfirmed(res, check)
		}
	}
}

func unconfirmed(res, check connector.Result) connector.Result {
	why := "the product does not show it"
	if check.Status != connector.OK {
		why = "it could not be looked at: " + check.Message
	}
	if res.Status == connector.Unknown {
		res.Message += "; looked afterwards: " + why
		return res
	}
	res.Status, res.Class = connector.Unknown, connector.UnknownOutcome
	res.Message = "the product accepted the call, but " + why
	return res
}

// look calls the action of a check and evaluates its condition.
func (c *Caller) look(ctx context.Context, in *connector.Invocation, o *opened, k *connector.CheckSpec, output any) (bool, connector.Result) {
	m := o.manifest
	a := m.Action(k.Action)
	if a == nil {
		return false, connector.Fail(connector.Invalid, fmt.Sprintf("%s has no action %s any more", m.Connector, k.Action))
	}
	code, err := c.checks.get(in.Call.Action, k, m.Config)
	if err != nil {
		return false, failure(err)
	}
	env := &expr.Env{Now: in.Now, Roots: map[string]any{"inputs": in.Call.Inputs, "output": output}}
	with := map[string]any{}
	if code.with != nil {
		v, err := code.with.Eval(env)
		if err != nil {
			return false, connector.Fail(connector.Invalid, plain(err))
		}
		with, _ = v.(map[string]any)
	}
	call := connector.Call{Connection: in.Call.Connection, Action: a, Inputs: with, Origin: in.Call.Origin}
	sub, _, err := c.invocation(&call, o)
	if err != nil {
		return false, failure(err)
	}
	if err := o.limiter.Wait(ctx); err != nil {
		return false, connector.Fail(connector.Timeout, "no turn came in time: "+err.Error())
	}
	res := c.run(ctx, sub, o)
	if res.Status != connector.OK && res.Status != connector.Already {
		return false, res
	}
	answer, _ := expr.DecodeJSON(res.Output)
	held, err := code.when.EvalBool(&expr.Env{Now: in.Now, Roots: map[string]any{"inputs": in.Call.Inputs, "output": answer}})
	if err != nil {
		return false, connector.Fail(connector.BadAnswer, "the condition does not fit the answer: "+plain(err))
	}
	return held, connector.Result{Status: connector.OK}
}

// checkCache keeps compiled checks.
type checkCache struct {
	mu    sync.Mutex
	code  map[*connector.CheckSpec]*checkCode
	exprs map[string]*expr.Program
}

type checkCode struct {
	with *expr.Value
	when *expr.Program
}

func (k *checkCache) get(a *connector.Action, spec *connector.CheckSpec, config connector.Schema) (*checkCode, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if code := k.code[spec]; code != nil {
		return code, nil
	}
	scope := expr.NewScope().With("inputs", expr.Any()).With("output", expr.Any())
	code := &checkCode{}
	var err error
	if spec.With != nil {
		code.with, err = expr.CompileValue(spec.With, scope, func(_ []any, e *expr.Error) error { return e })
		if err != nil {
			return nil, fmt.Errorf("%s: check: %w", a.Name(), err)
		}
	}
	if code.when, err = expr.Compile(spec.When, scope, expr.Bool()); err != nil {
		return nil, fmt.Errorf("%s: check: %w", a.Name(), err)
	}
	if k.code == nil || len(k.code) >= 4096 {
		k.code = map[*connector.CheckSpec]*checkCode{}
	}
	k.code[spec] = code
	return code, nil
}

// run hands the call to its runtime and checks what comes back.
func (c *Caller) run(ctx context.Context, in *connector.Invocation, o *opened) connector.Result {
	a := in.Call.Action
	var res connector.Result
	var output any
	switch {
	case o.manifest.Runtime == "go":
		name := handlerName(a)
		handler := c.Handlers[name]
		if handler == nil && name == "log.note" {
			// The step's record is the run's own log.
			return c.output(connector.Result{Status: connector.OK}, nil, in)
		}
		if handler == nil {
			return connector.Fail(connector.Permanent, fmt.Sprintf("%s has no handler in this program", a.Name()))
		}
		res, output = handler(ctx, in)
	default:
		rt := c.Runtimes[o.manifest.Runtime]
		if rt == nil {
			return connector.Fail(connector.Permanent, fmt.Sprintf("%s: this program has no runtime %s", a.Name(), o.manifest.Runtime))
		}
		res, output = rt.Run(ctx, in)
	}
	return c.output(res, output, in)
}

func handlerName(a *connector.Action) string {
	var spec connector.GoSpec
	if json.Unmarshal(a.Runtime, &spec) == nil && spec.Handler != "" {
		return a.Connector + "." + spec.Handler
	}
	return a.Name()
}

// output checks an answer against its schema, works out verdict and batch, and
// encodes it. An answer to a read that breaks the schema is an error; a change
// has been made all the same, so there it is only told.
func (c *Caller) output(res connector.Result, output any, in *connector.Invocation) connector.Result {
	if res.Status != connector.OK && res.Status != connector.Already && res.Status != connector.Partial {
		return res
	}
	a := in.Call.Action
	if output == nil {
		output = map[string]any{}
	}
	var err error
	if a.Verdict != nil {
		if output, err = c.verdict(a, in, output); err != nil {
			return brokenOutput(res, in, "verdict: "+plain(err))
		}
	}
	if a.Batch != nil && a.Batch.Results != "" {
		res = c.batch(a, in, output, res)
	}
	if where := c.validator.Output(a, output); where != "" {
		res = brokenOutput(res, in, where)
	}
	output = c.validator.Hidden(a, output)
	if res.Output, err = expr.EncodeJSON(output); err != nil {
		return brokenOutput(res, in, "output: "+plain(err))
	}
	return res
}

func brokenOutput(res connector.Result, in *connector.Invocation, where string) connector.Result {
	res.Drift = where
	if in.Impact < connector.Change {
		res.Status, res.Class = connector.Failed, connector.BadAnswer
		res.Message = "the answer is not what the connector promises: " + where
	}
	return res
}

var errNoObject = errors.New("the output is no object")

// verdict adds score, label and reliability to the output.
func (c *Caller) verdict(a *connector.Action, in *connector.Invocation, output any) (any, error) {
	fields, ok := output.(map[string]any)
	if !ok {
		return output, errNoObject
	}
	env := &expr.Env{Now: in.Now, Roots: map[string]any{"inputs": in.Call.Inputs, "output": output}}
	score, err := c.evaluate(a.Verdict.Score, env)
	if err != nil {
		return output, err
	}
	label := any(labelOf(score))
	if a.Verdict.Label != "" {
		own, err := c.evaluate(a.Verdict.Label, env)
		if err != nil {
			return output, err
		}
		if own != nil { // who knows nothing of an indicator has no word for it
			label = own
		}
	}
	out := make(map[string]any, len(fields)+1)
	for k, v := range fields {
		out[k] = v
	}
	out["verdict"] = map[string]any{"score": score, "label": label, "reliability": a.Verdict.Reliability}
	return out, nil
}

// labelOf is the word for a score.
func labelOf(score any) string {
	n := 0.0
	switch v := score.(type) {
	case int:
		n = float64(v)
	case float64:
		n = v
	default:
		return "unknown"
	}
	switch {
	case n >= 70:
		return "malicious"
	case n >= 30:
		return "suspicious"
	}
	return "harmless"
}

func (c *Caller) evaluate(text string, env *expr.Env) (any, error) {
	p, err := c.checks.expression(text)
	if err != nil {
		return nil, err
	}
	return p.Eval(env)
}

// batch makes a call partial when some of its items failed.
func (c *Caller) batch(a *connector.Action, in *connector.Invocation, output any, res connector.Result) connector.Result {
	v, err := c.evaluate(a.Batch.Results, &expr.Env{Now: in.Now, Roots: map[string]any{"inputs": in.Call.Inputs, "output": output}})
	if err != nil {
		return brokenOutput(res, in, "batch results: "+plain(err))
	}
	list, _ := v.([]any)
	failed, first := 0, ""
	for _, e := range list {
		item, _ := e.(map[string]any)
		if ok, isBool := item["ok"].(bool); isBool && !ok {
			failed++
			if first == "" {
				first = fmt.Sprintf("%v: %v", item["item"], item["message"])
			}
		}
	}
	if failed == 0 {
		return res
	}
	res.Status, res.Class = connector.Partial, connector.PartialError
	res.Message = fmt.Sprintf("%d of %d items failed, first %s", failed, len(list), first)
	if failed == len(list) {
		res.Status, res.Class = connector.Failed, connector.Permanent
	}
	return res
}

// expression keeps compiled expressions over inputs and output.
func (k *checkCache) expression(text string) (*expr.Program, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.exprs[text]; p != nil {
		return p, nil
	}
	p, err := expr.Compile(text, expr.NewScope().With("inputs", expr.Any()).With("output", expr.Any()), expr.Any())
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", text, err, fault.Invalid)
	}
	if k.exprs == nil || len(k.exprs) >= 4096 {
		k.exprs = map[string]*expr.Program{}
	}
	k.exprs[text] = p
	return p, nil
}
