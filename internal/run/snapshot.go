package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/playbook"
)

// snapshotVersion changes whenever a snapshot of before cannot be read any
// more. A snapshot is a cache: one of another version is folded anew.
const snapshotVersion = 1

// ErrSnapshot means that a snapshot is of another version or plan: fold the
// history instead.
var ErrSnapshot = errors.New("snapshot of another version")

// stored keeps a value with its integers, times and secret references.
type stored struct{ v any }

func (x stored) MarshalJSON() ([]byte, error) {
	if x.v == nil {
		return []byte("null"), nil
	}
	return expr.EncodeStored(x.v)
}

func (x *stored) UnmarshalJSON(b []byte) (err error) {
	x.v, err = expr.DecodeStored(b)
	return err
}

// snapshot is the stored form of a State. The expression names are not in it:
// they are made again from what is.
type snapshot struct {
	Version int           `json:"version"`
	Plan    string        `json:"plan"`
	Start   *Start        `json:"start"`
	Status  Status        `json:"status"`
	Err     *Error        `json:"err,omitempty"`
	Outputs stored        `json:"outputs"`
	Paused  bool          `json:"paused,omitempty"`
	Began   time.Time     `json:"began"`
	Ended   time.Time     `json:"ended,omitzero"`
	Now     time.Time     `json:"now"`
	Next    Act           `json:"next"`
	Quota   Act           `json:"quota"`
	Vars    stored        `json:"vars"`
	Case    stored        `json:"case"`
	Held    []Act         `json:"held,omitempty"`
	Acts    []storedAct   `json:"acts"`
	Scopes  []storedScope `json:"scopes"`
	Frames  []storedFrame `json:"frames"`
}

type storedAct struct {
	activation
	Scope    int           `json:"scope"`
	Result   *storedResult `json:"result,omitempty"`
	Items    []stored      `json:"items,omitempty"`
	Collect  []stored      `json:"collect,omitempty"`
	Collects bool          `json:"collects,omitempty"`
	Call     *storedCall   `json:"call,omitempty"`
}

type storedCall struct {
	callState
	Inputs stored `json:"inputs"`
	Job    stored `json:"job"`
}

type storedResult struct {
	result
	Output stored `json:"output"`
	Answer stored `json:"answer"`
	Inputs stored `json:"inputs"`
}

// storedScope keeps only the names that a scope adds to the run's.
type storedScope struct {
	Frame int               `json:"frame"`
	Extra map[string]stored `json:"extra,omitempty"`
}

type storedFrame struct {
	Outer   int                              `json:"outer"` // -1: none
	Base    playbook.NodeID                  `json:"base"`
	Path    string                           `json:"path,omitempty"`
	Results map[playbook.NodeID]storedResult `json:"results,omitempty"` // those that are not pending
}

// Encode writes a snapshot of the state.
func (s *State) Encode() ([]byte, error) {
	snap := snapshot{
		Version: snapshotVersion, Plan: s.start.Plan, Start: s.start, Status: s.status, Err: s.err, Paused: s.paused,
		Began: s.began, Ended: s.ended, Now: s.now, Next: s.next, Quota: s.quota, Vars: stored{s.vars}, Case: stored{s.caseNow}, Held: s.held,
	}
	if s.outputs != nil {
		snap.Outputs = stored{s.outputs}
	}
	w := snapWriter{snap: &snap, scopes: map[*scope]int{}, frames: map[*frame]int{}}
	w.scope(s.root)
	for _, a := range s.acts {
		snap.Acts = append(snap.Acts, storeAct(a, w.scope(a.scope)))
	}
	b, err := json.Marshal(&snap)
	if err != nil {
		return nil, fmt.Errorf("encode run %s: %w", s.start.Run, err)
	}
	return b, nil
}

type snapWriter struct {
	snap   *snapshot
	scopes map[*scope]int
	frames map[*frame]int
}

// baseRoots are the names that every scope of a run has.
var baseRoots = map[string]bool{
	"inputs": true, "vars": true, "steps": true, "alert": true, "case": true, "indicator": true, "run": true, "playbook": true,
}

func (w *snapWriter) scope(sc *scope) int {
	if i, ok := w.scopes[sc]; ok {
		return i
	}
	st := storedScope{Frame: w.frame(sc.frame)}
	for k, v := range sc.roots {
		if !baseRoots[k] {
			if st.Extra == nil {
				st.Extra = map[string]stored{}
			}
			st.Extra[k] = stored{v}
		}
	}
	w.snap.Scopes = append(w.snap.Scopes, st)
	w.scopes[sc] = len(w.snap.Scopes) - 1
	return w.scopes[sc]
}

func (w *snapWriter) frame(f *frame) int {
	if i, ok := w.frames[f]; ok {
		return i
	}
	st := storedFrame{Outer: -1, Base: f.base, Path: f.path, Results: map[playbook.NodeID]storedResult{}}
	if f.outer != nil {
		st.Outer = w.frame(f.outer)
	}
	for i, r := range f.results {
		if r != pendingResult {
			st.Results[f.base+playbook.NodeID(i)] = storeResult(r)
		}
	}
	w.snap.Frames = append(w.snap.Frames, st)
	w.frames[f] = len(w.snap.Frames) - 1
	return w.frames[f]
}

func storeResult(r *result) storedResult {
	st := storedResult{result: *r, Output: stored{r.Output}, Answer: stored{r.Answer}}
	if r.inputs != nil {
		st.Inputs = stored{r.inputs}
	}
	return st
}

func storeAct(a *activation, scope int) storedAct {
	st := storedAct{activation: *a, Scope: scope, Collects: a.Collect != nil}
	if a.ID == 0 { // a frame holds those of the steps
		r := storeResult(a.res)
		st.Result = &r
	}
	for _, v := range a.Items {
		st.Items = append(st.Items, stored{v})
	}
	for _, v := range a.Collect {
		st.Collect = append(st.Collect, stored{v})
	}
	if a.call != nil {
		st.Call = &storedCall{callState: *a.call, Job: stored{a.call.Job}}
		if a.call.Inputs != nil {
			st.Call.Inputs = stored{a.call.Inputs}
		}
	}
	return st
}

// Decode reads a snapshot of a run of this plan; ErrSnapshot where it is one
// of another version.
func Decode(p *playbook.Plan, b []byte) (*State, error) {
	var snap snapshot
	if err := json.Unmarshal(b, &snap); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w: %w", err, ErrSnapshot)
	}
	if snap.Version != snapshotVersion || snap.Start == nil || snap.Start.Plan != p.Hash && snap.Start.Plan != "" {
		return nil, ErrSnapshot
	}
	s := &State{
		start: snap.Start, status: snap.Status, err: snap.Err, paused: snap.Paused, began: snap.Began, ended: snap.Ended,
		now: snap.Now, next: snap.Next, quota: snap.Quota, held: snap.Held, plan: p,
	}
	s.vars, _ = snap.Vars.v.(map[string]any)
	if s.vars == nil {
		s.vars = map[string]any{}
	}
	s.outputs, _ = snap.Outputs.v.(map[string]any)
	for i := range s.start.Given {
		if s.given == nil {
			s.given = map[string]*Given{}
		}
		s.given[s.start.Given[i].Path] = &s.start.Given[i]
	}
	if err := s.restore(&snap); err != nil {
		return nil, err
	}
	return s, nil
}

// restore rebuilds frames, scopes and activations.
func (s *State) restore(snap *snapshot) error {
	frames := make([]*frame, len(snap.Frames))
	for i, st := range snap.Frames {
		f, err := s.restoreFrame(st, frames[:i])
		if err != nil {
			return err
		}
		frames[i] = f
	}
	if len(snap.Scopes) == 0 || snap.Scopes[0].Frame >= len(frames) {
		return fmt.Errorf("snapshot of %s has no scope: %w", s.start.Run, fault.Invalid)
	}
	s.root = &scope{frame: frames[snap.Scopes[0].Frame]}
	s.root.roots = s.firstRoots()
	s.caseNow = playbook.Object(playbook.OnCase, snap.Case.v)
	s.root.roots["case"] = s.caseNow
	scopes := []*scope{s.root}
	for _, st := range snap.Scopes[1:] {
		if st.Frame >= len(frames) {
			return fmt.Errorf("snapshot of %s: no frame %d: %w", s.start.Run, st.Frame, fault.Invalid)
		}
		sc := &scope{frame: frames[st.Frame], roots: map[string]any{}}
		for k, v := range s.root.roots {
			sc.roots[k] = v
		}
		sc.roots["steps"] = sc.frame.steps
		for k, v := range st.Extra {
			sc.roots[k] = v.v
		}
		scopes = append(scopes, sc)
	}
	for i := range snap.Acts {
		st := &snap.Acts[i]
		if st.Scope >= len(scopes) {
			return fmt.Errorf("snapshot of %s: no scope %d: %w", s.start.Run, st.Scope, fault.Invalid)
		}
		s.acts = append(s.acts, restoreAct(st, scopes[st.Scope]))
	}
	return nil
}

func (s *State) restoreFrame(st storedFrame, outer []*frame) (*frame, error) {
	var out *frame
	loop := playbook.NoNode
	if st.Outer >= 0 {
		if st.Outer >= len(outer) || st.Base < 1 || int(st.Base) > len(s.plan.Nodes) {
			return nil, fmt.Errorf("snapshot of %s: frame %q stands alone: %w", s.start.Run, st.Path, fault.Invalid)
		}
		out, loop = outer[st.Outer], st.Base-1
	}
	f := s.newFrame(out, loop, 0)
	f.path = st.Path
	for id, r := range st.Results {
		if id < f.base || int(id-f.base) >= len(f.results) {
			return nil, fmt.Errorf("snapshot of %s: no step %d: %w", s.start.Run, id, fault.Invalid)
		}
		if r.Status == Skipped && r.Err == nil {
			f.set(&s.plan.Nodes[id], skippedResult)
			continue
		}
		res := r.restore()
		if res.Status == Running {
			f.results[id-f.base] = res
			continue
		}
		f.set(&s.plan.Nodes[id], res)
	}
	return f, nil
}

func (r *storedResult) restore() *result {
	res := r.result
	res.Output, res.Answer = r.Output.v, r.Answer.v
	res.inputs, _ = r.Inputs.v.(map[string]any)
	return &res
}

func restoreAct(st *storedAct, sc *scope) *activation {
	a := st.activation
	a.scope = sc
	switch {
	case a.ID == 0:
		a.res = st.Result.restore()
	case !a.Seq:
		a.res = sc.frame.results[a.Node-sc.frame.base]
	}
	a.Items, a.Collect = nil, nil
	if st.Items != nil {
		a.Items = []any{}
	}
	for _, v := range st.Items {
		a.Items = append(a.Items, v.v)
	}
	if st.Collects {
		a.Collect = make([]any, len(st.Collect))
	}
	for i, v := range st.Collect {
		a.Collect[i] = v.v
	}
	if st.Call != nil {
		k := st.Call.callState
		k.Inputs, _ = st.Call.Inputs.v.(map[string]any)
		k.Job = st.Call.Job.v
		a.call = &k
	}
	return &a
}
