package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// watchOf is a core of which only the watch over sources works, in virtual time.
func watchOf(t *testing.T, path string, at time.Time, sources map[string]SourceConfig) (c *core, clock *time.Time) {
	t.Helper()
	c = bookOf(t, path)
	clock = &at
	c.now = func() time.Time { return *clock }
	c.cfg.Intake = Defaults().Intake
	c.figures, c.watching, c.gate = newFigures(), map[string]*watched{}, &ingest.Gate{Now: c.now}
	for name, s := range sources {
		c.watching[name] = newWatched(name, s)
	}
	return c, clock
}

// lived writes what a source sent in days, so many a minute.
func (c *core) lived(t *testing.T, source string, from time.Time, days, perMinute int) {
	t.Helper()
	for d := range days {
		var list []store.SourceCounts
		for m := range 24 * 60 {
			list = append(list, store.SourceCounts{
				Source: source, At: from.Add(time.Duration(d*24*60+m) * time.Minute), Received: perMinute, Peak: perMinute, Listened: 1})
		}
		if err := c.db.Write(context.Background(), func(tx *store.Tx) error { return store.AddSourceCounts(tx, list) }); err != nil {
			t.Fatal(err)
		}
	}
}

// pass lets time go by, in which so many events come by a source a minute.
func (c *core) pass(t *testing.T, clock *time.Time, span time.Duration, source string, perMinute int) {
	t.Helper()
	for end := clock.Add(span); clock.Before(end); *clock = clock.Add(watchTick) {
		b := ingest.Batch{Source: source, Skipped: perMinute * int(watchTick/time.Second) / 60}
		if b.Skipped > 0 {
			c.tally(b, nil, *clock)
		}
		c.lookAtSources(context.Background(), *clock)
		c.writeFigures(context.Background())
	}
}

func TestASourceThatFallsSilentIsToldOfWithinMinutesAndItsReturnEndsIt(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/riposte.db"
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	const days = 8
	c, clock := watchOf(t, path, begin.Add(days*24*time.Hour), map[string]SourceConfig{"north": {Type: "webhook"}, "quiet": {Type: "webhook", Unwatched: true}})
	c.lived(t, "north", begin, days, 1000)
	c.lived(t, "quiet", begin, days, 1000)
	c.pass(t, clock, 10*time.Minute, "north", 960)
	if list := c.alarms.list(""); len(list) != 0 {
		t.Fatalf("while it sends: %+v", list)
	}
	stopped := *clock
	c.pass(t, clock, 4*time.Minute, "north", 0)
	list := c.alarms.list("")
	if len(list) != 1 || list[0].Kind != string(alarmSourceSilent) || list[0].Subject != "north" {
		t.Fatalf("four minutes after it stopped: %+v", list)
	}
	if late := list[0].Since.Sub(stopped); late > 3*time.Minute {
		t.Errorf("told after %s", late)
	}
	c.flush(t)
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}

	c, clock = watchOf(t, path, clock.Add(time.Hour), map[string]SourceConfig{"north": {Type: "webhook"}})
	c.pass(t, clock, time.Minute, "north", 0)
	if list := c.alarms.list(""); len(list) != 1 {
		t.Errorf("after a restart: %+v", list)
	}
	c.pass(t, clock, 10*time.Minute, "north", 960)
	if list := c.alarms.list(""); len(list) != 0 {
		t.Errorf("it sends again: %+v", list)
	}
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}

	c, _ = watchOf(t, path, *clock, nil)
	defer c.db.Close()
	c.raise(alarm{Kind: alarmSourceSilent, Subject: "gone", Message: "nothing comes"})
	c.settleStrangers()
	if list := c.alarms.list(""); len(list) != 0 {
		t.Errorf("of a source that is configured no more: %+v", list)
	}
}

func TestASourceWhoseRoadFailsIsDownAndNotSilent(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	c, clock := watchOf(t, t.TempDir()+"/riposte.db", begin.Add(8*24*time.Hour), map[string]SourceConfig{"mail": {Type: "imap"}})
	defer c.db.Close()
	c.lived(t, "mail", begin, 8, 100)
	c.pass(t, clock, time.Minute, "mail", 120)
	told := c.roadTold("mail")
	told(fmt.Errorf("the database is away: %w", fault.Transient)) // no fault of the mail server
	c.pass(t, clock, 30*time.Second, "mail", 0)
	if list := c.alarms.list(""); len(list) != 0 {
		t.Errorf("the database is away: %+v", list)
	}
	told(errors.New("connection refused\nby mail.example.org"))
	c.pass(t, clock, 10*time.Second, "mail", 0)
	if list := c.alarms.list(""); len(list) != 0 {
		t.Errorf("after a moment: %+v", list)
	}
	c.pass(t, clock, 30*time.Minute, "mail", 0)
	list := c.alarms.list("")
	if len(list) != 1 || list[0].Kind != string(alarmSourceDown) || list[0].Message != "connection refused by mail.example.org" {
		t.Errorf("after half an hour: %+v", list)
	}
	told(nil)
	c.pass(t, clock, watchTick, "mail", 0)
	if list := c.alarms.list(""); len(list) != 0 {
		t.Errorf("it is back: %+v", list)
	}
}

func TestCountsAreKeptUntilTheDatabaseTakesThem(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 10, 0, 30, 0, time.UTC)
	c, _ := watchOf(t, t.TempDir()+"/riposte.db", at, map[string]SourceConfig{"north": {}})
	defer c.db.Close()
	b := ingest.Batch{Source: "north", Skipped: 2, Alerts: []alert.Alert{{Raw: []byte("12345")}, {Error: "not JSON"}, {}, {}}}
	c.tally(b, []ingest.Taken{{ID: 1}, {ID: 2}, {ID: 1, Duplicate: true}, {LeftOut: true}}, at)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	c.writeFigures(gone)
	c.tally(ingest.Batch{Source: "north", Skipped: 1}, nil, at.Add(10*time.Second))
	c.turnedAway("north", 3)
	c.writeFigures(context.Background())
	c.writeFigures(context.Background())
	want := store.SourceCounts{Tenant: store.DefaultTenant, Source: "north", At: at.Truncate(time.Minute),
		Received: 6, Accepted: 1, Duplicates: 1, Skipped: 3, Unread: 1, Refused: 3, Bytes: 5, Peak: 6}
	err := c.db.Read(context.Background(), func(q *store.Reader) error {
		list, err := store.SourceHistory(q, "", "north", store.Minute, at.Add(-time.Hour), at.Add(time.Hour))
		if len(list) != 1 || list[0] != want {
			t.Errorf("%+v", list)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsSaidOfASourceIsChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"expect: {at_least: 5}":                     "within",
		"expect: {within: 30d}":                     "1m to 7d",
		"expect: {within: 5s}":                      "1m to 7d",
		"flood: {within: 1m}":                       "more_than",
		"flood: {times: 1}":                         "2",
		"unwatched: true, flood: {times: 20}":       "remove one",
		"expect: {at_least: 1, within: 1h}":         "",
		"flood: {more_than: 100000}":                "",
		"flood: {more_than: 100000, within: 5m}":    "",
		"flood: {times: 20}, expect: {within: 24h}": "",
		"unwatched: true":                           "",
	} {
		c := Defaults()
		err := ReadConfig("riposte.yaml", fmt.Appendf(nil, "sources:\n  north: {type: webhook, mapping: generic-json, token_hash: %064d, %s}\n", 0, text), &c)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
