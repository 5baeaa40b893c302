package store

import (
	"fmt"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// alertColumns are in the order of scanAlert.
const alertColumns = `id, tenant, source, identity_key, group_key, title, severity, category, status,
	at, received, first_seen, last_seen, seen, mapping, mapping_no, error,
	rule, rules_no, outcome, into_id, folded, verdict, changes, score, band, ready, content`

func scanAlert(a *alert.Alert, scan func(into ...any) error) error {
	var content []byte
	err := scan(&a.ID, &a.Tenant, &a.Source, &a.IdentityKey, &a.GroupKey, &a.Title, &a.Severity, &a.Category, &a.Status,
		&a.Time, &a.Received, &a.FirstSeen, &a.LastSeen, &a.Count, &a.Mapping, &a.MappingNo, &a.Error,
		&a.Rule, &a.RulesNo, &a.Outcome, &a.Into, &a.Folded, &a.Verdict, &a.Changes, &a.Score, &a.Band, &a.Ready, &content)
	if err != nil {
		return err
	}
	b, raw, err := unpackAlert(content)
	if err != nil {
		return fmt.Errorf("alert %s: %w", a.ID, err)
	}
	a.Description, a.Entities, a.Observables = b.Description, b.Entities, b.Observables
	a.Techniques, a.Fields, a.Link, a.Raw = b.Techniques, b.Fields, b.Link, raw
	a.Tags, a.Given, a.Problems = b.Tags, b.Given, b.Problems
	a.Reasons, a.Failed = b.Reasons, b.Failed
	a.Score, a.Waiting = max(a.Score, 0), a.Ready.IsZero()
	return nil
}

// Alert reads an alert with its raw event: fault.NotFound if there is none in the
// tenant.
func Alert(q *Reader, tenant string, id alert.ID) (a alert.Alert, err error) {
	row := q.QueryRow("SELECT "+alertColumns+" FROM alerts WHERE id = ? AND tenant = ?", int64(id), tenantOf(tenant))
	if err := scanAlert(&a, row.Scan); err != nil {
		return a, fmt.Errorf("read alert %s: %w", id, err)
	}
	return a, nil
}

// AlertByKey finds an alert by its identity: fault.NotFound if there is none.
func AlertByKey(q *Reader, tenant, source, key string) (a alert.Alert, err error) {
	row := q.QueryRow("SELECT "+alertColumns+" FROM alerts WHERE tenant = ? AND source = ? AND identity_key = ?",
		tenantOf(tenant), source, key)
	if err := scanAlert(&a, row.Scan); err != nil {
		return a, fmt.Errorf("read alert %s of source %s: %w", key, source, err)
	}
	return a, nil
}

// AlertFilter says which alerts a list holds. Empty fields do not restrict.
type AlertFilter struct {
	Statuses   []alert.Status
	Severities []int
	Sources    []string
	Category   string
	Group      string
	Case       int64     // those that belong to it
	Into       int64     // those that are folded into this alert
	Observable string    // a value, with its type before a colon: ip:203.0.113.9
	From       time.Time // received at or after
	Until      time.Time // received before
	Text       string    // words, see ListAlerts
	Errors     bool      // only those that no mapping could read
	Bands      []alert.Band
	Ready      *bool // only those that are ready, or only those that wait
	ByScore    bool  // the highest score first, of those that are new
}

// ListAlerts returns alerts without their raw events, those received last first.
// Text finds those that hold all of its words, anywhere: a word may be the
// beginning of a longer one, "words in quotes" stand one after the other. What
// came in the last moments is not found yet.
func ListAlerts(q *Reader, tenant string, f AlertFilter, s Slice) (Page[alert.Alert], error) {
	l, err := f.listing(q, tenantOf(tenant))
	if err != nil {
		return Page[alert.Alert]{}, err
	}
	return page(q, l, s, func(q *Reader, id int64) (a alert.Alert, err error) {
		err = scanAlert(&a, q.QueryRow("SELECT "+alertColumns+" FROM alerts WHERE id = ?", id).Scan)
		a.Raw = nil // a list is not the place for it
		return a, err
	})
}

// listing picks the index that leaves the least, and makes filters of the rest.
func (f AlertFilter) listing(q *Reader, tenant string) (*listing, error) {
	l := &listing{name: "alerts", table: "alerts", sort: "received", id: "id"}
	span, err := spanOf("received", f.From, f.Until)
	if err != nil {
		return nil, err
	}
	byStatus := len(f.Statuses) > 0 || len(f.Severities) > 0
	switch {
	case f.ByScore:
		return f.byScore(l, tenant)
	case f.Ready != nil && !*f.Ready && f.Text == "" && f.Observable == "" && f.Case == 0 && f.Into == 0:
		l.ranges = []clause{{"tenant = ? AND ready = 0" + span.text, append([]any{tenant}, span.args...)}}
		f.others(l)
		return l, nil
	case f.Text != "":
		return f.bySearch(q, l, tenant)
	case f.Observable != "":
		return f.byObservable(tenant)
	case f.Case != 0:
		return f.byCase(tenant)
	case f.Into != 0:
		l.ranges = []clause{{"tenant = ? AND into_id = ? AND into_id > 0" + span.text, append([]any{tenant, f.Into}, span.args...)}}
	case f.Group != "":
		l.ranges = []clause{{"tenant = ? AND group_key = ? AND group_key <> ''" + span.text, append([]any{tenant, f.Group}, span.args...)}}
	case f.Errors:
		l.ranges = []clause{{"tenant = ? AND error <> ''" + span.text, append([]any{tenant}, span.args...)}}
	case byStatus:
		l.ranges = f.statusRanges(tenant, span)
		byStatus = false
	case len(f.Sources) > 0:
		for _, src := range f.Sources {
			l.ranges = append(l.ranges, clause{"tenant = ? AND source = ?" + span.text, append([]any{tenant, src}, span.args...)})
		}
	default:
		l.ranges = []clause{{"tenant = ?" + span.text, append([]any{tenant}, span.args...)}}
	}
	if f.Ready != nil { // few wait, so it is no filter that leaves little
		for i := range l.ranges {
			l.ranges[i].text += " AND ready > 0"
		}
	}
	f.residue(l, byStatus)
	return l, nil
}

// byScore is the queue of people: what is new, the highest score first.
func (f AlertFilter) byScore(l *listing, tenant string) (*listing, error) {
	if len(f.Statuses) > 1 || len(f.Statuses) == 1 && f.Statuses[0] != alert.New {
		return nil, fmt.Errorf("list alerts: only those with the status new are sorted by score: %w", fault.Invalid)
	}
	if f.Text != "" || f.Observable != "" || f.Case != 0 || f.Into != 0 {
		return nil, fmt.Errorf("list alerts: what is found by words, observable or case is sorted by time only: %w", fault.Invalid)
	}
	l.name, l.sort = "alerts-by-score", "score"
	text := "tenant = ? AND status = 'new'"
	if f.Ready != nil && *f.Ready {
		text += " AND ready > 0"
	} else if f.Ready != nil {
		l.filter("ready = 0")
	}
	l.ranges = []clause{{text, []any{tenant}}}
	span, err := spanOf("received", f.From, f.Until)
	if span.text != "" {
		l.filter(strings.TrimPrefix(span.text, " AND "), span.args...)
	}
	f.Statuses = nil
	f.others(l)
	return l, err
}

// others filters by all that some index or other serves.
func (f AlertFilter) others(l *listing) {
	in(l, "status", f.Statuses)
	in(l, "severity", f.Severities)
	in(l, "source", f.Sources)
	in(l, "band", f.Bands)
	if f.Category != "" {
		l.filter("category = ?", f.Category)
	}
	if f.Group != "" {
		l.filter("group_key = ?", f.Group)
	}
	if f.Errors {
		l.filter("error <> ''")
	}
}

// residue adds what the chosen index does not serve.
func (f AlertFilter) residue(l *listing, byStatus bool) {
	if byStatus {
		in(l, "status", f.Statuses)
		in(l, "severity", f.Severities)
	}
	if !f.bySource() {
		in(l, "source", f.Sources)
	}
	in(l, "band", f.Bands)
	if f.Category != "" {
		l.filter("category = ?", f.Category)
	}
	if f.Errors && (f.Observable != "" || f.Case != 0 || f.Into != 0 || f.Group != "") {
		l.filter("error <> ''")
	}
	if f.Into != 0 && (f.Observable != "" || f.Case != 0) {
		l.filter("into_id = ?", f.Into)
	}
	if f.Group != "" && (f.Observable != "" || f.Case != 0 || f.Into != 0) {
		l.filter("group_key = ?", f.Group)
	}
	if f.Case != 0 && f.Observable != "" {
		l.filter("EXISTS (SELECT 1 FROM case_alerts x WHERE x.case_id = ? AND x.alert_id = a.id)", f.Case)
	}
}

// bySearch walks what a search finds. Numbers grow as alerts come, so that the
// newest is first here, too.
func (f AlertFilter) bySearch(q *Reader, l *listing, tenant string) (*listing, error) {
	l.bySearch(q, "search_alerts", "alerts a", "a", f.Text)
	l.filter("a.tenant = ?", tenant)
	span, err := spanOf("a.received", f.From, f.Until)
	if span.text != "" {
		l.filter(strings.TrimPrefix(span.text, " AND "), span.args...)
	}
	if f.Observable != "" {
		kind, value, ok := cutObservable(f.Observable)
		if !ok {
			return nil, noType(f.Observable)
		}
		l.filter(`EXISTS (SELECT 1 FROM alert_observables o
			WHERE o.tenant = a.tenant AND o.type = ? AND o.value = ? AND o.received = a.received AND o.alert_id = a.id)`, kind, value)
	}
	if f.Case != 0 {
		l.filter("EXISTS (SELECT 1 FROM case_alerts x WHERE x.case_id = ? AND x.alert_id = a.id)", f.Case)
	}
	if f.Group != "" {
		l.filter("group_key = ?", f.Group)
	}
	if f.Errors {
		l.filter("error <> ''")
	}
	in(l, "source", f.Sources)
	in(l, "status", f.Statuses)
	in(l, "severity", f.Severities)
	if f.Category != "" {
		l.filter("category = ?", f.Category)
	}
	return l, err
}

func noType(observable string) error {
	return fmt.Errorf("list alerts: observable %q needs its type before it, as in ip:203.0.113.9: %w", observable, fault.Invalid)
}

// bySource tells whether the index by source is the one that was chosen.
func (f AlertFilter) bySource() bool {
	return f.Observable == "" && f.Case == 0 && f.Into == 0 && f.Group == "" && !f.Errors && len(f.Statuses) == 0 && len(f.Severities) == 0
}

// allSeverities includes 0, unknown.
var allSeverities = []int{0, 1, 2, 3, 4, 5}

// statusRanges is one range for each status and severity: within it the index
// holds the rows in the list's order.
func (f AlertFilter) statusRanges(tenant string, span clause) (ranges []clause) {
	statuses, severities := f.Statuses, f.Severities
	if len(statuses) == 0 {
		statuses = alert.Statuses
	}
	if len(severities) == 0 {
		severities = allSeverities
	}
	for _, st := range unique(statuses) {
		for _, sev := range unique(severities) {
			ranges = append(ranges, clause{
				"tenant = ? AND status = ? AND severity = ?" + span.text,
				append([]any{tenant, string(st), sev}, span.args...),
			})
		}
	}
	return ranges
}

func (f AlertFilter) byObservable(tenant string) (*listing, error) {
	span, err := spanOf("o.received", f.From, f.Until)
	if err != nil {
		return nil, err
	}
	kind, value, ok := cutObservable(f.Observable)
	if !ok {
		return nil, noType(f.Observable)
	}
	l := &listing{
		name: "alerts", sort: "o.received", id: "o.alert_id",
		table:  "alert_observables o JOIN alerts a ON a.id = o.alert_id",
		ranges: []clause{{"o.tenant = ? AND o.type = ? AND o.value = ?" + span.text, append([]any{tenant, kind, value}, span.args...)}},
	}
	f.residue(l, true)
	if len(l.filters) == 0 {
		l.table = "alert_observables o"
	}
	return l, nil
}

// byCase walks the alerts of one case, the newest first.
func (f AlertFilter) byCase(tenant string) (*listing, error) {
	l := &listing{
		name: "alerts-of-case", sort: "x.alert_id", id: "x.alert_id",
		table:  "case_alerts x JOIN alerts a ON a.id = x.alert_id",
		ranges: []clause{{"x.tenant = ? AND x.case_id = ?", []any{tenant, f.Case}}},
	}
	span, err := spanOf("a.received", f.From, f.Until)
	if span.text != "" {
		l.filter(strings.TrimPrefix(span.text, " AND "), span.args...)
	}
	f.residue(l, true)
	return l, err
}
