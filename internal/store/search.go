package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"riposte/internal/alert"
	"riposte/internal/cases"
)

// The index of words is written behind everything else: an alert that has just
// come can be found a moment later, and no sender waits for it. Alerts are
// indexed in the order of their numbers; what changes after is put on a list.

const (
	searchSlice = 128                    // records that one job indexes
	searchPause = 200 * time.Millisecond // between two looks, so that a look finds several
)

// The kinds of records that wantSearch takes.
const (
	searchAlert = "alert"
	searchCase  = "case"
)

// wantSearch has a record indexed again.
func wantSearch(tx *Tx, kind string, id int64) error {
	_, err := tx.Exec("INSERT INTO search_wanted (kind, id) VALUES (?, ?) ON CONFLICT DO NOTHING", kind, id)
	return err
}

// KeepSearch keeps the index of words up to date until ctx ends. While others
// write it takes a small part of the time only: senders wait, searchers can.
func (d *DB) KeepSearch(ctx context.Context) error {
	const part = 9 // rests so many times as long as it worked
	for {
		began, commits := time.Now(), d.commits.Load()
		more, err := d.IndexSearch(ctx)
		if err != nil && ctx.Err() == nil && !isStorage(d.be, err) {
			return err
		}
		rest := searchPause
		switch others := d.commits.Load() > commits+1; {
		case more && others:
			rest = part * time.Since(began)
		case more:
			rest = 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(rest):
		}
	}
}

// document is a record as the index of words takes it; without words it is taken
// out.
type document struct {
	id    int64
	words string
}

// IndexSearch indexes one slice of what is not indexed yet, and tells whether
// there was any.
func (d *DB) IndexSearch(ctx context.Context) (more bool, err error) {
	var alerts, againAlerts, againCases []document
	var upto int64
	err = d.Read(ctx, func(q *Reader) (err error) {
		if alerts, upto, err = newDocuments(q); err != nil {
			return err
		}
		if againAlerts, err = changedDocuments(q, searchAlert, upto, alertDocument); err != nil {
			return err
		}
		againCases, err = changedDocuments(q, searchCase, math.MaxInt64, caseDocument)
		return err
	})
	if err != nil || len(alerts)+len(againAlerts)+len(againCases) == 0 {
		return false, err
	}
	err = d.Write(ctx, func(tx *Tx) error {
		if len(alerts) > 0 {
			if _, err := tx.Exec("UPDATE search_state SET upto = ? WHERE name = 'alerts'", upto); err != nil {
				return err
			}
		}
		return errors.Join(
			saveDocuments(tx, "search_alerts", "", alerts),
			saveDocuments(tx, "search_alerts", searchAlert, againAlerts),
			saveDocuments(tx, "search_cases", searchCase, againCases))
	})
	if err != nil {
		return false, fmt.Errorf("index words: %w", err)
	}
	return true, nil
}

// newDocuments reads the alerts that follow those that are indexed. A number that
// is given out belongs to the transaction that stores its alert, and there is one
// at a time: nothing with a lower number comes later.
func newDocuments(q *Reader) (list []document, upto int64, err error) {
	if err := q.QueryRow("SELECT upto FROM search_state WHERE name = 'alerts'").Scan(&upto); err != nil {
		return nil, 0, err
	}
	ids, err := all(q, func(r *Rows, v *int64) error { return r.Scan(v) },
		fmt.Sprintf("SELECT id FROM alerts WHERE id > ? ORDER BY id LIMIT %d", searchSlice), upto)
	if err != nil {
		return nil, 0, err
	}
	for _, id := range ids {
		doc, err := alertDocument(q, id)
		if err != nil {
			return nil, 0, err
		}
		list, upto = append(list, doc), id
	}
	return list, upto, nil
}

// changedDocuments reads records that are to be indexed again, up to a number.
func changedDocuments(q *Reader, kind string, upto int64, read func(*Reader, int64) (document, error)) (list []document, err error) {
	ids, err := all(q, func(r *Rows, v *int64) error { return r.Scan(v) },
		fmt.Sprintf("SELECT id FROM search_wanted WHERE kind = ? AND id <= ? ORDER BY id LIMIT %d", searchSlice), kind, upto)
	for _, id := range ids {
		doc, err := read(q, id)
		if err != nil {
			return nil, err
		}
		list = append(list, doc)
	}
	return list, err
}

// saveDocuments puts records into the index, in place of what it had of them
// where kind names the list that they come from.
func saveDocuments(tx *Tx, table, kind string, list []document) error {
	store, _, _ := tx.conn.be.search()
	for _, doc := range list {
		if kind != "" {
			if _, err := tx.Exec("DELETE FROM "+table+" WHERE rowid = ?", doc.id); err != nil {
				return err
			}
			if _, err := tx.Exec("DELETE FROM search_wanted WHERE kind = ? AND id = ?", kind, doc.id); err != nil {
				return err
			}
		}
		if doc.words == "" {
			continue
		}
		if _, err := tx.Exec("INSERT INTO "+table+" (rowid, words) VALUES (?, "+store+")", doc.id, doc.words); err != nil {
			return err
		}
	}
	return nil
}

// alertDocument makes the document of an alert: one without words where it is
// gone.
func alertDocument(q *Reader, id int64) (document, error) {
	var a alert.Alert
	err := scanAlert(&a, q.QueryRow("SELECT "+alertColumns+" FROM alerts WHERE id = ?", id).Scan)
	if isNoRow(err) {
		return document{id: id}, nil
	}
	texts := []string{a.Title, a.Description, a.Source, a.Category, a.Error}
	for _, e := range a.Entities {
		texts = append(texts, e.Value)
	}
	for _, o := range a.Observables {
		texts = append(texts, o.Value)
	}
	texts = append(texts, a.Techniques...)
	texts = leaves(texts, a.Fields, 0)
	if a.Error != "" { // there is nothing else of it
		texts = append(texts, string(a.Raw))
	}
	return document{id, indexed(texts)}, err
}

// maxLeaves and maxDepth bound what of an alert's fields is indexed.
const (
	maxLeaves = 400
	maxDepth  = 12
)

// leaves adds the texts inside a value.
func leaves(texts []string, v any, depth int) []string {
	if len(texts) >= maxLeaves || depth > maxDepth {
		return texts
	}
	switch v := v.(type) {
	case string:
		texts = append(texts, v)
	case float64:
		texts = append(texts, fmt.Sprint(v))
	case []any:
		for _, e := range v {
			texts = leaves(texts, e, depth+1)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			texts = leaves(texts, v[key], depth+1)
		}
	}
	return texts
}

// caseDocument makes the document of a case with its notes, tasks, evidence and
// observables: one without words where it is gone.
func caseDocument(q *Reader, id int64) (document, error) {
	var c cases.Case
	err := scanCase(&c, q.QueryRow("SELECT "+caseColumns+" FROM cases WHERE id = ?", id).Scan)
	if isNoRow(err) {
		return document{id: id}, nil
	}
	if err != nil {
		return document{}, err
	}
	texts := append([]string{c.Title, c.Description, c.Summary, c.Reason, c.Category, c.Owner}, c.Tags...)
	texts = leaves(texts, c.Fields, 0)
	for _, query := range []string{
		"SELECT text FROM case_notes WHERE case_id = ? ORDER BY n",
		"SELECT title FROM case_tasks WHERE case_id = ? ORDER BY n",
		"SELECT value FROM case_observables WHERE case_id = ? ORDER BY type, value",
	} {
		more, err := all(q, func(r *Rows, v *string) error { return r.Scan(v) }, query+fmt.Sprintf(" LIMIT %d", maxLeaves), id)
		if err != nil {
			return document{}, fmt.Errorf("words of case %s: %w", cases.ID(id), err)
		}
		texts = append(texts, more...)
	}
	return document{id, indexed(texts)}, nil
}

// SearchBehind counts the alerts that cannot be found by their words yet.
func SearchBehind(q *Reader) (n int64, err error) {
	err = q.QueryRow(`SELECT coalesce((SELECT max(id) FROM alerts), 0) - (SELECT upto FROM search_state WHERE name = 'alerts')`).Scan(&n)
	return max(n, 0), err
}

// bySearch makes a listing of the records that a search finds, the newest first.
// record is their table, with the name that filters call it by.
func (l *listing) bySearch(q *Reader, table, record, name, search string) {
	l.name, l.sort, l.id = l.name+"-found", "s.rowid", "s.rowid"
	l.table = table + " s JOIN " + record + " ON " + name + ".id = s.rowid"
	list := phrases(search)
	if len(list) == 0 { // nothing that is a word
		l.ranges = []clause{{"s.rowid = 0", nil}}
		return
	}
	_, met, ask := q.conn.be.search()
	l.ranges = []clause{{"s." + met, []any{ask(list)}}}
}
