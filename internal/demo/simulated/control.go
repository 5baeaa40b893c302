package simulated

import (
	"encoding/json"
	"net/http"
	"time"
)

// rate is a token bucket: calls per second, and how many may come at once. The
// zero value has no limit.
type rate struct {
	perSecond float64
	burst     int
	tokens    float64
	last      time.Time
}

// SetRate makes the product answer 429 with Retry-After beyond so many calls a
// second; burst may come at once. 0 calls a second is no limit.
func (p *Product) SetRate(perSecond float64, burst int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate{perSecond: perSecond, burst: burst, tokens: float64(burst), last: p.now()}
}

// overRate takes a token, or says how long until there is one.
func (p *Product) overRate() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := &p.rate
	if r.perSecond <= 0 {
		return 0
	}
	now := p.now()
	r.tokens = min(r.tokens+now.Sub(r.last).Seconds()*r.perSecond, float64(max(r.burst, 1)))
	r.last = now
	if r.tokens >= 1 {
		r.tokens--
		return 0
	}
	return time.Duration((1 - r.tokens) / r.perSecond * float64(time.Second))
}

// Status tells the product's state, as GET /state does.
func (p *Product) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Product: p.Name, State: p.state.snapshot(), Reads: p.reads, Refused: p.refused}
	for _, e := range p.log {
		if e.Changed {
			s.Changes++
		}
	}
	return s
}

// Log lists every call that meant to change something, as GET /log does.
func (p *Product) Log() []Entry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Entry{}, p.log...)
}

// Reset goes back to the first state, with an empty log and no faults.
func (p *Product) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.reset()
	p.log, p.faults, p.reads, p.refused = nil, nil, 0, 0
	p.replies = map[string]replay{}
}

func (p *Product) showState(w http.ResponseWriter, _ *http.Request) { write(w, ok(p.Status())) }

func (p *Product) showLog(w http.ResponseWriter, _ *http.Request) {
	write(w, ok(map[string]any{"product": p.Name, "entries": p.Log()}))
}

func (p *Product) showFaults(w http.ResponseWriter, _ *http.Request) {
	write(w, ok(map[string]any{"faults": p.Faults()}))
}

func (p *Product) putFaults(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Faults []Fault `json:"faults"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&wanted); err != nil {
		write(w, invalid(err))
		return
	}
	if err := p.SetFaults(wanted.Faults...); err != nil {
		write(w, invalid(err))
		return
	}
	write(w, ok(map[string]any{"faults": p.Faults()}))
}

func (p *Product) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	_ = p.SetFaults() // none cannot be wrong
	w.WriteHeader(http.StatusNoContent)
}

func (p *Product) postReset(w http.ResponseWriter, _ *http.Request) {
	p.Reset()
	w.WriteHeader(http.StatusNoContent)
}
