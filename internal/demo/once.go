package demo

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Once plays the whole demo without a person: it sends all samples, tries what
// the guard must refuse, answers the questions by a script, waits until the
// blocks have been taken back, gives the disabled account back, and compares
// what the products say with what should have happened. An error means that it
// could not be played; what went otherwise than it should is in the summary.
func (d *Demo) Once(ctx context.Context, within time.Duration) (*Summary, error) {
	began := time.Now()
	s := &Summary{Problems: []string{}}
	in, err := d.sendAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("send the samples: %w", err)
	}
	s.AlertsIn, s.Alerts, s.Duplicates = in.Received, in.Accepted, in.Duplicates
	d.say("%d alerts sent: %d new, %d duplicates.", in.Received, in.Accepted, in.Duplicates)
	if err := d.tempt(ctx); err != nil {
		return nil, err
	}
	sc := &script{d: d, answered: map[string]bool{}}
	if err := d.settle(ctx, sc, began.Add(within), s); err != nil {
		return nil, err
	}
	if len(s.Problems) == 0 { // else it is late already
		if err := d.giveBack(ctx, s); err != nil {
			return nil, err
		}
		if err := d.settle(ctx, sc, began.Add(within), s); err != nil {
			return nil, err
		}
	}
	s.problems(sc.wrong...)
	if err := d.compare(ctx, s); err != nil {
		return nil, err
	}
	if err := d.count(ctx, s); err != nil {
		return nil, err
	}
	s.Seconds = float64(time.Since(began).Round(100*time.Millisecond)) / float64(time.Second)
	s.Confirmed = len(s.Problems) == 0
	return s, nil
}

// temptations are runs that somebody starts by mistake: each would hit something
// protected, and the guard has to refuse it.
var temptations = []struct {
	playbook string
	inputs   map[string]any
	step     string // that must be denied
}{
	{"demo-triage-address", map[string]any{"ip": "10.20.30.40", "banned": true}, "block"},
	{"demo-check-login", map[string]any{"user": "breakglass", "ip": "198.51.100.23"}, "disable"},
	{"demo-contain-host", map[string]any{"host": "dc1", "sha256": malware}, "isolate"},
}

// malware is the file that the samples' scanner found.
const malware = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"

func (d *Demo) tempt(ctx context.Context) error {
	for _, t := range temptations {
		body := map[string]any{"playbook": t.playbook, "inputs": t.inputs}
		if err := d.Client.call(ctx, http.MethodPost, "/api/runs", body, nil); err != nil {
			return fmt.Errorf("start %s by hand: %w", t.playbook, err)
		}
	}
	return nil
}

// question is what people are asked.
type question struct {
	ID, Kind, State, Result, Title, Action, Hash, Run, Step string
	Targets                                                 []target
	Answers                                                 []struct {
		By  string
		At  time.Time
		Yes *bool
	}
}

// target is what an action is done to.
type target struct{ Kind, Value string }

// about is the action that a question is about, with its first target.
func (q question) about() string { return onFirst(q.Action, q.Targets) }

func onFirst(action string, targets []target) string {
	if len(targets) == 0 {
		return action
	}
	return action + " " + targets[0].Value
}

// answers is the script: what is agreed to and what is not. Whoever is asked
// about anything else says no.
var answers = map[string]bool{
	"edr-sim.isolate ws-17":            true,
	"edr-sim.isolate ws-23":            false, // it has been cleaned already
	"directory-sim.disable_user alice": true,
}

// script answers questions.
type script struct {
	d        *Demo
	answered map[string]bool
	wrong    []string
}

// answer answers all open questions, and says how many there were.
func (s *script) answer(ctx context.Context) (int, error) {
	open, err := list[question](ctx, s.d.Client, "/api/approvals", url.Values{"state": {"open"}})
	if err != nil {
		return 0, err
	}
	for _, q := range open {
		if s.answered[q.ID] {
			continue
		}
		s.answered[q.ID] = true
		yes, expected := answers[q.about()]
		if !expected || q.Kind != "approval" {
			s.wrong = append(s.wrong, fmt.Sprintf("nobody should have been asked %s (%s): %s %s", q.ID, q.Kind, q.about(), q.Title))
		}
		verb, note := "deny", "It has been cleaned already."
		if yes {
			verb, note = "approve", "Go on."
		}
		if err := s.d.Client.call(ctx, http.MethodPost, "/api/approvals/"+q.ID+"/"+verb, map[string]string{"note": note, "hash": q.Hash}, nil); err != nil {
			return 0, fmt.Errorf("answer %s: %w", q.ID, err)
		}
		s.d.say("%s: %s, %s.", q.ID, q.about(), map[bool]string{true: "approved", false: "denied"}[yes])
	}
	return len(open), nil
}

// look is how often the demo looks whether it is over.
const look = 250 * time.Millisecond

// settle answers questions until nothing is under way and nothing is due to be
// taken back soon.
func (d *Demo) settle(ctx context.Context, sc *script, until time.Time, s *Summary) error {
	for {
		asked, err := sc.answer(ctx)
		if err != nil {
			return err
		}
		busy, why, err := d.busy(ctx)
		if err != nil {
			return err
		}
		if asked == 0 && !busy {
			return nil
		}
		if time.Now().After(until) {
			s.problems("it was not over in time: " + why)
			return nil
		}
		if !pace(ctx, look) {
			return fmt.Errorf("interrupted: %w", ctx.Err())
		}
	}
}

// soon is what counts as due to be taken back while the demo lasts.
const soon = 10 * time.Minute

// underWay are the statuses of runs that have not ended.
var underWay = []string{"pending", "running", "waiting"}

// busy says whether something is still going on, and what.
func (d *Demo) busy(ctx context.Context) (bool, string, error) {
	for _, status := range underWay {
		runs, err := list[runView](ctx, d.Client, "/api/runs", url.Values{"status": {status}})
		if err != nil {
			return false, "", err
		}
		if len(runs) > 0 {
			return true, fmt.Sprintf("%d runs are %s, such as %s of %s", len(runs), status, runs[0].ID, runs[0].Playbook), nil
		}
	}
	for _, state := range []string{"open", "taken"} {
		entries, err := list[entryView](ctx, d.Client, "/api/ledger", url.Values{"state": {state}})
		if err != nil {
			return false, "", err
		}
		for _, e := range entries {
			if state == "taken" || !e.Due.IsZero() && e.Due.Before(time.Now().Add(soon)) {
				return true, fmt.Sprintf("%s of %s is %s", e.Done, e.ID, state), nil
			}
		}
	}
	return false, "", nil
}

// giveBack takes the disabling of accounts back, as a person does: it is no
// longer needed.
func (d *Demo) giveBack(ctx context.Context, s *Summary) error {
	open, err := list[entryView](ctx, d.Client, "/api/ledger", url.Values{"state": {"open"}})
	if err != nil {
		return err
	}
	mine := slices.DeleteFunc(open, func(e entryView) bool { return e.Done != "directory-sim.disable_user" })
	if len(mine) == 0 {
		s.problems("the ledger holds no disabled account")
	}
	for _, e := range mine {
		body := map[string]string{"reason": "no_longer_needed", "note": "The password is a new one."}
		if err := d.Client.call(ctx, http.MethodPost, "/api/ledger/"+e.ID+"/undo", body, nil); err != nil {
			return fmt.Errorf("take %s back: %w", e.ID, err)
		}
		d.say("%s: the account is given back.", e.ID)
	}
	return nil
}
