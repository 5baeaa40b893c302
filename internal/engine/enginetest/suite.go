// Package enginetest is one suite that every engine must pass: what a run may
// expect of whatever drives it. An engine's test hands in a Factory; the suite
// brings playbooks, connectors, a clock and a guard, all of them scriptable.
package enginetest

import (
	"context"
	"testing"
	"time"

	"riposte/internal/engine"
	"riposte/internal/run"
)

// Engine is what the suite asks of an engine.
type Engine interface {
	Start(ctx context.Context, s run.Start, key string) (run.ID, error)
	Answer(ctx context.Context, id run.ID, act run.Act, n int, a run.Answer) error
	Cancel(ctx context.Context, id run.ID, by, reason string) error
	Pause(ctx context.Context, id run.ID, by, reason string) error
	Resume(ctx context.Context, id run.ID, by, reason string) error
	Retry(ctx context.Context, id run.ID, by string) (run.ID, error)
	RetryAll(ctx context.Context, f run.Filter, by string) (engine.Retried, error)
	Undo(ctx context.Context, entry int64, who, why string) (run.ID, error)
	UndoAll(ctx context.Context, entries []int64, who, why string) error
	Get(ctx context.Context, id run.ID) (*engine.View, error)
	Summary(ctx context.Context, id run.ID) (run.Summary, bool, error)
	History(ctx context.Context, id run.ID) ([]run.Event, error)
	Watch(ctx context.Context, id run.ID, after int64, f func(engine.Update) error) error
	Alarms() []engine.Alarm
	Stats() engine.Stats
}

// Books are the questions and ledger entries that an engine's store keeps.
type Books interface {
	OpenQuestions(ctx context.Context) ([]engine.Question, error)
	Entries(ctx context.Context) ([]engine.Entry, error)
	Tasks(ctx context.Context) ([]engine.FailedUndo, error)
	Listed(ctx context.Context) ([]run.Summary, error) // every run that lists show
}

// World is what an engine is given to work with.
type World struct {
	Plans   *Plans
	Caller  *Caller
	Gate    *Gate
	Clock   engine.Clock // nil: the machine's
	Workers int          // 0: the engine's own number
	PerRun  int
	Idle    time.Duration
	Keep    time.Duration
	Bytes   int64 // quota of one run; 0: the engine's own
}

// Running is an engine at work.
type Running struct {
	Engine
	Books
	// Stop ends it in order; Kill ends it as a crash would, with nothing written
	// that is not on disk already.
	Stop func()
	Kill func()
}

// Factory begins an engine over a folder. The suite calls it again with the
// same folder after Stop or Kill, and expects to find everything there.
type Factory func(t *testing.T, dir string, w World) *Running

// Run runs the whole suite.
func Run(t *testing.T, f Factory) {
	for _, group := range []struct {
		name  string
		tests []test
	}{
		{"running", runningTests}, {"waiting", waitingTests}, {"errors", errorTests}, {"people", peopleTests},
		{"children", childTests}, {"undo", undoTests}, {"control", controlTests}, {"limits", limitTests}, {"crash", crashTests}, {"views", viewTests},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.tests {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.f(newBench(t, f))
				})
			}
		})
	}
}

type test struct {
	name string
	f    func(b *bench)
}
