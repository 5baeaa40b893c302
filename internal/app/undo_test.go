package app_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"riposte/internal/app"
	"riposte/internal/demo/simulated"
	"riposte/internal/httpapi"
)

const brief = `playbook: brief
title: Block an address for a moment
on: [{ manual: true }]
inputs:
  ip: { type: string, format: ip }
steps:
  - id: block
    action: firewall-sim.block_ip
    with: { ip: "${{ inputs.ip }}" }
    retry: { times: 2, every: 1s }
    undo:
      action: firewall-sim.unblock_ip
      with: { ip: "${{ inputs.ip }}" }
      after: AFTER
`

// blockedFor blocks an address for a time and gives the entry that tells of it.
func (x *soc) blockedFor(after string) string {
	x.t.Helper()
	x.publish("brief", strings.Replace(brief, "AFTER", after, 1))
	var r httpapi.Run
	x.send(http.MethodPost, "/api/runs", map[string]any{"playbook": "brief", "inputs": map[string]any{"ip": "198.51.100.9"}}, &r)
	if r = x.ends(r.ID); r.Status != "succeeded" {
		x.t.Fatalf("%s %+v", r.Status, r.Error)
	}
	var list httpapi.List[httpapi.LedgerEntry]
	x.send(http.MethodGet, "/api/ledger?run="+r.ID, nil, &list)
	if len(list.Items) != 1 {
		x.t.Fatalf("%d entries", len(list.Items))
	}
	return list.Items[0].ID
}

func (x *soc) entry(name string) (e httpapi.LedgerEntry) {
	x.t.Helper()
	x.send(http.MethodGet, "/api/ledger/"+name, nil, &e)
	return e
}

func (x *soc) becomes(name, state string) httpapi.LedgerEntry {
	x.t.Helper()
	x.until(name+" being "+state, func() bool { return x.entry(name).State == state })
	return x.entry(name)
}

var wrong = map[string]any{"reason": "wrong"}

func undoOf(entry string) string { return "/api/ledger/" + entry + "/undo" }

func TestWhatItsTimeTookBackIsNotTakenBackAgain(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	entry := x.blockedFor("1s")
	e := x.becomes(entry, "undone")
	if e.TakenBy != "timer" || x.blocks() != 2 {
		t.Errorf("taken back by %q, %d changes", e.TakenBy, x.blocks())
	}
	p := x.refused(http.StatusConflict, http.MethodPost, undoOf(entry), wrong)
	if !strings.Contains(p.Detail, "undone") {
		t.Errorf("the refusal says %q", p.Detail)
	}
	x.refused(http.StatusNotFound, http.MethodPost, "/api/ledger/undo", map[string]any{"run": e.Run, "reason": "wrong"})
	x.as("vic", http.StatusForbidden, http.MethodPost, undoOf(entry), wrong)
	if after := x.entry(entry); x.blocks() != 2 || after.TakenBy != "timer" {
		t.Errorf("%d changes, taken back by %q", x.blocks(), after.TakenBy)
	}
}

func TestTwoWhoTakeBackAtOnceDoItOnce(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	entry := x.blockedFor("1h")
	var all sync.WaitGroup
	codes := make([]int, 6)
	for i := range codes {
		all.Go(func() {
			res, _ := x.ask(http.MethodPost, undoOf(entry), wrong)
			codes[i] = res.StatusCode
		})
	}
	all.Wait()
	slices.Sort(codes)
	if want := []int{202, 409, 409, 409, 409, 409}; !slices.Equal(codes, want) {
		t.Errorf("the answers are %v, want %v", codes, want)
	}
	x.becomes(entry, "undone")
	if x.blocks() != 2 {
		t.Errorf("%d changes", x.blocks())
	}
}

func TestWhatFellDueWhileTheServerWasDownIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	entry := x.blockedFor("2s")
	due := x.entry(entry).Due
	x.stop()
	if x.blocks() != 1 {
		t.Fatalf("%d changes before the time is over", x.blocks())
	}
	x.until("the time that it is due", func() bool { return time.Now().After(due) })
	x.server, _ = serve(t, x.data, x.password, x.config)
	began := time.Now()
	if e := x.becomes(entry, "undone"); e.TakenBy != "timer" || time.Since(began) > 5*time.Second {
		t.Errorf("taken back by %q after %s", e.TakenBy, time.Since(began))
	}
	x.stop()
	x.server, _ = serve(t, x.data, x.password, x.config)
	x.refused(http.StatusConflict, http.MethodPost, undoOf(entry), wrong)
	if x.blocks() != 2 {
		t.Errorf("%d changes", x.blocks())
	}
}

func TestAnUndoThatFailsIsTriedAgainAndThenLeftToAPerson(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	entry := x.blockedFor("1h")
	if err := x.products.Firewall.SetFaults(simulated.Fault{Kind: simulated.Broken, Status: 503}); err != nil {
		t.Fatal(err)
	}
	x.send(http.MethodPost, undoOf(entry), wrong, nil)
	e := x.becomes(entry, "failed")
	var undo httpapi.Run
	x.send(http.MethodGet, "/api/runs/"+e.UndoRun, nil, &undo)
	if undo.Status != "failed" || undo.Steps[0].Attempts != 2 {
		t.Errorf("the undo %s after %d attempts", undo.Status, undo.Steps[0].Attempts)
	}
	if e.Problem == "" {
		t.Errorf("the entry says %+v", e)
	}
	// The run has no case: the task gets one, the same for each try that fails.
	x.send(http.MethodPost, undoOf(entry), wrong, nil)
	x.until("a second failure", func() bool { return x.entry(entry).State == "failed" && x.entry(entry).UndoRun != e.UndoRun })
	var open httpapi.List[httpapi.Case]
	x.send(http.MethodGet, "/api/cases", nil, &open)
	if len(open.Items) != 1 || open.Items[0].OpenTasks != 2 || open.Items[0].Title != "Not taken back: firewall-sim.block_ip ("+entry+")" {
		t.Fatalf("the cases are %+v", open.Items)
	}
	var whole httpapi.Case
	x.send(http.MethodGet, "/api/cases/"+open.Items[0].ID, nil, &whole)
	if len(whole.Tasks) != 2 || whole.Tasks[0].Title != "Take back "+entry+" by hand" || !strings.Contains(whole.Tasks[0].Text, "503") {
		t.Errorf("the tasks are %+v", whole.Tasks)
	}
	if err := x.products.Firewall.SetFaults(); err != nil {
		t.Fatal(err)
	}
	x.send(http.MethodPost, undoOf(entry), wrong, nil)
	if e := x.becomes(entry, "undone"); x.blocks() != 2 || e.Problem != "" {
		t.Errorf("%d changes, problem %q", x.blocks(), e.Problem)
	}
}

func TestAnApprovalThatExpiredIsRefused(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	x.publish("blocking", strings.Replace(blocking, "within: 1h", "within: 1s", 1))
	run, approval := x.waiting("ana", "198.51.100.9")
	if r := x.ends(run); r.Status != "timed_out" && r.Status != "denied" {
		t.Errorf("the run ended as %s %+v", r.Status, r.Error)
	}
	x.as("ben", http.StatusConflict, http.MethodPost, "/api/approvals/"+approval+"/approve", map[string]any{})
	x.as("ben", http.StatusConflict, http.MethodPost, "/api/approvals/"+approval+"/deny", map[string]any{})
	if r := x.ends(run); r.Status == "succeeded" || x.blocks() != 0 {
		t.Errorf("%s, %d changes", r.Status, x.blocks())
	}
}

func TestWhatChangedSinceItWasApprovedIsAskedAnew(t *testing.T) {
	t.Parallel()
	x := startSOC(t)
	x.stop()
	shipped, err := os.ReadFile("../../content/connectors/firewall-sim/connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	with := func(text string) { // the connector is another one from now on
		t.Helper()
		path := filepath.Join(folder, "firewall-sim", "connector.yaml")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	with(string(shipped))
	restart := func() {
		t.Helper()
		x.stop()
		x.server, _ = serve(t, x.data, x.password, x.config, func(c *app.Config) { c.Connectors = folder })
	}
	restart()
	x.publish("blocking", strings.NewReplacer("firewall-sim.block_ip", "block_ip", "firewall-sim.unblock_ip", "unblock_ip").Replace(blocking))
	run, approval := x.waiting("ana", "198.51.100.9")
	x.stop()
	with(strings.Replace(string(shipped), "version: 1.0.0", "version: 1.0.1", 1))
	restart()
	x.as("ben", http.StatusOK, http.MethodPost, "/api/approvals/"+approval+"/approve", map[string]any{})
	var open struct{ Items []httpapi.Approval }
	var r httpapi.Run
	x.until("another question", func() bool {
		x.send(http.MethodGet, "/api/approvals?state=open", nil, &open)
		x.send(http.MethodGet, "/api/runs/"+run, nil, &r)
		return len(open.Items) == 1 || !r.Ended.IsZero()
	})
	if len(open.Items) != 1 {
		t.Fatalf("it %s without another question", r.Status)
	}
	if open.Items[0].ID == approval || x.blocks() != 0 {
		t.Fatalf("%s is asked, %d changes", open.Items[0].ID, x.blocks())
	}
	x.as("ben", http.StatusConflict, http.MethodPost, "/api/approvals/"+approval+"/approve", map[string]any{})
	x.as("ben", http.StatusOK, http.MethodPost, "/api/approvals/"+open.Items[0].ID+"/deny", map[string]any{})
	if r := x.ends(run); r.Status == "succeeded" || x.blocks() != 0 {
		t.Errorf("%s, %d changes", r.Status, x.blocks())
	}
}
