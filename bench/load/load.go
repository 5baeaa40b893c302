package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"riposte/bench/meter"
)

// Target is where alerts are sent and how.
type Target struct {
	URL    string
	Token  string
	PID    int    // whose processor time and memory are metered
	Data   string // its folder
	Body   []byte // the alert; @@ID@@ and @@IP@@ are replaced
	Ingest bool   // the answer to the post counts as done: no block is awaited
	Lines  int    // with Ingest: so many events in each post, one a line; 0 is a single object
}

// Outcome is what one round of load did.
type Outcome struct {
	Done, Lost, Refused int
	PerSecond           float64
	P50, P99            float64 // ms from the post to the block, or to the answer with Ingest
	CPU                 float64 // ms of the candidate for each
	LoadCPU             float64 // ms of mock and generator for each
	Others              float64 // percent of the machine that neither of them used
	Peak                float64 // MiB, PSS
	Wrote, Kept         float64 // bytes for each
	Refusal             string  // the first
}

var sequence atomic.Int64

type sender struct {
	t      Target
	m      *Mock
	client *http.Client
	most   time.Duration

	mu      sync.Mutex
	out     Outcome
	latency []float64
	last    time.Time
}

// Send sends n alerts, window of them under way at once, and measures.
func Send(ctx context.Context, m *Mock, t Target, n, window int) Outcome {
	transport := &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096}
	defer transport.CloseIdleConnections()
	s := &sender{t: t, m: m, client: &http.Client{Timeout: 30 * time.Second, Transport: transport}, most: 30 * time.Second}
	peak := meter.Peak(t.PID)
	cpu, wrote, kept, busy, self := meter.CPU(t.PID), meter.Wrote(t.PID), meter.Kept(t.Data), meter.Busy(), meter.Self()
	begin := time.Now()
	var left atomic.Int64
	left.Store(int64(n))
	var all sync.WaitGroup
	for range window {
		all.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				s.one(ctx)
			}
		})
	}
	all.Wait()
	wall := time.Since(begin)
	busy, self = meter.Busy()-busy, meter.Self()-self
	inTime := meter.CPU(t.PID) - cpu
	meter.Settled(t.PID) // work behind the answers is part of the price
	out := s.out
	each := float64(max(out.Done, 1))
	if s.last.After(begin) {
		out.PerSecond = float64(out.Done) / s.last.Sub(begin).Seconds()
	}
	out.P50, out.P99 = meter.Quantile(s.latency, .5), meter.Quantile(s.latency, .99)
	out.CPU = (meter.CPU(t.PID) - cpu).Seconds() * 1000 / each
	out.LoadCPU = self.Seconds() * 1000 / each
	out.Others = max(0, (busy-inTime-self).Seconds()/wall.Seconds()/float64(runtime.NumCPU())*100)
	out.Wrote, out.Kept = float64(meter.Wrote(t.PID)-wrote)/each, float64(meter.Kept(t.Data)-kept)/each
	out.Peak = peak()
	return out
}

// one sends one post and waits until it counts as done.
func (s *sender) one(ctx context.Context) {
	body, ids := s.body()
	var blocked chan time.Time
	if !s.t.Ingest {
		blocked = s.m.expect(ids[0])
	}
	begin := time.Now()
	at, problem := s.post(ctx, body)
	if problem == "" && blocked != nil {
		timer := time.NewTimer(s.most)
		defer timer.Stop()
		select {
		case at = <-blocked:
		case <-timer.C:
			s.m.take(ids[0])
			s.lost()
			return
		case <-ctx.Done():
			s.lost()
			return
		}
	}
	if problem != "" {
		if blocked != nil {
			s.m.take(ids[0])
		}
		s.refused(problem)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Done += len(ids)
	s.latency = append(s.latency, float64(at.Sub(begin).Microseconds())/1000)
	if at.After(s.last) {
		s.last = at
	}
}

func (s *sender) lost() {
	s.mu.Lock()
	s.out.Lost++
	s.mu.Unlock()
}

func (s *sender) refused(problem string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.Refused++
	if s.out.Refusal == "" {
		s.out.Refusal = problem
	}
}

// body makes the next post.
func (s *sender) body() ([]byte, []string) {
	var ids []string
	var b []byte
	for range max(s.t.Lines, 1) {
		n := sequence.Add(1)
		id := fmt.Sprintf("alrt%010d", n)
		ids = append(ids, id)
		line := bytes.ReplaceAll(s.t.Body, []byte("@@ID@@"), []byte(id))
		// Addresses that are reserved for benchmarks, many of them: nobody blocks
		// the same one all day.
		line = bytes.ReplaceAll(line, []byte("@@IP@@"), fmt.Appendf(nil, "198.%d.%d.%d", 18+n>>16&1, n>>8&255, n&255))
		b = append(b, line...)
		if s.t.Lines > 0 {
			b = append(bytes.TrimRight(b, "\n"), '\n')
		}
	}
	return b, ids
}

func (s *sender) post(ctx context.Context, body []byte) (time.Time, string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.t.URL, bytes.NewReader(body))
	if err != nil {
		return time.Time{}, err.Error()
	}
	r.Header.Set("Content-Type", "application/json")
	if s.t.Lines > 0 {
		r.Header.Set("Content-Type", "application/x-ndjson")
	}
	if s.t.Token != "" {
		r.Header.Set("Authorization", "Bearer "+s.t.Token)
	}
	res, err := s.client.Do(r)
	if err != nil {
		return time.Time{}, err.Error()
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return time.Time{}, err.Error()
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return time.Time{}, res.Status + " " + string(answer[:min(len(answer), 300)])
	}
	return time.Now(), ""
}
