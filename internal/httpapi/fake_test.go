package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/id"
)

// world is an installation in memory: enough of one for the API to be asked
// everything.
type world struct {
	mu        sync.Mutex
	directory *auth.Directory
	now       time.Time
	sessions  map[string]string // secret to name
	tokens    map[string]auth.Token
	cases     map[int64]*Case
	events    map[int64][]CaseEvent
	runs      map[int64]*Run
	starts    int
	byKey     map[string]int64
	watched   map[int64][]RunEvent
	approvals map[int64]*Approval
	drafts    map[string]Draft
	published map[string][]PlaybookVersion
	entries   map[int64]*LedgerEntry
	lists     map[string][]ListEntry
	conns     map[string]*Connection
	off       []Switch
	kept      map[string]Kept
	fail      error         // what every read of alerts fails with
	hold      chan struct{} // when set, a start waits for it
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) *world {
	t.Helper()
	d, err := auth.New(auth.Entries{People: []auth.Person{
		{Name: "ana", Roles: []string{"analyst"}},
		{Name: "vic", Roles: []string{"viewer"}},
		{Name: "root", Title: "The administrator", Roles: []string{"admin"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		directory: d, now: start, sessions: map[string]string{}, tokens: map[string]auth.Token{},
		cases: map[int64]*Case{}, events: map[int64][]CaseEvent{}, runs: map[int64]*Run{}, byKey: map[string]int64{},
		watched: map[int64][]RunEvent{}, approvals: map[int64]*Approval{}, drafts: map[string]Draft{},
		published: map[string][]PlaybookVersion{}, entries: map[int64]*LedgerEntry{}, lists: map[string][]ListEntry{}, conns: map[string]*Connection{}, kept: map[string]Kept{},
	}
	for _, name := range []string{"ana", "vic", "root"} {
		w.tokens["rip_"+name] = auth.Token{Name: "test", Owner: name}
	}
	return w
}

// serve starts a server on the world.
func serve(t *testing.T, w *world) *client {
	t.Helper()
	s := &Server{
		Identity: w, Tokens: w, People: w, Alerts: w, Cases: w, Runs: w, Approvals: w, Playbooks: w, Ledger: w, Lists: w, Connections: w, Switches: w, Overrides: w, Alarms: w, Closings: w, Sources: w, Unread: w, Audit: w, Replays: w,
		Page:    http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "page") }),
		Ingest:  http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusAccepted) }),
		Version: "test", Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
	}
	srv := httptest.NewServer(s.Handler(nil))
	t.Cleanup(srv.Close)
	return &client{t: t, url: srv.URL, token: "rip_root", http: srv.Client()}
}

func (w *world) SignIn(_ context.Context, name, password string) (Session, error) {
	c, ok := w.directory.Caller(name, w.now)
	if !ok || password != "right-password" {
		return Session{}, fmt.Errorf("sign in: %w", fault.Denied)
	}
	secret := "session-" + name
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[secret] = name
	return Session{Secret: secret, Expires: w.now.Add(time.Hour), Caller: c}, nil
}

func (w *world) Session(_ context.Context, secret string) (auth.Caller, error) {
	w.mu.Lock()
	name := w.sessions[secret]
	w.mu.Unlock()
	c, ok := w.directory.Caller(name, w.now)
	if !ok {
		return c, fault.Denied
	}
	return c, nil
}

func (w *world) SignOut(_ context.Context, secret string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.sessions, secret)
	return nil
}

func (w *world) Token(_ context.Context, secret string) (auth.Caller, error) {
	w.mu.Lock()
	t := w.tokens[secret]
	w.mu.Unlock()
	c, ok := t.Caller(w.directory, w.now)
	if !ok {
		return c, fault.Denied
	}
	return c, nil
}

func (w *world) Tokens(_ context.Context, _ auth.Caller, owner string) ([]Token, error) {
	return []Token{{Name: "test", Owner: owner, Created: start}}, nil
}

func (w *world) CreateToken(_ context.Context, _ auth.Caller, n NewToken) (Token, string, error) {
	return Token{Name: n.Name, Owner: n.Owner, Created: w.now}, "rip_secret", nil
}

func (w *world) RevokeToken(_ context.Context, _ auth.Caller, _, name string) error {
	if name != "test" {
		return fmt.Errorf("revoke token %s: there is none of that name: %w", name, fault.NotFound)
	}
	return nil
}

func (w *world) Alerts(_ context.Context, _ auth.Caller, _ AlertFilter, p Page) (Found[Alert], error) {
	if w.fail != nil {
		return Found[Alert]{}, w.fail
	}
	from := int64(120)
	if p.Cursor != "" {
		n, err := strconv.ParseInt(p.Cursor, 10, 64)
		if err != nil {
			return Found[Alert]{}, BadCursor()
		}
		from = n - 1
	}
	var f Found[Alert]
	for n := from; n > 0 && len(f.Items) < p.Limit; n-- {
		f.Items = append(f.Items, Alert{ID: id.Format(alertCode, n), Source: "test", Title: "An alert", Status: "new", Count: 1, Time: start, Received: start})
		if len(f.Items) == p.Limit && n > 1 {
			f.Next = strconv.FormatInt(n, 10)
		}
	}
	return f, nil
}

func (w *world) Alert(_ context.Context, _ auth.Caller, n int64) (Alert, error) {
	if n > 120 {
		return Alert{}, gone("alert", n)
	}
	return Alert{ID: id.Format(alertCode, n), Source: "test", Title: "An alert", Status: "new", Severity: "high", Count: 1, Time: start, Received: start,
		Raw: json.RawMessage(`{"a":1}`)}, nil
}

func gone(what string, n int64) error {
	return fmt.Errorf("read %s %d: %w", what, n, fault.NotFound)
}

func (w *world) Cases(context.Context, auth.Caller, CaseFilter, Page) (Found[Case], error) {
	var f Found[Case]
	for _, c := range w.cases {
		f.Items = append(f.Items, *c)
	}
	return f, nil
}

func (w *world) Case(_ context.Context, _ auth.Caller, n int64) (Case, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.cases[n]
	if c == nil {
		return Case{}, gone("case", n)
	}
	return *c, nil
}

func (w *world) OpenCase(_ context.Context, _ auth.Caller, n NewCase) (Case, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	no := int64(len(w.cases) + 1)
	w.cases[no] = &Case{ID: id.Format(caseCode, no), Title: n.Title, Status: "open", Severity: n.Severity, Opened: w.now, Updated: w.now, Revision: 1}
	return *w.cases[no], nil
}

func (w *world) ChangeCase(_ context.Context, _ auth.Caller, n, seen int64, ch CaseChange) (Case, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.cases[n]
	switch {
	case c == nil:
		return Case{}, gone("case", n)
	case c.Revision != seen:
		return Case{}, fmt.Errorf("change case %d: %w", n, ErrStale)
	case ch.Status != nil && *ch.Status == "closed" && c.OpenTasks > 0:
		return Case{}, fmt.Errorf("close case %s: %d open tasks: %w", c.ID, c.OpenTasks, fault.Conflict)
	}
	if ch.Title != nil {
		c.Title = *ch.Title
	}
	if ch.Status != nil {
		c.Status = *ch.Status
	}
	if ch.Verdict != nil {
		c.Verdict = *ch.Verdict
	}
	c.Revision++
	return *c, nil
}

func (w *world) Timeline(_ context.Context, _ auth.Caller, n int64, _ Page) (Found[CaseEvent], error) {
	return Found[CaseEvent]{Items: w.events[n]}, nil
}

func (w *world) AddNote(_ context.Context, who auth.Caller, n int64, text string) (CaseEvent, error) {
	if w.cases[n] == nil {
		return CaseEvent{}, gone("case", n)
	}
	return CaseEvent{ID: 1, Time: w.now, Kind: "note", By: who.Name, Text: text}, nil
}

func (w *world) AddTask(_ context.Context, who auth.Caller, _ int64, n NewTask) (Task, error) {
	return Task{ID: "1", Title: n.Title, Status: "open", By: who.Name, Added: w.now}, nil
}

func (w *world) ChangeTask(_ context.Context, _ auth.Caller, n, seen int64, task string, _ TaskChange) (Task, error) {
	c := w.cases[n]
	if c == nil {
		return Task{}, gone("case", n)
	}
	if c.Revision != seen {
		return Task{}, ErrStale
	}
	return Task{ID: task, Title: "t", Status: "done", Added: w.now}, nil
}

func (w *world) AddObservables(_ context.Context, _ auth.Caller, _ int64, list []NewObservable) ([]Observable, error) {
	var out []Observable
	for _, o := range list {
		out = append(out, Observable{Type: "ip", Value: o.Value})
	}
	return out, nil
}

func (w *world) Runs(context.Context, auth.Caller, RunFilter, Page) (Found[Run], error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var f Found[Run]
	for _, r := range w.runs {
		f.Items = append(f.Items, *r)
	}
	return f, nil
}

func (w *world) Run(_ context.Context, _ auth.Caller, n int64) (Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.runs[n]; r != nil {
		return *r, nil
	}
	return Run{}, gone("run", n)
}

// badInputs is an error that knows its places.
type badInputs map[string]string

func (badInputs) Error() string                { return "start block-ip: its inputs are wrong" }
func (badInputs) Unwrap() error                { return fault.Invalid }
func (b badInputs) Located() map[string]string { return b }

func (w *world) Start(_ context.Context, who auth.Caller, n NewRun, key string) (Run, error) {
	if w.hold != nil {
		<-w.hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.Playbook != "block-ip" {
		return Run{}, fmt.Errorf("start %s: there is no such playbook: %w", n.Playbook, fault.NotFound)
	}
	if _, ok := n.Inputs["ip"].(string); !ok {
		return Run{}, badInputs{"/inputs/ip": "it is not an address"}
	}
	if no, ok := w.byKey[key]; ok && key != "" {
		return *w.runs[no], nil
	}
	no := int64(len(w.runs) + 1)
	w.starts++
	w.byKey[key] = no
	w.runs[no] = &Run{ID: id.Format(runCode, no), Playbook: n.Playbook, Status: "running", By: who.Name, Started: w.now}
	return *w.runs[no], nil
}

func (w *world) Retry(ctx context.Context, who auth.Caller, n int64, _ string) (Run, error) {
	r, err := w.Run(ctx, who, n)
	if err == nil && r.Status != "failed" {
		err = fmt.Errorf("retry run %s: it is %s: %w", r.ID, r.Status, fault.Conflict)
	}
	return r, err
}

func (w *world) RetryAll(context.Context, auth.Caller, RetryFilter) (Retried, error) {
	return Retried{Started: []string{"R-9"}}, nil
}

func (w *world) set(n int64, change func(*Run)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.runs[n]
	if r == nil {
		return gone("run", n)
	}
	change(r)
	return nil
}

func (w *world) Cancel(_ context.Context, _ auth.Caller, n int64, _ string) error {
	return w.set(n, func(r *Run) { r.Status = "cancelled" })
}

func (w *world) Pause(_ context.Context, _ auth.Caller, n int64, _ string) error {
	return w.set(n, func(r *Run) { r.Paused = true })
}

func (w *world) Resume(_ context.Context, _ auth.Caller, n int64, _ string) error {
	return w.set(n, func(r *Run) { r.Paused = false })
}

func (w *world) Watch(_ context.Context, _ auth.Caller, n, after int64) (<-chan RunEvent, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs[n] == nil {
		return nil, false, gone("run", n)
	}
	events := make(chan RunEvent, len(w.watched[n]))
	for _, e := range w.watched[n] {
		if e.N > after {
			events <- e
		}
	}
	close(events)
	return events, true, nil
}

func (w *world) Approvals(context.Context, auth.Caller, ApprovalFilter, Page) (Found[Approval], error) {
	var f Found[Approval]
	for _, a := range w.approvals {
		f.Items = append(f.Items, *a)
	}
	return f, nil
}

func (w *world) Approval(_ context.Context, _ auth.Caller, n int64) (Approval, error) {
	if a := w.approvals[n]; a != nil {
		return *a, nil
	}
	return Approval{}, gone("approval", n)
}

func (w *world) Answer(_ context.Context, who auth.Caller, n int64, an Answer) error {
	a := w.approvals[n]
	switch {
	case a == nil:
		return gone("approval", n)
	case !slices.ContainsFunc(a.Asks, func(q Quorum) bool { return slices.ContainsFunc(q.People, who.Is) }):
		return fmt.Errorf("answer %s: %s is not asked: %w", a.ID, who.Name, fault.Denied)
	case a.State != "open":
		return fmt.Errorf("answer %s: it is closed: %w", a.ID, fault.Conflict)
	case an.Hash != "" && an.Hash != a.Hash:
		return fmt.Errorf("answer %s: the action is another one by now: %w", a.ID, fault.Conflict)
	}
	a.State, a.Result = "closed", "denied"
	if an.Yes {
		a.Result = "approved"
	}
	return nil
}

func (w *world) Playbooks(context.Context, auth.Caller, Page) (Found[Playbook], error) {
	return Found[Playbook]{}, nil
}

func (w *world) Playbook(_ context.Context, _ auth.Caller, slug string) (Playbook, error) {
	if len(w.published[slug]) == 0 {
		return Playbook{}, fmt.Errorf("there is no playbook %s: %w", slug, fault.NotFound)
	}
	return Playbook{ID: slug, Published: len(w.published[slug]), Versions: len(w.published[slug])}, nil
}

func (w *world) Versions(_ context.Context, _ auth.Caller, slug string) ([]PlaybookVersion, error) {
	return w.published[slug], nil
}

func (w *world) Version(_ context.Context, _ auth.Caller, slug string, n int) (PlaybookVersion, error) {
	if n > len(w.published[slug]) {
		return PlaybookVersion{}, fmt.Errorf("playbook %s has no version %d: %w", slug, n, fault.NotFound)
	}
	return w.published[slug][n-1], nil
}

func (w *world) Draft(_ context.Context, _ auth.Caller, slug string) (Draft, error) {
	d, ok := w.drafts[slug]
	if !ok {
		return d, fmt.Errorf("playbook %s has no draft: %w", slug, fault.NotFound)
	}
	return d, nil
}

func (w *world) SaveDraft(_ context.Context, _ auth.Caller, slug, text, seen string) (Draft, error) {
	if w.drafts[slug].ETag != seen {
		return Draft{}, ErrStale
	}
	w.drafts[slug] = Draft{Playbook: slug, Text: text, At: w.now, ETag: fmt.Sprintf("%q", fmt.Sprint(len(text)))}
	return w.drafts[slug], nil
}

func (w *world) DeleteDraft(_ context.Context, _ auth.Caller, slug, _ string) error {
	delete(w.drafts, slug)
	return nil
}

func (w *world) Publish(_ context.Context, _ auth.Caller, slug, text string) (PlaybookVersion, error) {
	if strings.Contains(text, "bad") {
		return PlaybookVersion{}, &CheckFailed{[]Diagnostic{{Line: 3, Column: 5, Severity: "error", Message: "unknown key"}}}
	}
	v := PlaybookVersion{Playbook: slug, Version: len(w.published[slug]) + 1, Hash: "x", At: w.now, Published: true, Text: text}
	w.published[slug] = append(w.published[slug], v)
	return v, nil
}

func (w *world) Unpublish(context.Context, auth.Caller, string) error { return nil }

func (w *world) Check(_ context.Context, _ auth.Caller, text string) ([]Diagnostic, error) {
	if strings.Contains(text, "bad") {
		return []Diagnostic{{Line: 1, Column: 1, Severity: "error", Message: "bad"}}, nil
	}
	return nil, nil
}

func (w *world) Entries(context.Context, auth.Caller, LedgerFilter, Page) (Found[LedgerEntry], error) {
	return Found[LedgerEntry]{}, nil
}

func (w *world) Entry(_ context.Context, _ auth.Caller, n int64) (LedgerEntry, error) {
	if e := w.entries[n]; e != nil {
		return *e, nil
	}
	return LedgerEntry{}, gone("ledger entry", n)
}

func (w *world) Undo(_ context.Context, who auth.Caller, u Undo) ([]LedgerEntry, error) {
	e := w.entries[u.Entry]
	if e == nil {
		return nil, gone("ledger entry", u.Entry)
	}
	if e.State != "open" {
		return nil, fmt.Errorf("take back %s: it is %s: %w", e.ID, e.State, fault.Conflict)
	}
	e.State, e.TakenBy, e.Reason = "taken", who.Name, u.Reason
	return []LedgerEntry{*e}, nil
}

func (w *world) Lists(context.Context, auth.Caller) ([]ListInfo, error) { return nil, nil }

func (w *world) ListEntries(_ context.Context, _ auth.Caller, list string, _ Page) (Found[ListEntry], error) {
	return Found[ListEntry]{Items: w.lists[list]}, nil
}

func (w *world) Import(_ context.Context, _ auth.Caller, list string, e []ListEntry, _ bool) (Imported, error) {
	w.lists[list] = append(w.lists[list], e...)
	return Imported{Added: len(e)}, nil
}

func (w *world) Remove(context.Context, auth.Caller, string, []string) (int, error) { return 0, nil }

func (w *world) Connectors(context.Context, auth.Caller) ([]Connector, error) { return nil, nil }

func (w *world) Connections(context.Context, auth.Caller) ([]Connection, error) {
	var all []Connection
	for _, c := range w.conns {
		all = append(all, *c)
	}
	return all, nil
}

func (w *world) Connection(_ context.Context, _ auth.Caller, name string) (Connection, error) {
	if c := w.conns[name]; c != nil {
		return *c, nil
	}
	return Connection{}, fmt.Errorf("there is no connection %s: %w", name, fault.NotFound)
}

func (w *world) AddConnection(_ context.Context, _ auth.Caller, n NewConnection) (Connection, error) {
	if w.conns[n.Name] != nil {
		return Connection{}, fmt.Errorf("add connection %s: the name is taken: %w", n.Name, fault.Conflict)
	}
	w.conns[n.Name] = &Connection{Name: n.Name, Connector: n.Connector, Config: n.Config, Secrets: sortedKeys(n.Secrets), Health: "unknown", Revision: 1}
	return *w.conns[n.Name], nil
}

func (w *world) ChangeConnection(_ context.Context, _ auth.Caller, name string, seen int64, _ ConnectionChange) (Connection, error) {
	c := w.conns[name]
	if c == nil {
		return Connection{}, fmt.Errorf("there is no connection %s: %w", name, fault.NotFound)
	}
	if c.Revision != seen {
		return Connection{}, ErrStale
	}
	c.Revision++
	return *c, nil
}

func (w *world) DeleteConnection(context.Context, auth.Caller, string, int64) error { return nil }

func (w *world) TestConnection(context.Context, auth.Caller, string) (ConnectionTest, error) {
	return ConnectionTest{Health: "up"}, nil
}

func (w *world) Switches(context.Context, auth.Caller) ([]Switch, error) { return w.off, nil }

func (w *world) Overrides(context.Context, auth.Caller) ([]Override, error) { return nil, nil }

func (w *world) Sources(context.Context, auth.Caller) (Intake, error) { return Intake{}, nil }

func (w *world) Source(_ context.Context, _ auth.Caller, name string, _, _ int) (SourceDetail, error) {
	return SourceDetail{}, fmt.Errorf("source %s: %w", name, fault.NotFound)
}

func (w *world) ReadAgain(_ context.Context, _ auth.Caller, n int64) (ReadAgain, error) {
	return ReadAgain{}, fmt.Errorf("alert A-%d: %w", n, fault.NotFound)
}

func (w *world) ReadAllAgain(context.Context, auth.Caller, string, int, string) (ReadAllAgain, error) {
	return ReadAllAgain{}, nil
}

func (w *world) Closings(context.Context, auth.Caller) ([]ClosingRule, error) {
	return []ClosingRule{{Rule: "noise", Sample: "10%", Allowed: "5%"}}, nil
}

func (w *world) ClosedBy(context.Context, auth.Caller, string, Page) (Found[Alert], error) {
	return Found[Alert]{}, nil
}

func (w *world) StartClosing(_ context.Context, _ auth.Caller, rule, _ string) (ClosingRule, error) {
	return ClosingRule{Rule: rule}, nil
}

func (w *world) Alarms(context.Context, auth.Caller, bool, Page) (Found[Alarm], error) {
	return Found[Alarm]{}, nil
}

func (w *world) AcknowledgeAlarm(_ context.Context, _ auth.Caller, n int64, _ string) (Alarm, error) {
	return Alarm{}, fmt.Errorf("alarm AL-%d: %w", n, fault.NotFound)
}

func (w *world) Override(_ context.Context, who auth.Caller, o Override) (Override, error) {
	o.By = who.Name
	return o, nil
}

func (w *world) AuditLog(context.Context, auth.Caller, AuditFilter, Page) (Found[AuditEntry], error) {
	return Found[AuditEntry]{Items: []AuditEntry{{Seq: 1, At: w.now, Who: "ana", Act: "switch.off", Outcome: "done"}}}, nil
}

func (w *world) VerifyAudit(context.Context, auth.Caller, string) (AuditHead, error) {
	return AuditHead{Entries: 1, Head: "1:00"}, nil
}

func (w *world) SetSwitch(_ context.Context, who auth.Caller, scope string, off bool, reason string) ([]Switch, error) {
	w.off = nil
	if off {
		w.off = []Switch{{Scope: scope, By: who.Name, Since: w.now, Reason: reason}}
	}
	return w.off, nil
}

func (w *world) Replay(_ context.Context, _ auth.Caller, key string) (Kept, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k, ok := w.kept[key]
	return k, ok, nil
}

func (w *world) KeepReplay(_ context.Context, _ auth.Caller, key string, k Kept) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept[key] = k
	return nil
}

func (w *world) DropReplay(_ context.Context, _ auth.Caller, key string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.kept, key)
	return nil
}

func (w *world) People(context.Context, auth.Caller) ([]Person, error) {
	var list []Person
	for _, p := range w.directory.People() {
		list = append(list, Person{Name: p.Name, Roles: p.Roles})
	}
	return list, nil
}
