package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/id"
	"riposte/internal/run"
	"riposte/internal/store"
)

// The sentences that a case's timeline tells of what happens elsewhere: in its
// runs, to its questions, in the ledger, at the sources of its alerts.

func words(status string) string { return strings.ReplaceAll(status, "_", " ") }

// asks says that a step has begun to wait for people. An action that was tried
// already waits for something else: its next try.
func asks(s run.StepView) bool {
	return s.Status == run.Waiting && (s.Verb == "ask" || s.Verb == "action" && s.Attempts == 0)
}

// stepRecord says what a step did, in one sentence, and when.
func stepRecord(s run.StepView, at time.Time) (cases.Record, time.Time) {
	what := s.Action
	if what == "" {
		what = s.Verb
	}
	r := cases.Record{Kind: cases.StepEnded, What: fmt.Sprintf("Step %s (%s)", s.Step, what)}
	if in := brief(s.Inputs); in != "" {
		r.What += " with " + in
	}
	r.What += ": " + words(string(s.Status))
	if s.Taken != "" {
		r.What += ", went " + s.Taken
	}
	if s.By != "" {
		r.What += ", decided by " + s.By
	}
	if s.Connection != "" {
		r.What += " on " + s.Connection
	}
	if out := brief(s.Output); out != "" {
		r.What += " → " + out
	}
	if s.Error != nil {
		r.What += fmt.Sprintf(" (%s: %s)", s.Error.Code, s.Error.Message)
	}
	if s.Status.Final() {
		if s.Inputs != nil {
			r.Field, r.New = "inputs", s.Inputs
		}
		if !s.Ended.IsZero() {
			at = s.Ended
		}
	}
	return r, at
}

// What brief shows at most: values of one object, characters of one value.
const (
	briefValues = 8
	briefText   = 60
)

// brief gives the short values of a JSON object on one line, by name: enough to
// see what went into a step and what came out.
func brief(raw json.RawMessage) string {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var o map[string]any
	if err := dec.Decode(&o); err != nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		switch v := o[name].(type) {
		case string:
			if v == "" || len(v) > briefText || strings.ContainsAny(v, "\r\n") {
				continue
			}
			parts = append(parts, name+" "+v)
		case bool, json.Number:
			parts = append(parts, fmt.Sprintf("%s %v", name, v))
		}
	}
	if len(parts) > briefValues {
		parts = append(parts[:briefValues], "…")
	}
	return strings.Join(parts, ", ")
}

// tell writes into the timeline of a case. One that is gone needs no story.
func tell(tx *store.Tx, tenant string, c cases.ID, r cases.Record, at time.Time, by cases.By) error {
	_, err := store.ChangeCase(tx, tenant, c, 0, r, at, by)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// onTargets names an action and what it is done to.
func onTargets(action string, targets []connector.Target) string {
	for _, t := range targets {
		action += " " + t.Value
	}
	return action
}

// tellAsked says who is asked what, and until when.
func tellAsked(tx *store.Tx, q *store.Question) error {
	if q.Case == 0 {
		return nil
	}
	what := fmt.Sprintf("%s asked by %s: %s", questionRef(q.ID), q.Playbook, subject(q))
	var whom []string
	for _, quorum := range q.Asks {
		whom = append(whom, fmt.Sprintf("%d of %s", quorum.Need, strings.Join(quorum.People, ", ")))
	}
	if len(whom) > 0 {
		what += "; to answer: " + strings.Join(whom, " and ")
	}
	if !q.Until.IsZero() {
		what += ", until " + clock(q.Until)
	}
	by := cases.By{Kind: cases.ByPlaybook, Name: q.Playbook, Run: q.Run}
	return tell(tx, q.Tenant, cases.ID(q.Case), cases.Record{Kind: cases.Asked, What: what, Links: links(q)}, q.Asked, by)
}

// tellAnswered says who answered what.
func tellAnswered(tx *store.Tx, q *store.Question, a run.Answer, at time.Time) error {
	if q.Case == 0 {
		return nil
	}
	said := "no"
	switch {
	case len(a.Value) > 0:
		said = string(a.Value)
	case a.Yes:
		said = "yes"
	}
	what := fmt.Sprintf("%s answered %s: %s", questionRef(q.ID), said, subject(q))
	if a.Note != "" {
		what += " — " + a.Note
	}
	by := cases.By{Kind: cases.ByPerson, Name: a.By, Run: q.Run}
	return tell(tx, q.Tenant, cases.ID(q.Case), cases.Record{Kind: cases.Answered, What: what, Links: links(q)}, at, by)
}

// tellPastQuestions tells a case that was opened in the middle of a run what
// people were asked and answered before.
func tellPastQuestions(tx *store.Tx, start *run.Start) error {
	page, err := store.ListQuestions(&tx.Reader, start.Tenant, store.QuestionFilter{Run: start.Run}, store.Slice{Limit: 1000})
	for i := range page.Items {
		q := &page.Items[i]
		if err != nil {
			return err
		}
		q.Case = start.CaseID
		err = tellAsked(tx, q)
		for _, a := range q.Answers {
			if err == nil {
				err = tellAnswered(tx, q, a.Answer, a.At)
			}
		}
	}
	return err
}

func questionRef(n int64) string { return id.Format(questionCode, n) }

func links(q *store.Question) []string { return []string{questionRef(q.ID), q.Run.String()} }

// subject is what a question is about: the action and its targets, else its title.
func subject(q *store.Question) string {
	if q.Action == "" {
		return q.Title
	}
	return onTargets(q.Action, q.Targets)
}

// clock is a time as the timeline's sentences show it.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// tellEntry says that a change is in force, and how long.
func tellEntry(tx *store.Tx, e *store.LedgerEntry) error {
	ref := guard.EntryID(e.ID).String()
	what := fmt.Sprintf("In force: %s (%s)", onTargets(e.Done, e.Targets), ref)
	switch {
	case e.Problem != "":
		what += "; it cannot be taken back by itself: " + e.Problem
	case e.Due.IsZero():
		what += ", until somebody takes it back"
	default:
		what += ", until " + clock(e.Due)
	}
	by := cases.By{Kind: cases.ByPlaybook, Name: e.Playbook, Run: e.Run, Version: e.Version, Step: e.Step}
	return tell(tx, e.Tenant, cases.ID(e.Case), cases.Record{Kind: cases.Contained, What: what, Links: []string{ref, e.Run.String()}}, e.At, by)
}

// tellContained tells a case that was opened in the middle of a run what the run
// has in force.
func tellContained(tx *store.Tx, start *run.Start) error {
	list, err := store.LedgerOfRun(&tx.Reader, start.Run)
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(list) { // the newest comes first
		if e.State != guard.EntryOpen {
			continue
		}
		e.Case = start.CaseID
		if err := tellEntry(tx, &e); err != nil {
			return err
		}
	}
	return nil
}

// tellTakenBack says that an entry is over, why, and who ended it. Where others
// hold the same target, the change stays in force for them.
func tellTakenBack(tx *store.Tx, e *store.LedgerEntry, at time.Time, held bool) error {
	c := cases.ID(e.Case)
	if c == 0 { // the case was opened after the change
		of, err := store.CaseOfRun(&tx.Reader, e.Run)
		if err != nil || of == 0 {
			return err
		}
		c = of
	}
	ref := guard.EntryID(e.ID).String()
	r := cases.Record{
		Kind: cases.TakenBack, What: fmt.Sprintf("Taken back: %s (%s; %s, by %s)", onTargets(e.Done, e.Targets), ref, words(e.Why), e.TakenBy),
		Links: []string{ref},
	}
	if held {
		r.What = fmt.Sprintf("Over: %s (%s; %s, by %s); others still hold it", onTargets(e.Done, e.Targets), ref, words(e.Why), e.TakenBy)
	}
	if e.TakenRun != 0 {
		r.Links = append(r.Links, e.TakenRun.String())
	}
	return tell(tx, e.Tenant, c, r, at, cases.By{Kind: cases.BySystem, Name: "ledger", Run: e.TakenRun})
}

// tellRepeated says that an alert of a case was reported again.
func tellRepeated(tx *store.Tx, c cases.ID, a *alert.Alert, at time.Time) error {
	r := cases.Record{
		Kind: cases.AlertRepeated, Links: []string{a.ID.String()},
		What: fmt.Sprintf("Alert %s was reported %d times by %s; it is one event, and one alert", a.ID, a.Count, a.Source),
	}
	return tell(tx, a.Tenant, c, r, at, cases.By{Kind: cases.BySystem, Name: "intake"})
}

// tellCasesOfRepeated tells the cases of an alert that it came again: the second
// time, the fourth, the eighth and so on, for a sender that repeats itself for
// ever must not fill a timeline.
func tellCasesOfRepeated(tx *store.Tx, a *alert.Alert, at time.Time) error {
	if bits.OnesCount(uint(a.Count)) != 1 {
		return nil
	}
	in, err := store.CasesOfAlert(&tx.Reader, a.ID)
	if err != nil {
		return err
	}
	for _, c := range in {
		if err := tellRepeated(tx, c, a, at); err != nil {
			return err
		}
	}
	return nil
}
