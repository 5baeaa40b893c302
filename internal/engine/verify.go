package engine

import (
	"bytes"
	"context"
	"fmt"

	"riposte/internal/run"
)

// Verified is what a walk through the whole journal found.
type Verified struct {
	Records int
	Runs    int
	Open    int      // runs under way
	Wrong   []string // contradictions, one sentence each
}

// Verify reads the whole journal, as it is on disk, and holds everything that is
// derived from it against it: every record is whole and follows the one that it
// names, every history folds, every snapshot and every summary says what the
// history says up to its record. Summaries may be behind, but not wrong. The
// engine need not be running. Runs that retention has begun to remove while
// Verify reads may be reported.
func Verify(ctx context.Context, j Journal, rs Runs, plans Plans, blobs Blobs) (Verified, error) {
	v := &verifier{e: &Engine{Journal: j, Runs: rs, Plans: plans, Blobs: blobs}, ctx: ctx, open: map[run.ID]*live{}, snaps: map[run.ID]run.Snapshot{}, sums: map[run.ID]run.Summary{}}
	v.e.clock, v.e.log = machineClock{}, quiet()
	v.e.alarms = newAlarms(v.e)
	end, _, err := j.Mark(ctx)
	if err != nil {
		return v.Verified, err
	}
	if err := j.Tail(ctx, 0, end, v.record); err != nil {
		return v.Verified, err
	}
	v.Open = len(v.open)
	return v.Verified, nil
}

type verifier struct {
	Verified
	e     *Engine
	ctx   context.Context
	open  map[run.ID]*live
	snaps map[run.ID]run.Snapshot
	sums  map[run.ID]run.Summary
}

func (v *verifier) wrong(format string, args ...any) {
	v.Wrong = append(v.Wrong, fmt.Sprintf(format, args...))
}

func (v *verifier) record(rec run.Record) error {
	v.Records++
	r := v.open[rec.Run]
	switch {
	case r == nil && rec.Prev != 0:
		v.wrong("record %d of %s follows %d, which is not there or was its last", rec.Seq, rec.Run, rec.Prev)
		return nil
	case r != nil && rec.Prev != r.lastSeq:
		v.wrong("record %d of %s follows %d instead of %d", rec.Seq, rec.Run, rec.Prev, r.lastSeq)
		return nil
	}
	events, err := decodeRecord(rec.Data, v.e.blob(v.ctx))
	if err != nil {
		v.wrong("record %d of %s: %v", rec.Seq, rec.Run, err)
		return nil
	}
	if r == nil {
		v.Runs++
		if err := v.begin(rec.Run); err != nil {
			return err
		}
	}
	if r != nil {
		for _, ev := range events {
			if !r.state.Fits(ev) {
				v.wrong("record %d of %s holds an event that does not fit: %s of %d", rec.Seq, rec.Run, ev.Kind, ev.Act)
			}
			if _, err = v.e.foldInto(r, r.lane, []run.Event{ev}); err != nil {
				break
			}
		}
	} else {
		r, err = v.e.foldInto(nil, newLane(v.e, 0), events)
	}
	if err != nil {
		v.wrong("record %d of %s: %v", rec.Seq, rec.Run, err)
		return nil
	}
	r.lastSeq = rec.Seq
	v.open[rec.Run] = r
	v.compare(r)
	if r.state.Final() {
		delete(v.open, rec.Run)
		if _, ok := v.snaps[rec.Run]; ok {
			v.wrong("%s has ended and still has a snapshot", rec.Run)
		}
	}
	return nil
}

// begin reads what is derived from a run.
func (v *verifier) begin(id run.ID) error {
	snap, ok, err := v.e.Runs.Snapshot(v.ctx, id)
	if err != nil {
		return err
	}
	if ok {
		v.snaps[id] = snap
	}
	sum, ok, err := v.e.Runs.Summary(v.ctx, id)
	if ok {
		v.sums[id] = sum
	}
	return err
}

// compare holds snapshot and summary against the fold, where they tell of this
// record.
func (v *verifier) compare(r *live) {
	if snap, ok := v.snaps[r.id]; ok && snap.Seq == r.lastSeq {
		_, state, err := openSnapshot(snap.State, v.e.blob(v.ctx))
		if err != nil {
			v.wrong("the snapshot of %s: %v", r.id, err)
		} else if again, err := r.state.Encode(); err == nil && !bytes.Equal(state, again) {
			v.wrong("the snapshot of %s at %d is not what its history says:\n%s\n%s", r.id, snap.Seq, state, again)
		}
	}
	sum, ok := v.sums[r.id]
	if !ok || sum.Last != r.lastSeq {
		return
	}
	code := ""
	if err := r.state.Err(); err != nil {
		code = err.Code
	}
	status := sum.Status
	if status == run.Waiting && (sum.Waiting == "rate" || sum.Waiting == "limit") && r.state.Status() == run.Running {
		status = run.Running // its calls stand in line, which is no event
	}
	if status != r.state.Status() || sum.Paused != r.state.Paused() || sum.Code != code || !sum.Ended.Equal(r.state.EndedAt()) {
		v.wrong("lists show %s at %d as %s (%s), its history says %s (%s)", r.id, sum.Last, sum.Status, sum.Code, r.state.Status(), code)
	}
}
