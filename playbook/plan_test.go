package playbook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"riposte/connector"
)

func mustLoad(t testing.TB, text string) *Plan {
	t.Helper()
	plan, all := Load("", []byte(text), testOptions())
	if plan == nil {
		for _, d := range all {
			t.Error(d)
		}
		t.FailNow()
	}
	return plan
}

func TestTheShippedPlaybooksCheckWithFindingsOnly(t *testing.T) {
	files, err := filepath.Glob("../content/playbooks/*.playbook.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("playbooks found: %d, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plan, all := Load(file, b, Options{})
		if plan == nil || HasErrors(all) {
			t.Errorf("%s: %v", file, all)
		}
	}
}

const order = `
playbook: x-y
title: Order
inputs: { ips: { type: array, items: { type: string }, default: [] } }
steps:
  - id: outer
    for_each: inputs.ips
    do:
      - id: inner
        action: fw.block_ip
        with: { ip: "${{ item }}" }
        on_error:
          - id: handler
            wait: 1s
      - id: loop
        while: index < 2
        do:
          - id: deep
            wait: 1s
  - id: choose
    switch: len(inputs.ips)
    cases:
      "1":
        - id: one
          wait: 1s
    else:
      - id: other
        wait: 1s
    on_error: undo
on_error:
  - id: last
    wait: 1s
finally:
  - id: end
    wait: 1s
`

func TestNodesStandInTheOrderOfTheText(t *testing.T) {
	plan := mustLoad(t, order)
	var got []string
	for _, n := range plan.Nodes {
		got = append(got, fmt.Sprintf("%d %s end %d parent %d loop %d", n.ID, n.Step, n.End, n.Parent, n.Loop))
	}
	want := []string{
		"0 outer end 5 parent -1 loop -1",
		"1 inner end 3 parent 0 loop 0",
		"2 handler end 3 parent 1 loop 0",
		"3 loop end 5 parent 0 loop 0",
		"4 deep end 5 parent 3 loop 3",
		"5 choose end 8 parent -1 loop -1",
		"6 one end 7 parent 5 loop -1",
		"7 other end 8 parent 5 loop -1",
		"8 last end 9 parent -1 loop -1",
		"9 end end 10 parent -1 loop -1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]NodeID{{0, 5}, {8}, {9}}, [][]NodeID{plan.Body, plan.OnError.Do, plan.Finally}); diff != "" {
		t.Error(diff)
	}
	if plan.Nodes[5].OnError.Kind != UndoBlock || plan.Nodes[1].OnError.Kind != Steps {
		t.Error("handlers are wrong")
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	plan := mustLoad(t, `
playbook: x-y
title: Defaults
on:
  - alert: alert.severity > 3
  - webhook: hook
  - schedule: "0 6 * * *"
steps:
  - action: fw.block_ip
    with: { ip: 10.0.0.1 }
    approve: role:analyst
    retry: { times: 3, every: 10m }
    rate: 30/m
  - action: edr.kill
    with: { pid: 4 }
    saves: 0s
  - for_each: "[1]"
    do: []
  - while: "false"
    do: []
  - ask: Why?
    to: ann
  - playbook: enrich
    with: { value: x }
`)
	block, kill := plan.Nodes[0], plan.Nodes[1]
	need, _ := block.Action.Approve.Need.Const()
	got := []any{
		plan.Timeout.Fixed, block.Timeout.Fixed, kill.Timeout.Fixed, block.Saves.Fixed, kill.Saves.Fixed,
		need, block.Action.Approve.Within.Fixed, block.Action.Retry.Times, block.Action.Retry.Every.Fixed, block.Action.Retry.Backoff,
		kill.Action.Retry.Times, kill.Action.Retry.Every.Fixed, *block.Action.Rate,
		plan.Nodes[2].ForEach.As, plan.Nodes[2].ForEach.AtOnce, plan.Nodes[2].Timeout.Fixed, plan.Nodes[3].While.Max,
		plan.Nodes[4].Ask.Within.Fixed, plan.Nodes[5].Timeout.Fixed, plan.Nodes[5].Call.Retry.Times,
		plan.Triggers[0].Event, plan.Triggers[1].Auth, plan.Triggers[2].Zone,
	}
	want := []any{
		24 * time.Hour, 20 * time.Second, 60 * time.Second, 5 * time.Minute, time.Duration(0),
		1, 4 * time.Hour, 3, 10 * time.Minute, 2.0, 1, 5 * time.Second, Rate{30, time.Minute},
		"item", 1, time.Duration(0), 100, 24 * time.Hour, time.Duration(0), 1, "new", "token", "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUndoIsTheStepsOwnElseTheActions(t *testing.T) {
	plan := mustLoad(t, `
playbook: x-y
title: Undo
steps:
  - action: fw.block_ip
    with: { ip: 10.0.0.1 }
  - action: fw.block_ip
    with: { ip: 10.0.0.1 }
    undo: { action: fw.unblock_ip, with: { rule: "${{ output.rule_id }}" }, after: 0s }
  - action: edr.kill
    with: { pid: 4 }
    undo: { playbook: enrich, with: { value: x } }
  - action: edr.kill
    with: { pid: 4 }
`)
	type undo struct {
		Own      bool
		Action   string
		Playbook string
		After    time.Duration
		HasAfter bool
		Spec     bool
	}
	var got []undo
	for _, n := range plan.Nodes {
		if u := n.Action.Undo; u != nil {
			got = append(got, undo{u.Own, u.Action, u.Playbook, u.After.Fixed, u.HasAfter, u.Spec != nil})
		}
	}
	want := []undo{
		{false, "fw.unblock_ip", "", 24 * time.Hour, true, true},
		{true, "fw.unblock_ip", "", 0, true, true},
		{true, "", "enrich", 0, false, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if plan.Nodes[3].Action.Undo != nil {
		t.Error("an undo came out of nowhere")
	}
}

func TestTheImpactThatCountsIsInThePlan(t *testing.T) {
	plan := mustLoad(t, `
playbook: x-y
title: Impact
inputs: { how: { type: string } }
steps:
  - action: http.request
    with: { url: "https://example.com", method: GET }
  - action: http.request
    with: { url: "https://example.com", method: "${{ inputs.how }}" }
  - action: case.note
    with: { text: x }
    impact: change
  - action: nowhere.act
  - playbook: wipe
    with: { host: h }
`)
	type impact struct {
		Impact connector.Impact
		Raised bool
	}
	var got []impact
	for _, n := range plan.Nodes {
		if n.Action != nil {
			got = append(got, impact{n.Action.Impact, n.Action.Raised})
		} else {
			got = append(got, impact{n.Call.Impact, false})
		}
	}
	want := []impact{{connector.Read, false}, {connector.Change, true}, {connector.Change, true}, {connector.Change, false}, {connector.Destroy, false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if plan.Highest != connector.Destroy || plan.Impact != nil {
		t.Error("highest is", plan.Highest, "ceiling", plan.Impact)
	}
}

func TestAPlanNamesItsSourceAndSignatures(t *testing.T) {
	text := []byte("playbook: x-y\ntitle: T\nsteps:\n  - action: fw.unblock_ip\n    with: { rule: r }\n")
	opt := testOptions()
	one, _ := Load("", text, opt)
	two, _ := Load("", text, testOptions())
	changed := testCatalog()
	changed["fw.unblock_ip"].Version = "2.0.0"
	opt.Catalog = changed
	three, _ := Load("", text, opt)
	four, _ := Load("", []byte(strings.Replace(string(text), "T\n", "U\n", 1)), testOptions())
	if one.Hash != two.Hash || one.Hash == three.Hash || one.Hash == four.Hash {
		t.Error("hashes:", one.Hash, two.Hash, three.Hash, four.Hash)
	}
}

func TestAvailableIsGathered(t *testing.T) {
	plan := mustLoad(t, `
playbook: x-y
title: Available
steps:
  - when: available("fw") and not available("block_ip")
    action: case.note
    with: { text: "${{ available(\"edr\") ? 1 : 2 }}." }
`)
	if diff := cmp.Diff([]string{"block_ip", "edr", "fw"}, plan.Available); diff != "" {
		t.Error(diff)
	}
}

func TestInputsAreHeldAgainstTheirSchemas(t *testing.T) {
	plan := mustLoad(t, `
playbook: x-y
title: Inputs
inputs:
  ip: { type: string, format: ipv4 }
  days: { type: integer, minimum: 1, maximum: 90, default: 7 }
  user: { type: [string, "null"] }
steps:
  - action: case.note
    with: { text: "${{ toJSON(inputs) }}" }
`)
	filled, err := plan.FillInputs(map[string]any{"ip": "10.0.0.1"})
	if diff := cmp.Diff(map[string]any{"ip": "10.0.0.1", "days": 7, "user": nil}, filled); diff != "" || err != nil {
		t.Error(diff, err)
	}
	_, err = plan.FillInputs(map[string]any{"ip": "10.0.0", "days": 91, "who": 1})
	want := "inputs of playbook x-y: ip is not an IPv4 address such as 203.0.113.9; days is more than 90; who is not an input of it; expected ip, days or user: invalid"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := plan.FillInputs(nil); err == nil || !strings.Contains(err.Error(), "ip is missing") {
		t.Error(err)
	}
}

func TestAFileNameThatDiffersIsAFinding(t *testing.T) {
	text := []byte("playbook: x-y\ntitle: T\nsteps:\n  - wait: 1s\n")
	if _, all := Check("dir/x-y.playbook.yaml", text, Options{}); len(all) != 0 {
		t.Error(all)
	}
	_, all := Check("dir/other.yaml", text, Options{})
	want := "dir/other.yaml:1:11: finding: the file is named other.yaml; expected x-y.playbook.yaml, after the playbook's id [file-name]"
	if len(all) != 1 || all[0].String() != want {
		t.Error(all)
	}
	wantJSON := `{"file":"dir/other.yaml","line":1,"column":11,"severity":"finding","code":"file-name","message":"the file is named other.yaml; expected x-y.playbook.yaml, after the playbook's id"}`
	if string(all[0].JSON()) != wantJSON {
		t.Error(string(all[0].JSON()))
	}
}

// bigPlaybook is a playbook with n steps of all sorts.
func bigPlaybook(n int) string {
	var b strings.Builder
	b.WriteString("playbook: big-one\ntitle: Big\ninputs: { ip: { type: string } }\nvars: { n: 0 }\nsteps:\n")
	for i := range n / 3 {
		fmt.Fprintf(&b, `  - id: look_%d
    name: Look at ${{ inputs.ip }}
    action: vt.ip_report
    with: { ip: "${{ inputs.ip }}", limit: %d }
    retry: 3
  - if: (steps.look_%d.output?.malicious ?? 0) > 3 and vars.n < 10
    then:
      - id: block_%d
        action: fw.block_ip
        with: { ip: "${{ inputs.ip }}", comment: "Seen ${{ steps.look_%d.output?.malicious ?? 0 }} times" }
        undo: { action: fw.unblock_ip, with: { rule: "${{ output.rule_id }}" }, after: 7d }
`, i, i+1, i, i, i)
	}
	return b.String()
}

func BenchmarkCheckAndCompile300Steps(b *testing.B) {
	text := []byte(bigPlaybook(300))
	for b.Loop() {
		if plan, all := Load("", text, testOptions()); plan == nil {
			b.Fatal(all)
		}
	}
}

func TestThousandsOfStepsAreStillChecked(t *testing.T) {
	text := bigPlaybook(3000)
	if len(text) > MaxFileSize {
		t.Fatal("too large for a file:", len(text))
	}
	if plan := mustLoad(t, text); len(plan.Nodes) != 3000 {
		t.Error(len(plan.Nodes))
	}
}
