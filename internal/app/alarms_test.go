package app

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"riposte/internal/engine"
	"riposte/internal/run"
	"riposte/internal/store"
)

// bookOf is a core of which only the alarms work.
func bookOf(t *testing.T, path string) *core {
	t.Helper()
	d, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := &core{db: d, log: slog.New(slog.DiscardHandler), now: time.Now, alarms: newAlarmBook()}
	if err := c.openAlarms(context.Background()); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *core) flush(t *testing.T) {
	t.Helper()
	if err := c.writeAlarms(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestAnAlarmSurvivesARestartAndEndsWhenItIsSettled(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/riposte.db"
	c := bookOf(t, path)
	for range 3 {
		c.raise(alarm{Kind: alarmSourceSilent, Subject: "north", Message: "nothing has come for 3 minutes"})
	}
	c.settle(alarmSourceSilent, "south") // it was never raised
	c.flush(t)
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}

	c = bookOf(t, path)
	open := c.alarms.list("")
	if len(open) != 1 || open[0].Subject != "north" || open[0].Times != 3 || open[0].ID == 0 {
		t.Fatalf("after the restart: %+v", open)
	}
	c.raise(alarm{Kind: alarmSourceSilent, Subject: "north", Message: "nothing has come for 4 minutes"})
	if again := c.alarms.list(""); again[0].Times != 4 || again[0].ID != open[0].ID || !again[0].Since.Equal(open[0].Since) {
		t.Errorf("raised again it is another: %+v", again)
	}
	c.settle(alarmSourceSilent, "north")
	c.raise(alarm{Kind: alarmSourceSilent, Subject: "north", Message: "once more"})
	c.flush(t)
	if err := c.db.Close(); err != nil {
		t.Fatal(err)
	}

	c = bookOf(t, path)
	defer c.db.Close()
	if open := c.alarms.list(""); len(open) != 1 || open[0].Message != "once more" || open[0].Times != 1 {
		t.Errorf("the one that began anew: %+v", open)
	}
	if other := c.alarms.list("another"); len(other) != 0 {
		t.Errorf("another tenant sees %+v", other)
	}
	var all store.Page[store.Alarm]
	err := c.db.Read(context.Background(), func(q *store.Reader) (err error) {
		all, err = store.ListAlarms(q, "", store.Slice{})
		return err
	})
	if err != nil || len(all.Items) != 2 || all.Items[1].Ended.IsZero() {
		t.Errorf("with the one that ended: %+v, %v", all.Items, err)
	}
}

func TestAnAlarmThatComesAndGoesBetweenTwoWritesIsKept(t *testing.T) {
	t.Parallel()
	c := bookOf(t, t.TempDir()+"/riposte.db")
	defer c.db.Close()
	for range 2 {
		c.raise(alarm{Kind: alarmSourceDown, Subject: "mail", Message: "refused"})
		c.settle(alarmSourceDown, "mail")
	}
	c.flush(t)
	var all store.Page[store.Alarm]
	err := c.db.Read(context.Background(), func(q *store.Reader) (err error) {
		all, err = store.ListAlarms(q, "", store.Slice{})
		return err
	})
	if err != nil || len(all.Items) != 2 {
		t.Errorf("%+v, %v", all.Items, err)
	}
	if held, _, _ := c.alarms.unwritten(); len(held) != 0 {
		t.Errorf("%d are still to be written", len(held))
	}
}

func TestTheEnginesAlarmsAreAmongOurs(t *testing.T) {
	t.Parallel()
	c := bookOf(t, t.TempDir()+"/riposte.db")
	defer c.db.Close()
	now := time.Now().UTC()
	mirror := func(list ...engine.Alarm) {
		byKind := map[engine.AlarmKind][]engine.Alarm{}
		for _, a := range list {
			byKind[a.Kind] = append(byKind[a.Kind], a)
		}
		c.alarms.mirror(summed(byKind), now, c.log)
	}
	c.raise(alarm{Kind: alarmSourceSilent, Subject: "north", Message: "nothing has come"})
	mirror(engine.Alarm{Kind: engine.AlarmPlan, Run: 7, Message: "no plan", Since: now, Count: 2}, engine.Alarm{Kind: engine.AlarmJournal, Message: "disk full", Since: now, Count: 1})
	c.flush(t)
	if open := c.alarms.kinds(); open["plan"] != 1 || open["journal"] != 1 || open["source_silent"] != 1 {
		t.Errorf("%v", open)
	}
	var many []engine.Alarm
	for n := range 1000 {
		many = append(many, engine.Alarm{Kind: engine.AlarmPlan, Run: run.ID(n + 1), Message: "no plan", Since: now, Count: 1})
	}
	mirror(many...)
	if open := c.alarms.kinds(); open["plan"] != 1 || open["journal"] != 0 || open["source_silent"] != 1 {
		t.Errorf("a thousand runs are one alarm: %v", open)
	}
	mirror()
	if open := c.alarms.kinds(); len(open) != 1 {
		t.Errorf("the engine has none any more: %v", open)
	}
}
