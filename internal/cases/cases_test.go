package cases_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/cases"
	"riposte/internal/fault"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ana  = cases.By{Kind: cases.ByPerson, Name: "ana"}
	play = cases.By{Kind: cases.ByPlaybook, Name: "block-ip", Run: 7, Step: "tell", Version: 3}
)

func ptr[T any](v T) *T { return &v }

// file keeps a case and its parts as a store would.
type file struct {
	t     *testing.T
	c     cases.Case
	tasks map[int]*cases.Task
	notes map[int]*cases.Note
	links map[any]*cases.AlertLink
	seen  map[string]*cases.Observable
	story []cases.Entry
	now   time.Time
}

func opened(t *testing.T, o cases.Open) *file {
	t.Helper()
	f := &file{t: t, now: noon, tasks: map[int]*cases.Task{}, notes: map[int]*cases.Note{}, links: map[any]*cases.AlertLink{}, seen: map[string]*cases.Observable{}}
	if o.Severity == 0 {
		o.Title, o.Severity = "Scan of web-1", 2
	}
	f.do(ana, o)
	f.c.ID = 417
	return f
}

// parts finds what a change touches.
func (f *file) parts(ch cases.Change) (p cases.Parts) {
	want := ch.Part()
	p.Task, p.Note, p.Alert, p.Observable = f.tasks[want.Task], f.notes[want.Note], f.links[want.Alert], f.seen[want.Type+":"+want.Value]
	for _, t := range f.tasks {
		if want.ForTask && want.Key != "" && t.Key == want.Key {
			p.Task = t
		}
	}
	for _, n := range f.notes {
		if !want.ForTask && want.Key != "" && n.Key == want.Key {
			p.Note = n
		}
	}
	return p
}

// try does a change a minute after the last one and keeps what it did.
func (f *file) try(by cases.By, ch cases.Change) (cases.Applied, error) {
	f.now = f.now.Add(time.Minute)
	done, err := cases.Apply(f.c, f.parts(ch), ch, f.now, by)
	if err != nil {
		return done, err
	}
	f.c = done.Case
	f.story = append(f.story, done.Entries...)
	if done.Task != nil {
		f.tasks[done.Task.N] = done.Task
	}
	if done.Note != nil {
		f.notes[done.Note.N] = done.Note
	}
	if done.Alert != nil {
		f.links[done.Alert.Alert] = done.Alert
	}
	if done.Unlinked != nil {
		delete(f.links, done.Unlinked.Alert)
	}
	if o := done.Observable; o != nil {
		f.seen[o.Type+":"+o.Value] = o
	}
	return done, nil
}

func (f *file) do(by cases.By, list ...cases.Change) (done cases.Applied) {
	f.t.Helper()
	for _, ch := range list {
		var err error
		if done, err = f.try(by, ch); err != nil {
			f.t.Fatalf("%T: %v", ch, err)
		}
	}
	return done
}

// refused wants a change to be refused, and the case to stay as it is.
func (f *file) refused(kind error, ch cases.Change, says string) {
	f.t.Helper()
	before, _ := json.Marshal(f.c)
	_, err := f.try(ana, ch)
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), says) {
		f.t.Errorf("%T: %v, want %q (%v)", ch, err, says, kind)
	}
	if after, _ := json.Marshal(f.c); string(after) != string(before) {
		f.t.Errorf("a refused %T changed the case:\n%s\n%s", ch, before, after)
	}
}

func (f *file) kinds() (list []cases.EntryKind) {
	for _, e := range f.story {
		list = append(list, e.Kind)
	}
	return list
}

func TestACaseGoesFromOpenToClosedAndBack(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	f.refused(fault.Conflict, cases.Reopen{}, "it is open")
	f.do(ana, cases.Close{Verdict: cases.TruePositive, Reason: "blocked"})
	if f.c.Status != cases.IsClosed || f.c.Closed != f.now || f.c.Reason != "blocked" || f.c.Verdict != cases.TruePositive {
		t.Errorf("closed: %+v", f.c)
	}
	version := f.c.Version
	f.do(ana, cases.Close{Verdict: cases.TruePositive, Reason: "blocked"}) // no news
	if f.c.Version != version {
		t.Error("closing twice in the same way is a change")
	}
	f.refused(fault.Conflict, cases.Close{Verdict: cases.FalsePositive}, "closed as true_positive already; reopen it first")
	f.do(ana, cases.Reopen{Reason: "it came back"})
	if f.c.Status != cases.IsOpen || !f.c.Closed.IsZero() || f.c.Reason != "" || f.c.Verdict != cases.TruePositive {
		t.Errorf("reopened: %+v", f.c)
	}
	f.do(ana, cases.Close{Verdict: cases.FalsePositive})
	if diff := cmp.Diff([]cases.EntryKind{cases.Opened, cases.Closed, cases.Reopened, cases.Closed}, f.kinds()); diff != "" {
		t.Error(diff)
	}
	last := f.story[len(f.story)-1]
	if last.What != "Case closed as false positive" || string(last.Old) != `"true_positive"` || string(last.New) != `"false_positive"` {
		t.Errorf("the timeline says %+v", last)
	}
}

func TestACaseIsClosedWithAVerdictOnly(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	f.refused(fault.Invalid, cases.Close{}, "it needs a verdict")
	f.refused(fault.Invalid, cases.Close{Verdict: "bad"}, `no verdict "bad"; it is one of true_positive, benign_positive, false_positive, undetermined`)
	f.refused(fault.Invalid, cases.Close{Verdict: cases.FalsePositive, Reason: strings.Repeat("x", 1<<20+1)}, "the reason has")
	for _, v := range cases.Verdicts {
		f := opened(t, cases.Open{})
		f.do(ana, cases.Close{Verdict: v})
		f.refused(fault.Conflict, cases.Set{Verdict: ptr(cases.Verdict(""))}, "closed case has a verdict")
		f.do(ana, cases.Set{Verdict: ptr(cases.Undetermined)}) // judged anew
	}
}

func TestOpenTasksKeepACaseOpen(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	f.do(ana, cases.AddTask{Title: "look"}, cases.AddTask{Title: "call"}, cases.SetTask{N: 1, Done: ptr(true)})
	f.refused(fault.Conflict, cases.Close{Verdict: cases.FalsePositive}, "1 open tasks")
	f.do(ana, cases.Close{Verdict: cases.FalsePositive, Even: true})
	if f.c.OpenTasks != 1 || !f.tasks[2].Done.IsZero() {
		t.Error("closing even so has finished the task")
	}
	f.do(ana, cases.AddTask{Title: "an undo failed"}) // there is work, whatever the case is
	if f.c.Status != cases.IsClosed || f.c.OpenTasks != 2 || f.c.Tasks != 3 {
		t.Errorf("%+v", f.c)
	}
}

func TestATaskIsDoneAndOpenAgainOnceEach(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	due := time.Date(2026, 3, 2, 9, 0, 0, 0, time.FixedZone("", 3600))
	f.do(play, cases.AddTask{Title: "look", Assignee: "role:analyst", Due: due, Evidence: []string{"", "blob:1"}, Key: "R-7/1"},
		cases.AddTask{Title: "look again", Key: "R-7/1"})
	want := &cases.Task{N: 1, Title: "look", Assignee: "role:analyst", Due: due.UTC(), Created: noon.Add(2 * time.Minute), By: play, Evidence: []string{"blob:1"}, Key: "R-7/1"}
	if diff := cmp.Diff(want, f.tasks[1]); diff != "" || f.c.Tasks != 1 {
		t.Errorf("%d tasks\n%s", f.c.Tasks, diff)
	}
	f.do(ana, cases.SetTask{N: 1, Done: ptr(true)}, cases.SetTask{N: 1, Done: ptr(true)})
	if f.c.OpenTasks != 0 || f.tasks[1].DoneBy != "ana" || f.tasks[1].Done != noon.Add(4*time.Minute) {
		t.Errorf("%d open; %+v", f.c.OpenTasks, f.tasks[1])
	}
	f.do(ana, cases.SetTask{N: 1, Done: ptr(false), Due: ptr(due)}) // the same moment in another zone is no news
	if f.c.OpenTasks != 1 || f.tasks[1].DoneBy != "" || !f.tasks[1].Done.IsZero() {
		t.Errorf("%d open; %+v", f.c.OpenTasks, f.tasks[1])
	}
	f.do(ana, cases.SetTask{N: 1, Assignee: ptr("ben"), Due: ptr(time.Time{})})
	if diff := cmp.Diff([]cases.EntryKind{cases.Opened, cases.TaskAdded, cases.TaskDone, cases.TaskReopened, cases.TaskChanged, cases.TaskChanged}, f.kinds()); diff != "" {
		t.Error(diff)
	}
	f.refused(fault.NotFound, cases.SetTask{N: 2, Done: ptr(true)}, "change task 2 of case C-417")
	f.refused(fault.Invalid, cases.SetTask{N: 1, Title: ptr(" ")}, "no title")
	f.refused(fault.Invalid, cases.AddTask{}, "the task has no title")
}

func TestTheTimelineSaysWhoDidWhatFromWhatToWhat(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	f.do(play, cases.Set{Severity: ptr(4), Owner: ptr("ana")})
	f.do(ana, cases.Set{Severity: ptr(4), Owner: ptr(""), AddTags: []string{" vip ", "web"}})
	want := []cases.Entry{
		{N: 2, By: play, Kind: cases.Changed, What: "Case: severity is now 4", Field: "severity", Old: json.RawMessage("2"), New: json.RawMessage("4")},
		{N: 3, By: play, Kind: cases.Changed, What: "Case: owner is now ana", Field: "owner", Old: json.RawMessage(`""`), New: json.RawMessage(`"ana"`)},
		{N: 4, By: ana, Kind: cases.Changed, What: "Case: owner is now empty", Field: "owner", Old: json.RawMessage(`"ana"`), New: json.RawMessage(`""`)},
		{N: 5, By: ana, Kind: cases.Changed, What: "Case: tags is now vip, web", Field: "tags", Old: json.RawMessage("null"), New: json.RawMessage(`["vip","web"]`)},
	}
	for i := range want {
		want[i].At = noon.Add(time.Duration(2+i/2) * time.Minute)
	}
	if diff := cmp.Diff(want, f.story[1:]); diff != "" {
		t.Error(diff)
	}
	if f.c.Version != 3 || f.c.Entries != 5 || f.c.Updated != f.now {
		t.Errorf("version %d, %d entries, updated %s", f.c.Version, f.c.Entries, f.c.Updated)
	}
}

func TestAChangeThatAltersNothingKeepsTheVersion(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{Title: "x", Severity: 3, Tags: []string{"web"}, Fields: map[string]json.RawMessage{"site": json.RawMessage(`"north"`)}})
	f.do(ana, cases.AddAlert{Alert: 5}, cases.AddObservable{Type: "ip", Value: "203.0.113.9", Role: "source"}, cases.AddNote{Text: "n", Key: "k"}, cases.AddTask{Title: "t"})
	version := f.c.Version
	for _, ch := range []cases.Change{
		cases.Set{}, cases.Set{Title: ptr("x"), Severity: ptr(3), AddTags: []string{"web "}, RemoveTags: []string{"absent"}},
		cases.Set{Fields: map[string]json.RawMessage{"site": json.RawMessage(`"north"`), "absent": json.RawMessage(" null ")}},
		cases.AddAlert{Alert: 5, Severity: 5}, cases.AddObservable{Type: "ip", Value: "203.0.113.9", Role: "source"},
		cases.AddNote{Text: "other", Key: "k"}, cases.EditNote{N: 1, Text: "n"}, cases.SetTask{N: 1, Title: ptr("t"), Done: ptr(false)},
	} {
		if done := f.do(ana, ch); len(done.Entries) != 0 || f.c.Version != version {
			t.Errorf("%#v: version %d, %+v", ch, f.c.Version, done.Entries)
		}
	}
}

func TestWhatMakesNoSenseIsRefusedWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 501)
	many := make([]string, 201)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	f := opened(t, cases.Open{})
	for says, ch := range map[string]cases.Change{
		"the case has no title":                        cases.Set{Title: ptr("\t"), Owner: ptr("ana")},
		"a title of 501 bytes":                         cases.Set{Title: &long},
		"the title of the case is not UTF-8":           cases.Set{Title: ptr("a\xffb")},
		"the owner is not UTF-8":                       cases.Set{Owner: ptr("a\xffb")},
		"the category is not UTF-8":                    cases.Set{Category: ptr("a\xffb")},
		"severity is 6":                                cases.Set{Owner: ptr("ana"), Severity: ptr(6)},
		"severity is 9":                                cases.AddAlert{Alert: 1, Severity: 9},
		`no TLP "purple"`:                              cases.Set{TLP: ptr("purple")},
		`no PAP "amber+strict"`:                        cases.Set{PAP: ptr("amber+strict")},
		"a tag has 1 to 200 bytes":                     cases.Set{Owner: ptr("ana"), AddTags: []string{" "}},
		"at most 200 tags":                             cases.Set{AddTags: many},
		`tag "a\xffb" is not UTF-8`:                    cases.Set{AddTags: []string{"a\xffb"}},
		"field x holds no JSON":                        cases.Set{Owner: ptr("ana"), Fields: map[string]json.RawMessage{"a": json.RawMessage("1"), "x": json.RawMessage("{")}},
		"a note: it is empty":                          cases.AddNote{Text: "\n"},
		"which one is not said":                        cases.AddAlert{},
		"a type and a value":                           cases.AddObservable{Type: "ip"},
		"it is 0 to 100":                               cases.AddObservable{Type: "ip", Value: "x", Score: 101},
		`no verdict of an observable "false_positive"`: cases.AddObservable{Type: "ip", Value: "x", Verdict: "false_positive"},
		"a file or a link":                             cases.AddEvidence{Title: "x"},
		"needs a kind and a sentence":                  cases.Record{What: "x"},
	} {
		f.refused(fault.Invalid, ch, says)
	}
	f.refused(fault.NotFound, cases.EditNote{N: 1, Text: "x"}, "edit note 1 of case C-417")
	f.refused(fault.NotFound, cases.RemoveAlert{Alert: 3}, "take alert A-3 out of case C-417")
	f.refused(fault.Conflict, cases.Open{Title: "x", Severity: 1}, "it is there already")
	for says, o := range map[string]cases.Open{
		"has no title": {Severity: 1}, "severity is 0": {Title: "x"}, "field x holds no JSON": {Title: "x", Severity: 1, Fields: map[string]json.RawMessage{"x": nil}},
	} {
		if _, err := cases.Apply(cases.Case{}, cases.Parts{}, o, noon, ana); !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("open: %v, want %q", err, says)
		}
	}
	if _, err := cases.Apply(cases.Case{}, cases.Parts{}, cases.Set{}, noon, ana); !errors.Is(err, fault.NotFound) {
		t.Errorf("a case that is not there: %v", err)
	}
}

func TestTheCaseThatWasGivenStaysAsItWas(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{Title: "x", Severity: 1, Tags: []string{"a", "c"}, Fields: map[string]json.RawMessage{"n": json.RawMessage("1")}})
	before := f.c
	tags, fields := strings.Join(before.Tags, ","), len(before.Fields)
	f.do(ana, cases.Set{AddTags: []string{"b"}, RemoveTags: []string{" a"}, Fields: map[string]json.RawMessage{"n": json.RawMessage("null"), "m": json.RawMessage("{}")}})
	if strings.Join(before.Tags, ",") != tags || len(before.Fields) != fields || string(before.Fields["n"]) != "1" {
		t.Errorf("the old case is %v %v", before.Tags, before.Fields)
	}
	if strings.Join(f.c.Tags, ",") != "b,c" || len(f.c.Fields) != 1 || string(f.c.Fields["m"]) != "{}" {
		t.Errorf("the new case is %v %v", f.c.Tags, f.c.Fields)
	}
}

func TestMoreIsLearntOfAnObservable(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	f.do(play, cases.AddObservable{Type: "ip", Value: "203.0.113.9", Role: "source", Note: "scanner"})
	f.do(ana, cases.AddObservable{Type: "ip", Value: "203.0.113.9", Verdict: "malicious", Score: 90})
	want := &cases.Observable{Type: "ip", Value: "203.0.113.9", Role: "source", Verdict: "malicious", Score: 90, Note: "scanner",
		Added: noon.Add(2 * time.Minute), Updated: noon.Add(3 * time.Minute)}
	if diff := cmp.Diff(want, f.seen["ip:203.0.113.9"]); diff != "" || f.c.Observables != 1 {
		t.Errorf("%d observables\n%s", f.c.Observables, diff)
	}
	f.do(ana, cases.AddObservable{Type: "domain", Value: "203.0.113.9"})
	if f.c.Observables != 2 {
		t.Error("another type is another observable")
	}
}

func TestAlertsRaiseTheSeverityAndNeverLowerIt(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	f.do(play, cases.AddAlert{Alert: 1, Title: "a", Severity: 4}, cases.AddAlert{Alert: 2, Severity: 1}, cases.AddAlert{Alert: 1, Severity: 5}, cases.RemoveAlert{Alert: 1})
	if f.c.Severity != 4 || f.c.Alerts != 1 {
		t.Errorf("severity %d, %d alerts", f.c.Severity, f.c.Alerts)
	}
	if e := f.story[1]; e.What != "Alert A-1 added: a" || len(e.Links) != 1 || e.Links[0] != "A-1" {
		t.Errorf("%+v", e)
	}
	if e := f.story[3]; e.What != "Alert A-2 added" {
		t.Errorf("an alert without a title: %q", e.What)
	}
}

func TestASentenceIsShortAndTheEntryHoldsTheWhole(t *testing.T) {
	t.Parallel()
	f := opened(t, cases.Open{})
	whole := strings.Repeat("größer\n", 100)
	done := f.do(ana, cases.AddNote{Text: whole})
	var kept string
	if err := json.Unmarshal(done.Entries[0].New, &kept); err != nil || kept != whole {
		t.Errorf("%q, %v", kept, err)
	}
	if what := done.Entries[0].What; len([]rune(what)) != 120 || strings.Contains(what, "\n") || !strings.HasSuffix(what, "…") {
		t.Errorf("%q", what)
	}
	f.do(ana, cases.EditNote{N: 1, Text: "short"})
	if n := f.notes[1]; n.Text != "short" || n.Edited != f.now || n.By != ana || string(f.story[2].Old) == "" {
		t.Errorf("%+v", n)
	}
}
