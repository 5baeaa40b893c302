package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"riposte/connector"
	"riposte/internal/engine"
	"riposte/internal/engine/enginetest"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// world is the embedded engine on a real database, with connectors that answer
// at once. It lives in a process of its own, so that its time and memory can be
// told from everything else.
type world struct {
	*engine.Engine
	db     *store.DB
	plans  *enginetest.Plans
	cancel context.CancelFunc
	ended  chan error
}

// openWorld opens the engine on the database of a folder and waits until it is
// ready.
func openWorld(dir string, caller engine.Caller, texts ...string) (*world, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	debug.SetGCPercent(200) // as riposte serve does
	w := &world{ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	var err error
	if w.plans, err = enginetest.NewPlans(texts...); err != nil {
		return nil, err
	}
	if w.db, err = store.Open(ctx, filepath.Join(dir, "riposte.db"), store.Options{}); err != nil {
		return nil, err
	}
	journal := w.db.Journal()
	w.Engine = &engine.Engine{Journal: journal, Runs: journal, Plans: w.plans, Caller: caller}
	if err := w.Open(ctx); err != nil {
		return nil, err
	}
	go func() { w.ended <- w.Run(ctx) }()
	select {
	case <-w.Ready():
		return w, nil
	case err := <-w.ended:
		return nil, fmt.Errorf("the engine ended: %w", err)
	}
}

func (w *world) close() error {
	w.cancel()
	err := <-w.ended
	if e := w.db.Close(); err == nil {
		err = e
	}
	return err
}

// begin starts n runs of a playbook, many in a transaction, with an alert each.
func (w *world) begin(slug string, n int, alert json.RawMessage) error {
	p, err := w.plans.Published("", slug, 0)
	if err != nil {
		return err
	}
	const group = 500
	var all sync.WaitGroup
	slots, failed := make(chan struct{}, 4), make(chan error, n/group+1)
	for at := 0; at < n; at += group {
		slots <- struct{}{}
		all.Add(1)
		var begins []func()
		w.Journal.Submit(func(tx engine.Tx) error {
			begins = nil
			for range min(group, n-at) {
				_, f, err := w.StartIn(tx, starting(p, alert), "")
				if err != nil {
					return err
				}
				begins = append(begins, f)
			}
			return nil
		}, func(err error) {
			defer all.Done()
			<-slots
			if err != nil {
				failed <- err
				return
			}
			for _, f := range begins {
				f()
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func starting(p *playbook.Plan, alert json.RawMessage) run.Start {
	return run.Start{Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: json.RawMessage("{}"), Alert: alert, By: "bench"}
}

// until waits for a condition.
func (w *world) until(what string, most time.Duration, ok func(s engine.Stats) bool) error {
	deadline := time.Now().Add(most)
	for !ok(w.Stats()) {
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain until %s; the engine says %+v", most, what, w.Stats())
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// noop answers every call at once. The action get_hash is never answered: its
// run is under way for ever.
type noop struct{}

var fine = engine.Answer{Result: connector.Result{Status: connector.OK, Output: json.RawMessage(`{"score":92,"verdict":"malicious"}`)}}

// Route bounds the calls that are never answered, so that they leave workers for
// the others.
func (noop) Route(_, _, action string) (string, engine.Limits) {
	if action == "rep.get_hash" {
		return action, engine.Limits{MaxInFlight: 32}
	}
	return action, engine.Limits{}
}

func (noop) Call(ctx context.Context, c engine.Call) engine.Answer {
	if c.Name == "rep.get_hash" {
		<-ctx.Done()
	}
	return fine
}
