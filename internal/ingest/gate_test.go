package ingest

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/internal/fault"
)

func TestAGateLetsInWhatFitsAndTheRestInItsOrder(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := &Gate{Most: 100, Now: func() time.Time { return now }}
	large, err := g.Try("a", 500, 3) // alone it may be larger than all the room
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Try("b", 1, 1); !errors.Is(err, ErrBusy) || !errors.Is(err, fault.Transient) {
		t.Errorf("into a full gate: %v", err)
	}
	now = now.Add(time.Second)
	entered := make(chan int, 2)
	var wg sync.WaitGroup
	for i, size := range []int64{60, 60} {
		wg.Go(func() {
			p, err := g.Wait(context.Background(), "b", size, 1)
			if err != nil {
				t.Error(err)
				return
			}
			entered <- i
			p.Leave()
		})
		for g.Waiting("b").Events != i+1 {
			runtime.Gosched()
		}
	}
	if w := g.Waiting(""); w.Events != 5 || w.Bytes != 620 || !w.Oldest.Equal(now.Add(-time.Second)) {
		t.Errorf("%+v", w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := g.Wait(ctx, "c", 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("who gives up: %v", err)
	}
	large.Leave()
	large.Leave() // once more does nothing
	wg.Wait()
	if first := <-entered; first != 0 {
		t.Error("the second went in before the first")
	}
	if w := g.Waiting(""); w != (Waiting{}) {
		t.Errorf("all have left: %+v", w)
	}
	p, err := g.Try("a", 10, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Grow(10000); err != nil { // it is alone
		t.Error(err)
	}
	p.Leave()
}

func TestAGateNeverHoldsMoreThanItsRoomAndForgetsNobody(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const most = 64
		g := &Gate{Most: most}
		var inside atomic.Int64
		var wg sync.WaitGroup
		sizes := rapid.SliceOfN(rapid.Int64Range(1, most), 1, 40).Draw(t, "sizes")
		for _, n := range sizes {
			wg.Go(func() {
				p, err := g.Wait(context.Background(), "s", n, 1)
				if err != nil {
					t.Errorf("%v", err)
					return
				}
				if now := inside.Add(n); now > most {
					t.Errorf("%d bytes inside", now)
				}
				if rand.IntN(2) == 0 {
					runtime.Gosched()
				}
				inside.Add(-n)
				p.Leave()
			})
		}
		wg.Wait()
		if w := g.Waiting(""); w != (Waiting{}) {
			t.Errorf("left behind: %+v", w)
		}
	})
}
