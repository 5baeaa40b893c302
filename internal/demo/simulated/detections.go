package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// detection is something that the EDR's agents found.
type detection struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Severity  string    `json:"severity"` // low, medium, high, critical
	Host      string    `json:"host"`
	User      string    `json:"user,omitempty"`
	Process   string    `json:"process,omitempty"`
	SHA256    string    `json:"sha256,omitempty"`
	Technique string    `json:"technique,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

func firstDetections() []detection {
	at := time.Date(2026, 1, 5, 8, 50, 0, 0, time.UTC)
	return []detection{
		{
			ID: "d-1", Name: "Test malware written to disk", Severity: "high", Host: "ws-17", User: "alice", Process: "outlook.exe", SHA256: malware,
			Technique: "T1204.002", CreatedAt: at,
		},
		{ID: "d-2", Name: "Credential store read", Severity: "critical", Host: "ws-17", User: "alice", Process: "rundll32.exe", Technique: "T1003.001", CreatedAt: at.Add(2 * time.Minute)},
	}
}

// window gives the detections of ?since= and ?until=, oldest first.
func (e *edr) window(c *call) ([]detection, error) {
	var since, until time.Time
	for name, to := range map[string]*time.Time{"since": &since, "until": &until} {
		if v := c.URL.Query().Get(name); v != "" {
			t, err := time.Parse(time.RFC3339Nano, v)
			if err != nil {
				return nil, errors.New(name + " must be a time in RFC 3339")
			}
			*to = t
		}
	}
	found := []detection{}
	for _, d := range e.detections {
		if d.CreatedAt.Before(since) || !until.IsZero() && !d.CreatedAt.Before(until) {
			continue
		}
		found = append(found, d)
	}
	slices.SortFunc(found, func(a, b detection) int {
		if n := a.CreatedAt.Compare(b.CreatedAt); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return found, nil
}

// listDetections takes ?since=, ?until=, ?limit=, ?cursor=.
func (e *edr) listDetections(c *call) reply {
	found, err := e.window(c)
	if err != nil {
		return invalid(err)
	}
	items, next, err := page(c, found)
	if err != nil {
		return invalid(err)
	}
	return ok(map[string]any{"detections": items, "total": len(found), "next_cursor": next})
}

// countDetections takes ?since= and ?until=.
func (e *edr) countDetections(c *call) reply {
	found, err := e.window(c)
	if err != nil {
		return invalid(err)
	}
	return ok(map[string]any{"total": len(found)})
}

// addDetection is how an agent, or a test, reports one.
func (e *edr) addDetection(c *call) reply {
	var d detection
	if err := json.Unmarshal(c.body, &d); err != nil || d.Name == "" || d.Host == "" {
		return invalid(errors.New("a detection needs a name and a host"))
	}
	if d.ID == "" {
		d.ID = fmt.Sprintf("d-%d", len(e.detections)+1)
	}
	if d.CreatedAt.IsZero() {
		d.CreatedAt = c.now.UTC()
	}
	e.detections = append(e.detections, d)
	return did(http.StatusCreated, d, "detection", d.ID)
}
