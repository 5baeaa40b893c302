package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/intel"
	"riposte/internal/observable"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/internal/strictyaml"
	"riposte/playbook"
)

// handle makes a handler of a function that gives an output or an error.
func handle(do func(ctx context.Context, in *connector.Invocation) (any, error)) connector.Handler {
	return func(ctx context.Context, in *connector.Invocation) (connector.Result, any) {
		out, err := do(ctx, in)
		switch {
		case err == nil:
			return connector.Result{Status: connector.OK}, out
		case errors.Is(err, fault.Invalid):
			return connector.Fail(connector.Invalid, err.Error()), nil
		case errors.Is(err, fault.NotFound):
			return connector.Fail(connector.NotFound, err.Error()), nil
		case errors.Is(err, fault.Conflict):
			return connector.Fail(connector.Conflict, err.Error()), nil
		case errors.Is(err, fault.Transient):
			r := connector.Fail(connector.Transient, err.Error())
			r.Temporary = true
			return r, nil
		}
		return connector.Fail(connector.Permanent, err.Error()), nil
	}
}

// ownHandlers are the built-in actions that write into the installation itself.
func (c *core) ownHandlers() map[string]connector.Handler {
	return map[string]connector.Handler{
		"log.note":            handle(func(context.Context, *connector.Invocation) (any, error) { return map[string]any{}, nil }),
		"case.note":           handle(c.caseNote),
		"case.set":            handle(c.caseSet),
		"case.task":           handle(c.caseTask),
		"case.close":          handle(c.caseClose),
		"intel.lookup":        handle(c.intelCall("lookup")),
		"intel.allow_list":    handle(c.intelCall("allow_list")),
		"intel.add_indicator": handle(c.intelCall("add_indicator")),
		"intel.tag":           handle(c.intelCall("tag")),
		"intel.untag":         handle(c.intelCall("untag")),
		"list.has":            handle(c.listHas),
		"list.add":            handle(c.listAdd),
		"list.remove":         handle(c.listRemove),
	}
}

// str reads a text input, "" where there is none.
func str(in *connector.Invocation, name string) string {
	s, _ := in.Call.Inputs[name].(string)
	return s
}

// after reads a length of time from now, zero where there is none.
func after(in *connector.Invocation, name string) (time.Time, error) {
	s := str(in, name)
	if s == "" {
		return time.Time{}, nil
	}
	d, ok := strictyaml.ParseDuration(s)
	if !ok {
		return time.Time{}, fmt.Errorf("%s is %q; expected a length of time such as 1d: %w", name, s, fault.Invalid)
	}
	if d == 0 {
		return time.Time{}, nil
	}
	return in.Now.UTC().Add(d), nil
}

// by says who acts in a case: a playbook's run.
func by(o connector.Origin) cases.By {
	return cases.By{Kind: cases.ByPlaybook, Name: o.Playbook, Run: run.ID(o.Run), Version: o.Version}
}

// inCase does a change to the run's case, which is opened first if there is none.
func (c *core) inCase(ctx context.Context, in *connector.Invocation, title string, ch cases.Change) (cases.Applied, error) {
	o := in.Call.Origin
	id := cases.ID(o.Case)
	if id == 0 {
		unlock := c.caseMu.lock(o.Run)
		defer unlock()
		var err error
		if id, err = c.openFor(ctx, o.Tenant, run.ID(o.Run), alert.ID(o.Alert), title, by(o)); err != nil {
			return cases.Applied{}, err
		}
	}
	done, err := c.changeCase(ctx, o.Tenant, id, 0, ch, by(o))
	done.Case.ID = id
	return done, err
}

// caseNote writes a note; without a case it is in the run's own timeline.
func (c *core) caseNote(ctx context.Context, in *connector.Invocation) (any, error) {
	if in.Call.Origin.Case == 0 {
		return map[string]any{"case": nil}, nil
	}
	done, err := c.inCase(ctx, in, "", cases.AddNote{Text: str(in, "text"), Key: in.Call.Key})
	return map[string]any{"case": done.Case.ID.String()}, err
}

func (c *core) caseSet(ctx context.Context, in *connector.Invocation) (any, error) {
	var set cases.Set
	text := func(name string, to **string) {
		if v, ok := in.Call.Inputs[name]; ok {
			s, _ := v.(string) // nil is nobody
			*to = &s
		}
	}
	text("title", &set.Title)
	text("owner", &set.Owner)
	text("tlp", &set.TLP)
	text("pap", &set.PAP)
	text("summary", &set.Summary)
	switch v := in.Call.Inputs["severity"].(type) {
	case int:
		set.Severity = &v
	case string:
		n := playbook.SeverityNumber(v)
		set.Severity = &n
	}
	if v := str(in, "verdict"); v != "" {
		verdict := cases.Verdict(v)
		set.Verdict = &verdict
	}
	set.AddTags = alert.Texts(in.Call.Inputs["tags"])
	if fields, ok := in.Call.Inputs["fields"].(map[string]any); ok {
		set.Fields = map[string]json.RawMessage{}
		for k, v := range fields {
			b, err := expr.EncodeJSON(v)
			if err != nil {
				return nil, fmt.Errorf("fields.%s: %w", k, err)
			}
			set.Fields[k] = b
		}
	}
	done, err := c.inCase(ctx, in, str(in, "title"), set)
	return map[string]any{"case": done.Case.ID.String()}, err
}

func (c *core) caseTask(ctx context.Context, in *connector.Invocation) (any, error) {
	due, err := after(in, "due")
	if err != nil {
		return nil, err
	}
	task := cases.AddTask{Title: str(in, "title"), Text: str(in, "text"), Assignee: str(in, "assignee"), Due: due, Key: in.Call.Key}
	task.Evidence = alert.Texts(in.Call.Inputs["evidence"])
	done, err := c.inCase(ctx, in, task.Title, task)
	out := map[string]any{"case": done.Case.ID.String(), "task": ""}
	if done.Task != nil {
		out["task"] = fmt.Sprint(done.Task.N)
	}
	return out, err
}

func (c *core) caseClose(ctx context.Context, in *connector.Invocation) (any, error) {
	done, err := c.inCase(ctx, in, "", cases.Close{Verdict: cases.Verdict(str(in, "verdict")), Reason: str(in, "reason"), Even: true})
	if errors.Is(err, fault.Conflict) && done.Case.ID != 0 && strings.Contains(err.Error(), "closed") {
		err = nil // it was closed already
	}
	return map[string]any{"case": done.Case.ID.String()}, err
}

// intelCall does a built-in intel action and stores what it changed.
func (c *core) intelCall(action string) func(context.Context, *connector.Invocation) (any, error) {
	return func(ctx context.Context, in *connector.Invocation) (any, error) {
		call := intel.Call{Tenant: in.Call.Origin.Tenant, Action: action, Inputs: in.Call.Inputs, By: in.Call.Origin.Playbook, At: in.Now.UTC()}
		if action == "lookup" || action == "allow_list" {
			a, err := c.intel.Do(call)
			return a.Output, err
		}
		var a intel.Answer
		var begin []func()
		before := c.indicatorNow(call)
		err := c.db.Write(ctx, func(tx *store.Tx) error {
			n, err := store.NextID(tx, store.IndicatorIDs)
			if err != nil {
				return err
			}
			call.NewID = intel.ID(n)
			if a, err = c.intel.Do(call); err != nil || a.Change == intel.Same {
				return err
			}
			if a.Change == intel.Dropped {
				return store.DropIndicator(tx, a.Indicator.ID)
			}
			if err := store.PutIndicator(tx, a.Indicator); err != nil {
				return err
			}
			begin, err = c.indicatorChanged(tx, a, before)
			return err
		})
		if err == nil {
			beginAll(begin)
		}
		return a.Output, err
	}
}

// indicatorNow is an indicator as expressions see it before a call changes it.
func (c *core) indicatorNow(call intel.Call) map[string]any {
	o, err := observable.Parse(observable.Type(fmt.Sprint(call.Inputs["type"])), fmt.Sprint(call.Inputs["value"]))
	if err != nil {
		return nil
	}
	i, ok := c.intel.Get(call.Tenant, o)
	if !ok {
		return nil
	}
	return i.Object(call.At)
}

func (c *core) listHas(ctx context.Context, in *connector.Invocation) (out any, err error) {
	err = c.db.Read(ctx, func(q *store.Reader) error {
		e, ok, err := store.FindInList(q, in.Call.Origin.Tenant, str(in, "list"), str(in, "value"), in.Now)
		out = map[string]any{"found": ok, "added": moment(e.Added), "expires": moment(e.Expires), "note": text(e.Note)}
		return err
	})
	return out, err
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (c *core) listAdd(ctx context.Context, in *connector.Invocation) (any, error) {
	expires, err := after(in, "expires")
	if err != nil {
		return nil, err
	}
	var added bool
	err = c.db.Write(ctx, func(tx *store.Tx) (err error) {
		added, err = store.PutInList(tx, in.Call.Origin.Tenant, str(in, "list"), store.ListEntry{
			Value: str(in, "value"), Note: str(in, "note"), Added: in.Now.UTC(), By: in.Call.Origin.Playbook, Expires: expires,
		})
		return err
	})
	if err == nil {
		err = c.listChanged(ctx, in.Call.Origin.Tenant, str(in, "list"))
	}
	return map[string]any{"added": added}, err
}

func (c *core) listRemove(ctx context.Context, in *connector.Invocation) (any, error) {
	var removed bool
	err := c.db.Write(ctx, func(tx *store.Tx) (err error) {
		removed, err = store.TakeFromList(tx, in.Call.Origin.Tenant, str(in, "list"), str(in, "value"))
		return err
	})
	if err == nil {
		err = c.listChanged(ctx, in.Call.Origin.Tenant, str(in, "list"))
	}
	return map[string]any{"removed": removed}, err
}
