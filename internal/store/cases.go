package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
	"riposte/internal/fault"
)

// ErrStale says that a record is no longer of the version that the caller knows.
var ErrStale = fmt.Errorf("it was changed meanwhile; read it again: %w", fault.Conflict)

// caseBody is what of a case nothing searches by.
type caseBody struct {
	Description string                     `json:"description,omitempty"`
	Summary     string                     `json:"summary,omitempty"`
	Reason      string                     `json:"reason,omitempty"`
	Tags        []string                   `json:"tags,omitempty"`
	Fields      map[string]json.RawMessage `json:"fields,omitempty"`
}

const caseColumns = `id, tenant, title, category, severity, status, verdict, owner, tlp, pap, group_key,
	opened, updated, closed, version, alerts, observables, tasks, open_tasks, notes, evidence, entries, body`

func scanCase(c *cases.Case, scan func(into ...any) error) error {
	var body json.RawMessage
	err := scan(&c.ID, &c.Tenant, &c.Title, &c.Category, &c.Severity, &c.Status, &c.Verdict, &c.Owner, &c.TLP, &c.PAP, &c.Group,
		&c.Opened, &c.Updated, &c.Closed, &c.Version,
		&c.Counts.Alerts, &c.Counts.Observables, &c.Counts.Tasks, &c.OpenTasks, &c.Counts.Notes, &c.Counts.Evidence, &c.Entries, &body)
	if err != nil {
		return err
	}
	var b caseBody
	if err := json.Unmarshal(body, &b); err != nil {
		return fmt.Errorf("body of case %s: %w", c.ID, err)
	}
	c.Description, c.Summary, c.Reason, c.Tags, c.Fields = b.Description, b.Summary, b.Reason, b.Tags, b.Fields
	return nil
}

// Case reads the head of a case: fault.NotFound if there is none in the tenant.
func Case(q *Reader, tenant string, id cases.ID) (c cases.Case, err error) {
	err = scanCase(&c, q.QueryRow("SELECT "+caseColumns+" FROM cases WHERE id = ? AND tenant = ?", int64(id), tenantOf(tenant)).Scan)
	if err != nil {
		return c, fmt.Errorf("read case %s: %w", id, err)
	}
	return c, nil
}

// OpenCase makes a case.
func OpenCase(tx *Tx, tenant string, open cases.Open, at time.Time, by cases.By) (cases.Applied, error) {
	done, err := cases.Apply(cases.Case{Tenant: tenantOf(tenant)}, cases.Parts{}, open, at, by)
	if err != nil {
		return done, err
	}
	n, err := NextID(tx, Cases)
	if err != nil {
		return done, err
	}
	done.Case.ID = cases.ID(n)
	if err := insertCase(tx, done.Case); err != nil {
		return done, fmt.Errorf("open case %q: %w", open.Title, err)
	}
	return done, errors.Join(saveParts(tx, &done), wantSearch(tx, searchCase, n))
}

// ChangeCase does a change to a case and stores it with what the timeline says of
// it. version is the one that the caller knows, 0 for whichever it is: ErrStale
// where the case has another one. Beyond that it returns what cases.Apply does.
func ChangeCase(tx *Tx, tenant string, id cases.ID, version int, ch cases.Change, at time.Time, by cases.By) (cases.Applied, error) {
	c, err := Case(&tx.Reader, tenant, id)
	if err != nil {
		return cases.Applied{}, err
	}
	if version != 0 && version != c.Version {
		return cases.Applied{Case: c}, fmt.Errorf("change case %s: it has version %d, not %d: %w", id, c.Version, version, ErrStale)
	}
	parts, err := loadParts(&tx.Reader, c, ch)
	if err != nil {
		return cases.Applied{Case: c}, err
	}
	done, err := cases.Apply(c, parts, ch, at, by)
	if err != nil || len(done.Entries) == 0 {
		return done, err
	}
	if err := updateCase(tx, done.Case); err != nil {
		return done, fmt.Errorf("change case %s: %w", id, err)
	}
	return done, errors.Join(saveParts(tx, &done), decidedCase(tx, &done), wantSearch(tx, searchCase, int64(id)))
}

func (b caseBody) of(c cases.Case) (json.RawMessage, error) {
	return json.Marshal(caseBody{c.Description, c.Summary, c.Reason, c.Tags, c.Fields})
}

func insertCase(tx *Tx, c cases.Case) error {
	body, err := caseBody{}.of(c)
	if err != nil {
		return err
	}
	_, err = tx.Exec("INSERT INTO cases ("+caseColumns+") VALUES (?"+strings.Repeat(", ?", 22)+")",
		int64(c.ID), c.Tenant, c.Title, c.Category, c.Severity, c.Status, c.Verdict, c.Owner, c.TLP, c.PAP, c.Group,
		c.Opened, c.Updated, c.Closed, c.Version,
		c.Counts.Alerts, c.Counts.Observables, c.Counts.Tasks, c.OpenTasks, c.Counts.Notes, c.Counts.Evidence, c.Entries, body)
	if err != nil {
		return err
	}
	return saveTags(tx, c)
}

func updateCase(tx *Tx, c cases.Case) error {
	body, err := caseBody{}.of(c)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE cases SET title = ?, category = ?, severity = ?, status = ?, verdict = ?, owner = ?, tlp = ?, pap = ?,
			group_key = ?, updated = ?, closed = ?, version = ?, alerts = ?, observables = ?, tasks = ?, open_tasks = ?, notes = ?,
			evidence = ?, entries = ?, body = ?
		WHERE id = ? AND version = ?`,
		c.Title, c.Category, c.Severity, c.Status, c.Verdict, c.Owner, c.TLP, c.PAP,
		c.Group, c.Updated, c.Closed, c.Version, c.Counts.Alerts, c.Counts.Observables, c.Counts.Tasks, c.OpenTasks, c.Counts.Notes,
		c.Counts.Evidence, c.Entries, body, int64(c.ID), c.Version-1)
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrStale
	}
	return saveTags(tx, c)
}

// saveTags makes the case findable by its tags.
func saveTags(tx *Tx, c cases.Case) error {
	had, err := all(&tx.Reader, func(r *Rows, v *string) error { return r.Scan(v) },
		"SELECT tag FROM case_tags WHERE case_id = ? ORDER BY tag", int64(c.ID))
	if err != nil {
		return err
	}
	gone, fresh := difference(had, c.Tags)
	for _, t := range gone {
		if _, err := tx.Exec("DELETE FROM case_tags WHERE tenant = ? AND tag = ? AND case_id = ?", c.Tenant, t, int64(c.ID)); err != nil {
			return err
		}
	}
	for _, t := range fresh {
		if _, err := tx.Exec("INSERT INTO case_tags (tenant, tag, case_id) VALUES (?, ?, ?)", c.Tenant, t, int64(c.ID)); err != nil {
			return err
		}
	}
	return nil
}

// CaseFilter says which cases a list holds. Empty fields do not restrict.
type CaseFilter struct {
	Statuses   []cases.Status
	Severities []int
	Owner      *string // "" means nobody
	Verdicts   []cases.Verdict
	Tag        string
	Category   string
	Observable string    // a value, with its type before a colon: ip:203.0.113.9
	Alert      alert.ID  // only those that it belongs to
	From       time.Time // opened (or changed, see ByUpdate) at or after
	Until      time.Time // and before
	Text       string    // words, see ListAlerts; what is found is sorted by when it was opened
	ByUpdate   bool      // sorted by the last change, not by when they were opened
}

// ListCases returns the heads of cases, the newest first.
func ListCases(q *Reader, tenant string, f CaseFilter, s Slice) (Page[cases.Case], error) {
	l, err := f.listing(q, tenantOf(tenant))
	if err != nil {
		return Page[cases.Case]{}, err
	}
	return page(q, l, s, func(q *Reader, id int64) (c cases.Case, err error) {
		return c, scanCase(&c, q.QueryRow("SELECT "+caseColumns+" FROM cases WHERE id = ?", id).Scan)
	})
}

// listing picks the index that leaves the least, and makes filters of the rest.
func (f CaseFilter) listing(q *Reader, tenant string) (*listing, error) {
	l := &listing{name: "cases-opened", table: "cases", sort: "opened", id: "id"}
	if f.ByUpdate {
		l.name, l.sort = "cases-updated", "updated"
	}
	span, err := spanOf(l.sort, f.From, f.Until)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Text != "":
		f.bySearch(q, l, tenant, span)
	case f.Owner != nil:
		statuses := f.Statuses
		if len(statuses) == 0 {
			statuses = []cases.Status{cases.IsOpen, cases.IsClosed}
		}
		for _, st := range unique(statuses) {
			l.ranges = append(l.ranges, clause{"tenant = ? AND owner = ? AND status = ?" + span.text,
				append([]any{tenant, *f.Owner, string(st)}, span.args...)})
		}
		in(l, "severity", f.Severities)
	default:
		l.ranges = f.statusRanges(tenant, span)
	}
	in(l, "verdict", f.Verdicts)
	if f.Category != "" {
		l.filter("category = ?", f.Category)
	}
	return l, f.members(l, tenant)
}

// bySearch walks what a search finds, those opened last first.
func (f CaseFilter) bySearch(q *Reader, l *listing, tenant string, span clause) {
	l.bySearch(q, "search_cases", "cases", "cases", f.Text)
	l.filter("cases.tenant = ?"+span.text, append([]any{tenant}, span.args...)...)
	if f.Owner != nil {
		l.filter("owner = ?", *f.Owner)
	}
	in(l, "status", f.Statuses)
	in(l, "severity", f.Severities)
}

func (f CaseFilter) statusRanges(tenant string, span clause) (ranges []clause) {
	if len(f.Statuses) == 0 && len(f.Severities) == 0 {
		return []clause{{"tenant = ?" + span.text, append([]any{tenant}, span.args...)}}
	}
	statuses, severities := f.Statuses, f.Severities
	if len(statuses) == 0 {
		statuses = []cases.Status{cases.IsOpen, cases.IsClosed}
	}
	if len(severities) == 0 {
		severities = allSeverities[1:]
	}
	for _, st := range unique(statuses) {
		for _, sev := range unique(severities) {
			ranges = append(ranges, clause{"tenant = ? AND status = ? AND severity = ?" + span.text,
				append([]any{tenant, string(st), sev}, span.args...)})
		}
	}
	return ranges
}

// members adds filters on what belongs to a case; each is one look into an index.
func (f CaseFilter) members(l *listing, tenant string) error {
	if f.Tag != "" {
		l.filter("EXISTS (SELECT 1 FROM case_tags t WHERE t.case_id = cases.id AND t.tag = ?)", f.Tag)
	}
	if f.Alert != 0 {
		l.filter("EXISTS (SELECT 1 FROM case_alerts x WHERE x.case_id = cases.id AND x.alert_id = ?)", int64(f.Alert))
	}
	if f.Observable == "" {
		return nil
	}
	kind, value, ok := cutObservable(f.Observable)
	if !ok {
		return fmt.Errorf("list cases: observable %q needs its type before it, as in ip:203.0.113.9: %w", f.Observable, fault.Invalid)
	}
	l.filter("EXISTS (SELECT 1 FROM case_observables o WHERE o.case_id = cases.id AND o.type = ? AND o.value = ?)", kind, value)
	return nil
}

// OpenCaseOfGroup finds the open case, the newest if there are several, that
// alerts with a group key belong to; 0 if there is none.
func OpenCaseOfGroup(q *Reader, tenant, group string) (id cases.ID, err error) {
	err = q.QueryRow(`SELECT id FROM cases WHERE tenant = ? AND group_key = ? AND group_key <> '' AND status = ?
		ORDER BY id DESC LIMIT 1`, tenantOf(tenant), group, string(cases.IsOpen)).Scan(&id)
	if errors.Is(err, ErrNoRow) {
		return 0, nil
	}
	return id, err
}

// CaseOfGroupSince is OpenCaseOfGroup where the case was changed at a time or
// later.
func CaseOfGroupSince(q *Reader, tenant, group string, since time.Time) (id cases.ID, err error) {
	var updated time.Time
	err = q.QueryRow(`SELECT id, updated FROM cases WHERE tenant = ? AND group_key = ? AND group_key <> '' AND status = ?
		ORDER BY id DESC LIMIT 1`, tenantOf(tenant), group, string(cases.IsOpen)).Scan(&id, &updated)
	if errors.Is(err, ErrNoRow) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find the open case of a group: %w", err)
	}
	if updated.Before(since) {
		return 0, nil
	}
	return id, nil
}

// CasesOfAlert lists the cases that an alert belongs to, the newest first.
func CasesOfAlert(q *Reader, id alert.ID) ([]cases.ID, error) {
	return all(q, func(r *Rows, v *cases.ID) error { return r.Scan(v) },
		"SELECT case_id FROM case_alerts WHERE alert_id = ? ORDER BY case_id DESC", int64(id))
}
