package simulated

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// host is a machine with the EDR's agent.
type host struct {
	ID         string     `json:"id"`
	Hostname   string     `json:"hostname"`
	IP         string     `json:"ip"`
	OS         string     `json:"os"`
	Owner      string     `json:"owner"`
	Critical   bool       `json:"critical"`
	Tags       []string   `json:"tags"`
	Status     string     `json:"status"`    // online, offline
	Isolation  string     `json:"isolation"` // none, isolated
	IsolatedAt *time.Time `json:"isolated_at,omitempty"`
	Comment    string     `json:"isolation_comment,omitempty"`
	LastSeen   time.Time  `json:"last_seen"`
}

// job is a collection of evidence; it is done when it has been looked at twice.
type job struct {
	ID     string `json:"id"`
	Host   string `json:"host"`
	What   string `json:"what"`
	State  string `json:"state"` // running, done, cancelled
	Ref    string `json:"ref,omitempty"`
	looked int
}

// edr is an endpoint protection product: bearer token, paths below /api/v1.
type edr struct {
	hosts  []*host
	files  map[string][]string // hash to host IDs
	hashes []blockedHash
	jobs   []*job
	tasks  int

	detections []detection
}

type blockedHash struct {
	Hash    string    `json:"hash"`
	Comment string    `json:"comment,omitempty"`
	Since   time.Time `json:"since"`
}

func newEDR() *Product {
	return newProduct("edr", auth{kind: "bearer"}, "", "edr-demo-token", &edr{})
}

// malware is the SHA-256 of the EICAR test file, which the samples' scanner found.
const malware = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"

func (e *edr) reset() {
	machine := func(id, ip, os, owner string, critical bool, tags ...string) *host {
		return &host{
			ID: "h-" + id, Hostname: id, IP: ip, OS: os, Owner: owner, Critical: critical, Tags: append([]string{}, tags...),
			Status: "online", Isolation: "none", LastSeen: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC),
		}
	}
	*e = edr{
		hosts: []*host{
			machine("dc1", "192.0.2.5", "Windows Server 2022", "it", true, "domain_controller"),
			machine("web1", "192.0.2.10", "Debian 12", "it", true, "dmz"),
			machine("proxy1", "192.0.2.20", "Debian 12", "it", true, "dmz"),
			machine("mail1", "192.0.2.25", "Debian 12", "it", true),
			machine("ws-17", "192.0.2.117", "Windows 11", "alice", false, "workstation"),
			machine("ws-23", "192.0.2.123", "Windows 11", "bob", false, "workstation"),
			machine("ws-31", "192.0.2.131", "macOS 15", "carol", false, "workstation"),
		},
		files: map[string][]string{malware: {"h-ws-17", "h-ws-23"}}, detections: firstDetections(),
	}
}

func (e *edr) routes() map[string]handler {
	return map[string]handler{
		"GET /api/v1/token":                    e.token,
		"GET /api/v1/hosts":                    e.list,
		"GET /api/v1/hosts/{host}":             e.get,
		"POST /api/v1/hosts/{host}/isolate":    e.isolate,
		"POST /api/v1/hosts/{host}/release":    e.release,
		"POST /api/v1/hosts/{host}/collect":    e.collect,
		"GET /api/v1/detections":               e.listDetections,
		"GET /api/v1/detections/count":         e.countDetections,
		"POST /api/v1/detections":              e.addDetection,
		"GET /api/v1/jobs/{job}":               e.job,
		"DELETE /api/v1/jobs/{job}":            e.cancel,
		"GET /api/v1/files/{hash}/hosts":       e.seenOn,
		"GET /api/v1/blocked-hashes":           e.listHashes,
		"PUT /api/v1/blocked-hashes/{hash}":    e.block,
		"DELETE /api/v1/blocked-hashes/{hash}": e.unblock,
	}
}

func (e *edr) snapshot() any {
	isolated := []*host{}
	for _, h := range e.hosts {
		if h.Isolation == "isolated" {
			copied := *h
			isolated = append(isolated, &copied)
		}
	}
	jobs := []job{}
	for _, j := range e.jobs {
		jobs = append(jobs, *j)
	}
	return map[string]any{"isolated": isolated, "blocked_hashes": append([]blockedHash{}, e.hashes...), "jobs": jobs}
}

// token tells what the credential may do.
func (e *edr) token(*call) reply {
	return ok(map[string]any{"name": "riposte", "scopes": []string{"hosts:read", "hosts:isolate", "hosts:collect", "files:read", "hashes:write", "detections:read"}})
}

// find takes an id, a host name or an address.
func (e *edr) find(name string) *host {
	for _, h := range e.hosts {
		if strings.EqualFold(h.Hostname, name) || h.ID == name || h.IP == name {
			return h
		}
	}
	return nil
}

// list takes ?isolation=, ?q= (a part of name, address or owner), ?limit=, ?cursor=.
func (e *edr) list(c *call) reply {
	query := c.URL.Query()
	found := []host{}
	for _, h := range e.hosts {
		if v := query.Get("isolation"); v != "" && h.Isolation != v {
			continue
		}
		if q := query.Get("q"); q != "" && !strings.Contains(h.Hostname+" "+h.IP+" "+h.Owner, q) {
			continue
		}
		found = append(found, *h)
	}
	items, next, err := page(c, found)
	if err != nil {
		return invalid(err)
	}
	return ok(map[string]any{"hosts": items, "total": len(found), "next_cursor": next})
}

func (e *edr) get(c *call) reply {
	h := e.find(c.PathValue("host"))
	if h == nil {
		return notFound("host", c.PathValue("host"))
	}
	return ok(*h)
}

func (e *edr) isolate(c *call) reply {
	h := e.find(c.PathValue("host"))
	if h == nil {
		return notFound("host", c.PathValue("host"))
	}
	var in struct {
		Comment string `json:"comment"`
	}
	if err := c.decode(&in); err != nil {
		return invalid(err)
	}
	if h.Isolation == "isolated" {
		return failure(http.StatusConflict, "already_isolated", h.Hostname+" is isolated already")
	}
	now := c.now
	h.Isolation, h.IsolatedAt, h.Comment = "isolated", &now, in.Comment
	return did(http.StatusOK, e.order(h), "isolate", h.Hostname)
}

func (e *edr) release(c *call) reply {
	h := e.find(c.PathValue("host"))
	if h == nil {
		return notFound("host", c.PathValue("host"))
	}
	if h.Isolation == "none" {
		return failure(http.StatusConflict, "not_isolated", h.Hostname+" is not isolated")
	}
	h.Isolation, h.IsolatedAt, h.Comment = "none", nil, ""
	return did(http.StatusOK, e.order(h), "release", h.Hostname)
}

func (e *edr) order(h *host) map[string]any {
	e.tasks++
	return map[string]any{"task_id": fmt.Sprintf("t-%d", e.tasks), "host": *h}
}

// collect starts a long job.
func (e *edr) collect(c *call) reply {
	h := e.find(c.PathValue("host"))
	if h == nil {
		return notFound("host", c.PathValue("host"))
	}
	var in struct {
		What    string `json:"what"` // memory, package
		Comment string `json:"comment"`
	}
	if err := c.decode(&in); err != nil {
		return invalid(err)
	}
	if in.What != "memory" && in.What != "package" {
		return failure(http.StatusBadRequest, "invalid", "what must be memory or package")
	}
	j := &job{ID: fmt.Sprintf("j-%d", len(e.jobs)+1), Host: h.Hostname, What: in.What, State: "running"}
	e.jobs = append(e.jobs, j)
	return did(http.StatusAccepted, *j, "collect", h.Hostname)
}

func (e *edr) findJob(id string) *job {
	for _, j := range e.jobs {
		if j.ID == id {
			return j
		}
	}
	return nil
}

func (e *edr) job(c *call) reply {
	j := e.findJob(c.PathValue("job"))
	if j == nil {
		return notFound("job", c.PathValue("job"))
	}
	if j.looked++; j.looked >= 2 && j.State == "running" {
		j.State, j.Ref = "done", "evidence/"+j.ID+"-"+j.Host+"-"+j.What
	}
	return ok(*j)
}

func (e *edr) cancel(c *call) reply {
	j := e.findJob(c.PathValue("job"))
	if j == nil {
		return notFound("job", c.PathValue("job"))
	}
	if j.State != "running" {
		return failure(http.StatusConflict, "ended", "the job has ended")
	}
	j.State = "cancelled"
	return did(http.StatusOK, *j, "cancel", j.ID)
}

// seenOn lists the machines on which a file was seen.
func (e *edr) seenOn(c *call) reply {
	hash := strings.ToLower(c.PathValue("hash"))
	names := []string{}
	for _, id := range e.files[hash] {
		names = append(names, e.find(id).Hostname)
	}
	return ok(map[string]any{"hash": hash, "hosts": names})
}

func (e *edr) listHashes(c *call) reply {
	items, next, err := page(c, e.hashes)
	if err != nil {
		return invalid(err)
	}
	return ok(map[string]any{"hashes": items, "next_cursor": next})
}

// block is a PUT: twice is the same as once.
func (e *edr) block(c *call) reply {
	hash := strings.ToLower(c.PathValue("hash"))
	var in struct {
		Comment string `json:"comment"`
	}
	if err := c.decode(&in); err != nil {
		return invalid(err)
	}
	if len(hash) != 32 && len(hash) != 40 && len(hash) != 64 {
		return failure(http.StatusBadRequest, "invalid", "expected an MD5, SHA-1 or SHA-256 in hex")
	}
	for _, b := range e.hashes {
		if b.Hash == hash {
			return ok(b)
		}
	}
	b := blockedHash{Hash: hash, Comment: in.Comment, Since: c.now}
	e.hashes = append(e.hashes, b)
	return did(http.StatusCreated, b, "block", hash)
}

func (e *edr) unblock(c *call) reply {
	hash := strings.ToLower(c.PathValue("hash"))
	for i, b := range e.hashes {
		if b.Hash == hash {
			e.hashes = append(e.hashes[:i], e.hashes[i+1:]...)
			return did(http.StatusNoContent, nil, "unblock", hash)
		}
	}
	return notFound("blocked hash", hash)
}
