package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestWhatIsDerivedFromACallEndsWithIt(t *testing.T) {
	t.Parallel()
	c := &callContext{deadline: time.Now().Add(time.Hour)}
	derived, cancel := context.WithCancel(c)
	defer cancel()
	deeper, cancel2 := context.WithTimeout(derived, time.Minute)
	defer cancel2()
	if d, ok := deeper.Deadline(); !ok || d.After(c.deadline) {
		t.Errorf("the deadline is %v", d)
	}
	if c.Err() != nil || deeper.Err() != nil {
		t.Fatal("it is over before its end")
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { <-c.Done() })
	}
	c.end(context.DeadlineExceeded)
	c.end(context.Canceled) // the first end counts
	wg.Wait()
	<-deeper.Done()
	if !errors.Is(deeper.Err(), context.DeadlineExceeded) || !errors.Is(c.Err(), context.DeadlineExceeded) {
		t.Errorf("%v, %v", deeper.Err(), c.Err())
	}
	late, cancel3 := context.WithCancel(c)
	defer cancel3()
	<-late.Done()
}

func TestACallThatEndedTellsWhoComesLate(t *testing.T) {
	t.Parallel()
	c := &callContext{}
	kept := c.AfterFunc(func() { t.Error("it was stopped and runs") })
	if !kept() || kept() {
		t.Error("stopping tells the wrong thing")
	}
	c.end(context.Canceled)
	ran := make(chan struct{})
	c.AfterFunc(func() { close(ran) })
	<-ran
	select {
	case <-c.Done():
	default:
		t.Error("Done is open")
	}
}
