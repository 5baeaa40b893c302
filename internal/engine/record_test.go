package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
)

// anyEvent draws events of all shapes.
func anyEvent(t *rapid.T) run.Event {
	text := rapid.StringN(0, 12, -1)
	value := rapid.Custom(func(t *rapid.T) json.RawMessage {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		b, err := json.Marshal(text.Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
	e := run.Event{
		Kind: rapid.SampledFrom(kinds[:]).Draw(t, "kind"), At: time.UnixMicro(rapid.Int64Range(-1e15, 4e15).Draw(t, "at")).UTC(),
		Act: run.Act(rapid.Uint32().Draw(t, "act")), N: rapid.IntRange(0, 1e6).Draw(t, "n"), By: text.Draw(t, "by"), Reason: text.Draw(t, "reason"),
		Case: value.Draw(t, "case"),
	}
	if rapid.Bool().Draw(t, "result") {
		e.Result = &connector.Result{
			Status: connector.Status(text.Draw(t, "status")), Class: connector.Class(text.Draw(t, "class")), Message: text.Draw(t, "message"),
			Output: value.Draw(t, "output"), Before: value.Draw(t, "before"), After: value.Draw(t, "after"), External: text.Draw(t, "external"),
			RetryAfter: time.Duration(rapid.Int64().Draw(t, "retry after")), Temporary: rapid.Bool().Draw(t, "temporary"),
			Drift: text.Draw(t, "drift"), Connection: text.Draw(t, "connection"),
		}
		if rapid.Bool().Draw(t, "more") {
			e.Result.Results = []connector.Result{{Status: connector.OK, Output: json.RawMessage(`{"a":1}`)}}
		}
	}
	if rapid.Bool().Draw(t, "start") {
		e.Start = &run.Start{
			Run: run.ID(rapid.Int64Range(1, 1e9).Draw(t, "run")), Playbook: "p", Plan: "h", Inputs: value.Draw(t, "inputs"), Alert: value.Draw(t, "alert"),
			Body: value.Draw(t, "body"), Undoes: rapid.Int64Range(0, 9).Draw(t, "undoes"), Available: map[string]bool{"x": true},
			Parent: &run.Parent{Run: 7, Act: 3, N: 2}, Chain: []string{"a", "b"},
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "given") {
			e.Start.Given = append(e.Start.Given, run.Given{Path: fmt.Sprint(i), Status: run.Succeeded, Output: value.Draw(t, "given output")})
		}
	}
	if rapid.Bool().Draw(t, "answer") {
		e.Answer = &run.Answer{By: "ann", Yes: true, Value: value.Draw(t, "answer value"), Quorums: []int{0, 2}}
	}
	if rapid.Bool().Draw(t, "child") {
		e.Child = &run.ChildResult{Run: 9, Status: run.Failed, Outputs: value.Draw(t, "outputs"), Error: &run.Error{Code: "c"}}
	}
	if rapid.Bool().Draw(t, "check") {
		e.Check = &run.CheckResult{Deny: "policy", Asks: []run.Quorum{{People: []string{"role:x"}, Need: 2, Source: "file"}}, Within: time.Hour}
	}
	return e
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var events []*event
		var want []run.Event
		kept := map[string][]byte{}
		for range rapid.IntRange(1, 5).Draw(t, "events") {
			e := &event{Event: anyEvent(t)}
			want = append(want, e.Event)
			place := -1
			values(&e.Event, func(v *json.RawMessage) { // some values are blobs
				place++
				if len(*v) > 0 && rapid.Bool().Draw(t, "blob") {
					hash := fmt.Sprintf("hash-%d", len(kept))
					kept[hash] = *v
					e.refs = append(e.refs, ref{place, hash})
				}
			})
			events = append(events, e)
		}
		b, err := encodeRecord(events...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(b, func(hash string) ([]byte, error) { return kept[hash], nil })
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	t.Parallel()
	good, err := encodeRecord(&event{Event: run.Event{Kind: run.Finished, At: time.UnixMicro(1), Act: 2, N: 3, Result: &connector.Result{Status: connector.OK, Output: []byte(`{}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x41
		if _, err := decodeRecord(bad, nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("byte %d damaged: %v", i, err)
		}
		if _, err := decodeRecord(good[:i], nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
}

// FuzzDecoder feeds the decoder what no checksum protects it from: its own
// mistakes.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte{1, 3, 0, 1, 2, 0x10, 2, 'o', 'k'})
	b, err := encodeRecord(&event{Event: run.Event{Kind: run.Started, Start: &run.Start{Run: 1, Plan: "h", Given: []run.Given{{Path: "1"}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[5:])
	f.Fuzz(func(t *testing.T, data []byte) {
		d := &decoder{b: data, blobs: func(string) ([]byte, error) { return []byte("1"), nil }}
		for n := min(d.uint(), 100); n > 0 && d.err == nil; n-- {
			d.event()
		}
		if _, _, err := openSnapshot(data, nil); err == nil && len(data) < 8 {
			t.Error("a snapshot of nothing was opened")
		}
	})
}

// memory is a blob store.
type memory map[string][]byte

func (m memory) Put(_ context.Context, b []byte) (string, error) {
	hash := fmt.Sprintf("%d-%d", len(m), len(b))
	m[hash] = b
	return hash, nil
}
func (m memory) Get(_ context.Context, hash string) ([]byte, error) { return m[hash], nil }

func TestLargeValuesTravelAsReferences(t *testing.T) {
	t.Parallel()
	blobs := memory{}
	large := json.RawMessage(`"` + strings.Repeat("x", largeValue+1) + `"`)
	e := &event{Event: run.Event{Kind: run.Finished, Result: &connector.Result{Status: connector.OK, Output: large, After: []byte(`1`)}}}
	offload(context.Background(), blobs, e)
	b, err := encodeRecord(e)
	if err != nil || len(b) > 200 || len(blobs) != 1 {
		t.Fatalf("%d bytes, %d blobs, %v", len(b), len(blobs), err)
	}
	got, err := decodeRecord(b, func(h string) ([]byte, error) { return blobs.Get(context.Background(), h) })
	if err != nil || len(got[0].Result.Output) != len(large) || string(got[0].Result.After) != "1" {
		t.Errorf("%v, %v", got, err)
	}
	snap := sealSnapshot(context.Background(), blobs, snapHead{plan: "h", at: time.UnixMicro(5).UTC(), bytes: 7}, large)
	if len(snap) > 200 {
		t.Errorf("the snapshot has %d bytes", len(snap))
	}
	head, state, err := openSnapshot(snap, func(h string) ([]byte, error) { return blobs.Get(context.Background(), h) })
	if err != nil || head.plan != "h" || head.bytes != 7 || head.at.UnixMicro() != 5 || len(state) != len(large) {
		t.Errorf("%+v, %d, %v", head, len(state), err)
	}
}
