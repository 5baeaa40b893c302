package playbook

import (
	"fmt"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/internal/expr"
)

// The codes of findings. Each names something that is allowed and probably not
// meant; docs/playbooks.md says for each what to do about it.
const (
	CodeFileName       = "file-name"
	CodeNotLoaded      = "not-loaded"
	CodeUnfilledInput  = "unfilled-input"
	CodeNoUndo         = "cannot-be-taken-back"
	CodeNoErrorPath    = "change-without-error-path"
	CodeUnboundedLoop  = "change-in-unbounded-loop"
	CodeNoDeadline     = "wait-without-deadline"
	CodeNobodyApproves = "approval-nobody-can-give"
	CodeNobodyAnswers  = "question-nobody-can-answer"
	CodeNobodyStarts   = "start-nobody-may"
	CodeUnusedStep     = "unused-step"
	CodeUnusedInput    = "unused-input"
	CodeUnusedVar      = "unused-var"
	CodeUnreachable    = "unreachable"
	CodeNeverEqual     = "never-equal"
	CodeOpenDuration   = "open-duration"
	CodeDeprecated     = "deprecated-action"
	CodeEmptyTest      = "test-proves-nothing"

	CodeAcceptUnknown = "accept-unknown"
	CodeAcceptReason  = "accept-without-reason"
	CodeAcceptUnused  = "accept-unused"
)

// Codes lists the codes of all findings that a comment can accept.
func Codes() []string {
	return []string{
		CodeFileName, CodeNotLoaded, CodeUnfilledInput, CodeNoUndo, CodeNoErrorPath, CodeUnboundedLoop, CodeNoDeadline,
		CodeNobodyApproves, CodeNobodyAnswers, CodeNobodyStarts, CodeUnusedStep, CodeUnusedInput, CodeUnusedVar,
		CodeUnreachable, CodeNeverEqual, CodeOpenDuration, CodeDeprecated, CodeEmptyTest,
	}
}

func (c *checker) finding(at Pos, code, format string, args ...any) {
	c.r.add(Diagnostic{Line: at.Line, Column: at.Column, Severity: SeverityFinding, Code: code, Message: fmt.Sprintf(format, args...)})
}

// findings looks at the playbook as a whole.
func (c *checker) findings() {
	c.p.All(c.unusedStep)
	for _, list := range c.allLists() {
		c.unreachable(list)
	}
	if len(c.p.Steps) == 0 && c.p.root.value("steps") != nil {
		c.finding(c.p.root.pair("steps").key.at, CodeUnreachable, "the playbook has no steps, so it does nothing; expected at least one")
	}
	unused(c, "input", CodeUnusedInput, c.p.Inputs, c.usedInputs)
	unused(c, "variable", CodeUnusedVar, c.p.Vars, c.usedVars)
}

func unused(c *checker, what, code string, entries []Entry, used map[string]bool) {
	for _, e := range entries {
		if !used[e.Name] && !used[""] {
			c.finding(e.Pos, code, "nothing reads the %s %q; use it or leave it out", what, e.Name)
		}
	}
}

// allLists gives every list of steps of the file.
func (c *checker) allLists() [][]*Step {
	lists := [][]*Step{c.p.Steps, c.p.Finally}
	if c.p.OnError != nil {
		lists = append(lists, c.p.OnError.Do)
	}
	c.p.All(func(s *Step) { lists = append(lists, s.lists()...) })
	return lists
}

// known tells whether the impact of a step is more than the guess for what is
// not loaded.
func (c *checker) known(s *Step) bool {
	f := c.out.facts[s]
	said, ok := connector.ParseImpact(s.Impact.Value)
	return f.spec != nil || f.callee != nil || ok && said >= connector.Change
}

// risks looks at a step that changes something.
func (c *checker) risks(s *Step, f *facts, w where) {
	if f.spec != nil && f.spec.Deprecated != "" {
		c.finding(s.verbKey.at, CodeDeprecated, "%s is deprecated: %s", s.Head.Value, f.spec.Deprecated)
	}
	if f.impact < connector.Change || !c.known(s) || c.broken {
		return
	}
	if w.unbounded != nil {
		c.finding(s.verbKey.at, CodeUnboundedLoop,
			"%s changes something in each round of the while in line %d, which has no max of its own; give it a max", s.Head.Value, w.unbounded.Pos.Line)
	}
	if s.Verb != Action || s.Undo != nil || f.spec != nil && f.spec.Undo != nil {
		return
	}
	c.finding(s.verbKey.at, CodeNoUndo, "%s has impact %s and no undo, so it cannot be taken back; give the step an undo", s.Head.Value, f.impact)
	if !w.handled {
		c.finding(s.verbKey.at, CodeNoErrorPath, "%s has neither an undo nor an error path: when it fails the run just stops; give it on_error, or a block around it", s.Head.Value)
	}
}

// unusedStep reports a step that only fetches something, which nothing reads.
func (c *checker) unusedStep(s *Step) {
	f := c.out.facts[s]
	if s.ID.Set() && c.usedSteps[s.ID.Value] || s.OnError != nil && s.OnError.Word == "" || s.Retry != nil && s.Retry.Until.Set() {
		return
	}
	switch {
	case s.Verb == Action && f.spec != nil && f.impact == connector.Read && f.spec.Outputs["properties"] != nil:
		c.finding(s.Pos, CodeUnusedStep, "nothing uses what %s gives; read it as %s, or leave the step out", s.Head.Value, resultName(s))
	case s.Verb == Call && f.callee != nil && f.impact == connector.Read && len(f.callee.Outputs) > 0:
		c.finding(s.Pos, CodeUnusedStep, "nothing uses what playbook %s gives; read it as %s, or leave the step out", s.Head.Value, resultName(s))
	case s.Verb == ForEach && s.Collect.Set():
		c.finding(s.Collect.Pos, CodeUnusedStep, "nothing uses what the loop collects; read it as %s, or leave collect out", resultName(s))
	}
}

func resultName(s *Step) string {
	if s.ID.Set() {
		return "steps." + s.ID.Value + ".output"
	}
	return "steps.<id>.output"
}

// unreachable reports the first step that can never run in a list.
func (c *checker) unreachable(steps []*Step) {
	for i, s := range steps {
		if s.When.Set() && strings.TrimSpace(s.When.Value) == "false" {
			c.finding(s.Pos, CodeUnreachable, "the step never runs: its when is false")
		}
		if ends(s) && i+1 < len(steps) {
			c.finding(steps[i+1].Pos, CodeUnreachable, "the step never runs: the step in line %d ends the run; leave it out or give that one a when", s.Pos.Line)
			return
		}
	}
}

// ends tells whether a step always ends the run.
func ends(s *Step) bool {
	if s.When.Set() || !s.valid {
		return false
	}
	switch s.Verb {
	case Stop:
		return true
	case If:
		return endsAll(s.Then) && endsAll(s.Else)
	case Switch:
		return endsAll(s.Else) && len(s.Branches) > 0 && !slices.ContainsFunc(s.Branches, func(b *Blocks) bool { return !endsAll(b.Do) })
	default: // the flow goes on after the others
	}
	return false
}

func endsAll(steps []*Step) bool { return slices.ContainsFunc(steps, ends) }

// deadline reports a wait for a condition that nothing ends.
func (c *checker) noDeadline(s *Step, w where) {
	if s.Until.Set() && !w.deadline {
		c.finding(s.verbKey.at, CodeNoDeadline, "the wait has no deadline of its own; give it, a block around it or the playbook a timeout")
	}
}

// openDuration holds a duration that is worked out against the bounds of the
// inputs it is made of.
func (c *checker) openDuration(t Text, v *expr.Value) {
	onlyInputs := true
	for _, path := range v.Refs() {
		if path[0] != "inputs" || len(path) != 2 {
			onlyInputs = false
			continue
		}
		i := slices.IndexFunc(c.out.inputs, func(in Input) bool { return in.Name == path[1] })
		if i < 0 {
			continue
		}
		schema := c.out.inputs[i].Schema
		switch expr.FromSchema(schema).Kind() {
		case expr.KindInt, expr.KindNumber:
			if !hasBounds(schema) {
				c.r.errorf(t.Pos, "the duration depends on inputs.%s, which has no bounds; expected minimum and maximum in its schema", path[1])
				return
			}
		case expr.KindText:
			if schema["enum"] == nil && schema["const"] == nil && schema["pattern"] == nil && schema["format"] != "duration" {
				c.finding(t.Pos, CodeOpenDuration, "the duration depends on inputs.%s, which may be any text; give it an enum or a pattern", path[1])
				onlyInputs = false
			}
		default: // not known, or no part of a duration
		}
	}
	if onlyInputs {
		c.tryDuration(t, v)
	}
}

func hasBounds(schema map[string]any) bool {
	low := schema["minimum"] != nil || schema["exclusiveMinimum"] != nil
	high := schema["maximum"] != nil || schema["exclusiveMaximum"] != nil
	return low && high || schema["enum"] != nil || schema["const"] != nil
}

// tryDuration works a duration out at the ends of its inputs' bounds.
func (c *checker) tryDuration(t Text, v *expr.Value) {
	for _, edge := range []string{"minimum", "maximum", "default"} {
		inputs := map[string]any{}
		for _, in := range c.out.inputs {
			inputs[in.Name] = edgeOf(in.Schema, edge)
		}
		if lacksInput(v, inputs) {
			continue
		}
		out, err := v.Text(&expr.Env{Roots: map[string]any{"inputs": inputs}})
		if err != nil {
			continue // such a value is not possible, or is the run's own error
		}
		if _, err := ParseDuration(out); err != nil {
			c.r.errorf(t.Pos, "the duration can be %q; expected a duration such as 30s, 5m, 2h or 7d", out)
			return
		}
	}
}

// lacksInput tells whether v reads an input for which no value is at hand: nil
// would stand for it, which the input itself may never be.
func lacksInput(v *expr.Value, inputs map[string]any) bool {
	return slices.ContainsFunc(v.Refs(), func(path []string) bool { return len(path) == 2 && inputs[path[1]] == nil })
}

// edgeOf is a value at the end of a schema's bounds.
func edgeOf(schema map[string]any, edge string) any {
	if v, ok := schema[edge]; ok {
		return v
	}
	if values, ok := schema["enum"].([]any); ok && len(values) > 0 {
		if edge == "minimum" {
			return values[0]
		}
		return values[len(values)-1]
	}
	if v, ok := schema["default"]; ok {
		return v
	}
	return schema["const"]
}
