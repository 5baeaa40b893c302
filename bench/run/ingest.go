package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"riposte/bench/load"
	"riposte/bench/meter"
	"riposte/internal/store"
)

// database is one that alerts are taken into.
type database struct{ name, url string }

// databases are the ones to measure: SQLite always.
func (b *bench) databases() []database {
	list := []database{{"SQLite", ""}}
	if b.postgres == "" {
		b.note("PostgreSQL is not measured: give -postgres URL or set LAB_POSTGRES_URL")
		return list
	}
	return append(list, database{"PostgreSQL", b.postgres})
}

// ingest measures alerts taken in: read by a mapping, identified, scored, put
// through the rules of triage, matched against the triggers of published
// playbooks, on disk before the answer. The playbook does not start on this
// source.
func (b *bench) ingest() error {
	for _, d := range b.databases() {
		if err := b.ingestInto(d); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

func (b *bench) ingestInto(d database) error {
	c, err := b.contest(d.url)
	if err != nil {
		return err
	}
	defer c.close()
	mock, ours, floor := c.mock, c.ours, c.floor
	single := load.Target{URL: ours.url + "/api/ingest/bench-eve", Token: token, PID: ours.pid, Data: ours.data, Body: alertTemplate, Ingest: true}
	batch := single
	batch.Lines = 1000
	bare := load.Target{URL: floor.url + "/ingest", PID: floor.pid, Data: floor.data, Body: alertTemplate, Ingest: true}
	s, n, f := column{}, column{}, column{}
	for range b.rounds {
		for _, x := range []struct {
			t      load.Target
			n, win int
			into   column
		}{{single, b.runs, window, s}, {bare, b.runs, window, f}, {batch, max(4, b.runs/300), 2, n}} {
			o := load.Send(b.ctx, mock, x.t, x.n, x.win)
			if err := whole(o); err != nil {
				return fmt.Errorf("%s: %w", x.t.URL, err)
			}
			x.into.add(o)
		}
	}
	name := func(what string) string { return what + ", " + d.name }
	b.figure("ingest", name("alerts, one a POST"), "/s", more(8000, 15_000), s["rate"]...)
	b.figure("ingest", name("processor time of one"), "ms", nil, s["cpu"]...)
	b.figure("ingest", "the floor (SQLite), not read or matched", "/s", nil, f["rate"]...)
	b.figure("ingest", name("NDJSON by the thousand"), "/s", more(25_000, 50_000), n["rate"]...)
	b.figure("ingest", name("processor time of one"), "ms", nil, n["cpu"]...)
	b.figure("ingest", name("memory at the peak"), "MiB", less(300, 150), append(s["peak"], n["peak"]...)...)
	if d.url == "" {
		b.figure("ingest", name("kept of an alert"), "kB", nil, n["kept"]...)
	}
	return nil
}

// chunk is how many events of the storm go into one post.
const chunk = 1000

// storms sends a storm to each database.
func (b *bench) storms() error {
	for _, d := range b.databases() {
		if err := b.stormInto(d); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// stormInto sends many alerts of one sensor, each tenth post a second time. Halfway
// the server is killed and started again; whoever got no answer sends again, as
// senders do. Afterwards the database must hold each alert once, and have counted
// each answer.
func (b *bench) stormInto(d database) error {
	dir, err := b.prepare(d.url)
	if err != nil {
		return err
	}
	defer remove(dir)
	s, err := b.serve(dir)
	if err != nil {
		return err
	}
	before, err := b.count(s, d, dir)
	if err != nil {
		return err
	}
	if s, err = b.serve(dir); err != nil {
		return err
	}
	w := &storm{url: s.url + "/api/ingest/bench-eve", client: &http.Client{Timeout: time.Minute}, posts: int64(b.storm / chunk), mark: time.Now().UnixNano()}
	peak := meter.Peak(s.pid)
	begin := time.Now()
	done := make(chan error, 1)
	go func() { done <- w.send(b.ctx) }()
	for w.next.Load() < w.posts/2 && b.ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	most := peak()
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	killed := time.Now()
	if s, err = b.serve(dir); err != nil {
		return err
	}
	away := time.Since(killed)
	peak = meter.Peak(s.pid)
	if err := <-done; err != nil {
		return fmt.Errorf("%w; the log says %s", err, s.said())
	}
	wall := time.Since(begin) - away
	meter.Settled(s.pid)
	most = max(most, peak())
	after, err := b.count(s, d, dir)
	if err != nil {
		return err
	}
	name := func(what string) string { return what + ", " + d.name }
	sent := float64(w.posts * chunk)
	b.figure("storm", name("alerts sent"), "", nil, sent)
	b.figure("storm", name("alerts stored, less those sent: lost or doubled"), "", nil, float64(after.alerts-before.alerts)-sent)
	b.figure("storm", name("reports that were answered and not counted"), "", nil, float64(max(0, w.answered.Load()-int64(after.reports-before.reports))))
	b.figure("storm", name("alerts"), "/s", nil, sent/wall.Seconds())
	b.figure("storm", name("memory at the peak"), "MiB", less(300, 150), most)
	return nil
}

// counted is what a database holds.
type counted struct{ alerts, reports int }

// count ends a server and counts what its database holds.
func (b *bench) count(s *server, d database, dir string) (c counted, err error) {
	s.stop()
	where := d.url
	if where == "" {
		where = filepath.Join(dir, "data", "riposte.db")
	}
	db, err := store.Open(b.ctx, where, store.Options{})
	if err != nil {
		return c, err
	}
	err = db.Read(b.ctx, func(q *store.Reader) error {
		return q.QueryRow("SELECT count(*), CAST(coalesce(sum(seen), 0) AS BIGINT) FROM alerts WHERE source = 'bench-eve'").Scan(&c.alerts, &c.reports)
	})
	return c, errors.Join(err, db.Close())
}

// storm is a sensor gone mad.
type storm struct {
	url      string
	client   *http.Client
	posts    int64
	mark     int64 // makes its alerts different from those of other storms
	next     atomic.Int64
	answered atomic.Int64 // events that the server said it has
}

// send sends all posts, a few under way at once.
func (w *storm) send(ctx context.Context) error {
	var all sync.WaitGroup
	failed := make(chan error, 4)
	for range cap(failed) {
		all.Go(func() {
			for n := w.next.Add(1) - 1; n < w.posts && ctx.Err() == nil; n = w.next.Add(1) - 1 {
				times := 1
				if n%10 == 0 {
					times = 2
				}
				for range times {
					if err := w.insist(ctx, w.body(n)); err != nil {
						failed <- err
						return
					}
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func (w *storm) body(n int64) []byte {
	var b bytes.Buffer
	for i := range int64(chunk) {
		line := bytes.ReplaceAll(alertTemplate, []byte("@@ID@@"), fmt.Appendf(nil, "storm-%d-%d", w.mark, n*chunk+i))
		line = bytes.ReplaceAll(line, []byte("@@IP@@"), fmt.Appendf(nil, "198.18.%d.%d", i>>8&255, i&255))
		b.Write(bytes.TrimRight(line, "\n"))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// insist sends a post until the server says that it has it.
func (w *storm) insist(ctx context.Context, body []byte) error {
	for begin := time.Now(); ; {
		said, err := w.post(ctx, body)
		if err == nil {
			w.answered.Add(chunk)
			return nil
		}
		if time.Since(begin) > time.Minute {
			return fmt.Errorf("not taken within a minute: %w: %s", err, said)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (w *storm) post(ctx context.Context, body []byte) (said string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := w.client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%w: %s", errLost, res.Status)
	}
	return string(answer[:min(len(answer), 300)]), err
}
