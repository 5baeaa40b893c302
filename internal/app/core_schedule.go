package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/netresearch/go-cron"

	"riposte/internal/expr"
	"riposte/internal/fault"
	"riposte/internal/run"
	"riposte/internal/store"
	"riposte/playbook"
)

// scheduleEvery is how often the schedules are looked at. A cron line has no
// parts below the minute.
const scheduleEvery = time.Second

// lastFiring is what is kept of a schedule.
type lastFiring struct {
	At  time.Time `json:"at"`            // the last time that was due and dealt with
	Run run.ID    `json:"run,omitempty"` // what it started
}

// keepSchedules starts playbooks at their times until ctx ends. Firings missed
// while nothing ran are made up once; one that is due while the run before still
// works is left out and noted.
func (c *core) keepSchedules(ctx context.Context) {
	tick := time.NewTicker(scheduleEvery)
	defer tick.Stop()
	for {
		for tenant, plans := range c.plans.scheduled() {
			for _, p := range plans {
				for i := range p.Triggers {
					if p.Triggers[i].Kind != playbook.OnSchedule {
						continue
					}
					if err := c.schedule(ctx, tenant, p, i); err != nil && ctx.Err() == nil {
						c.log.Error("schedule not kept", "playbook", p.ID, "error", err)
					}
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// scheduled lists the published playbooks that have a schedule, by tenant.
func (p *plans) scheduled() map[string][]*playbook.Plan {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := map[string][]*playbook.Plan{}
	for tenant, list := range p.list {
		for _, plan := range list {
			for i := range plan.Triggers {
				if plan.Triggers[i].Kind == playbook.OnSchedule {
					all[tenant] = append(all[tenant], plan)
					break
				}
			}
		}
	}
	return all
}

// schedule deals with one schedule of a playbook.
func (c *core) schedule(ctx context.Context, tenant string, p *playbook.Plan, n int) error {
	t := &p.Triggers[n]
	next, err := cronTimes(t.Cron, t.Zone)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("schedule:%s:%d", p.ID, n)
	now := c.now().UTC()
	var last lastFiring
	known := false
	err = c.db.Read(ctx, func(q *store.Reader) error {
		raw, err := store.Cursor(q, tenant, name)
		if err == nil && raw != nil {
			known = true
			err = json.Unmarshal(raw, &last)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !known { // from now on
		return c.keepFiring(ctx, tenant, name, lastFiring{At: now})
	}
	due := next(last.At)
	if due.IsZero() || due.After(now) {
		return nil
	}
	for again := next(due); !again.IsZero() && !again.After(now); again = next(again) {
		due = again // missed ones are made up once
	}
	if c.working(ctx, last.Run) {
		c.log.Info("schedule left out: the run before still works", "playbook", p.ID, "due", due, "run_id", last.Run.String())
		return c.keepFiring(ctx, tenant, name, lastFiring{At: due, Run: last.Run})
	}
	return c.startScheduled(ctx, tenant, p, t, name, due)
}

func (c *core) keepFiring(ctx context.Context, tenant, name string, f lastFiring) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return c.db.Write(ctx, func(tx *store.Tx) error { return store.SaveCursor(tx, tenant, name, raw, c.now().UTC()) })
}

// working tells whether a run is still under way.
func (c *core) working(ctx context.Context, id run.ID) bool {
	if id == 0 {
		return false
	}
	s, ok, err := c.engine.Summary(ctx, id)
	return err == nil && ok && !s.Status.Final()
}

// startScheduled starts a playbook and keeps that, in one transaction.
func (c *core) startScheduled(ctx context.Context, tenant string, p *playbook.Plan, t *playbook.Trigger, name string, due time.Time) error {
	given, err := run.FromTrigger(p, t, run.Object{}, due)
	if err == nil {
		given, err = p.FillInputs(given)
	}
	if err != nil {
		return err
	}
	inputs, err := expr.EncodeJSON(given)
	if err != nil {
		return err
	}
	var begin func()
	err = c.db.Write(ctx, func(tx *store.Tx) error {
		id, f, err := c.engine.StartIn(tx, run.Start{
			Tenant: tenant, Playbook: p.ID, Version: p.Version, Plan: p.Hash, Inputs: inputs, By: "schedule",
		}, fmt.Sprintf("%s:%d", name, due.Unix()))
		if err != nil {
			return err
		}
		begin = f
		raw, err := json.Marshal(lastFiring{At: due, Run: id})
		if err != nil {
			return err
		}
		return store.SaveCursor(tx, tenant, name, raw, c.now().UTC())
	})
	if err == nil && begin != nil {
		begin()
	}
	return err
}

// cronTimes gives the time after another at which a cron line is due. In autumn
// an hour comes twice: the second one is left out.
func cronTimes(line, in string) (func(time.Time) time.Time, error) {
	zone := time.UTC
	if in != "" {
		z, err := time.LoadLocation(in)
		if err != nil {
			return nil, fmt.Errorf("schedule: zone %q: %w", in, err)
		}
		zone = z
	}
	if n := len(strings.Fields(line)); n != 5 {
		return nil, fmt.Errorf("schedule %q has %d fields: %w", line, n, fault.Invalid)
	}
	parser, err := cron.TryNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	if err != nil {
		return nil, err
	}
	s, err := parser.Parse(line)
	if err != nil {
		return nil, fmt.Errorf("schedule %q: %w", line, err)
	}
	wall := func(at time.Time) string { return at.In(zone).Format("2006-01-02 15:04") }
	return func(after time.Time) time.Time {
		next := s.Next(after.In(zone))
		if !next.IsZero() && wall(next) == wall(after) {
			next = s.Next(next)
		}
		return next.UTC()
	}, nil
}
