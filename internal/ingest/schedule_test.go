package ingest_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"riposte/internal/alert"
	"riposte/internal/ingest"
)

func scheduleMapping(t *testing.T) *alert.Mapping {
	t.Helper()
	m, err := alert.ParseMapping("plain.source.yaml", []byte(`mapping: plain
title: Plain
version: 1
alert:
  identity: "${{ event.schedule.due }}"
  title: "${{ event.title + \" \" + event.schedule.due }}"
  severity: 1
`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAScheduleMakesUpOnceWhatItMissed(t *testing.T) {
	t.Parallel()
	s := newStore()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	last, err := json.Marshal(map[string]any{"at": day})
	if err != nil {
		t.Fatal(err)
	}
	sched := &ingest.Schedule{
		Source: ingest.Source{Name: "daily", Mapping: scheduleMapping(t)}, Sink: s, Cursor: last,
		Next: func(after time.Time) time.Time { return after.Add(24 * time.Hour) },
		Body: map[string]any{"title": "Check"}, Now: func() time.Time { return day.Add(75 * time.Hour) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sched.Run(ctx) }()
	s.until(t, "Check 2026-03-04T00:00:00Z")
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAScheduleFiresAtItsTimes(t *testing.T) {
	t.Parallel()
	s := newStore()
	sched := &ingest.Schedule{
		Source: ingest.Source{Name: "often", Mapping: plainMapping(t)}, Sink: s, Body: map[string]any{"n": "tick"},
		Next: func(after time.Time) time.Time { return after.Add(time.Millisecond) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sched.Run(ctx) }()
	s.until(t, "tick")
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(s.cursor) == 0 {
		t.Error("the time that was due is not kept")
	}
}
