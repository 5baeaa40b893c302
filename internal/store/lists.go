package store

import (
	"fmt"
	"time"
)

// ListEntry is a value in a list of the installation.
type ListEntry struct {
	Value   string
	Note    string
	Added   time.Time
	By      string
	Expires time.Time // zero: never
}

// ListInfo is a list and how much it holds.
type ListInfo struct {
	Name    string
	Entries int
}

// Lists tells what lists there are, by name.
func Lists(q *Reader, tenant string, now time.Time) (list []ListInfo, err error) {
	rows, err := q.Query("SELECT list, COUNT(*) FROM lists WHERE tenant = ? AND (expires = 0 OR expires > ?) GROUP BY list ORDER BY list", tenantOf(tenant), now)
	if err != nil {
		return nil, fmt.Errorf("name the lists: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i ListInfo
		if err := rows.Scan(&i.Name, &i.Entries); err != nil {
			return nil, fmt.Errorf("name the lists: %w", err)
		}
		list = append(list, i)
	}
	return list, rows.Err()
}

// FindInList looks a value up; ok is false where it is not there or its time is
// over.
func FindInList(q *Reader, tenant, list, value string, now time.Time) (e ListEntry, ok bool, err error) {
	err = q.QueryRow("SELECT value, note, added, by_whom, expires FROM lists WHERE tenant = ? AND list = ? AND value = ? AND (expires = 0 OR expires > ?)",
		tenantOf(tenant), list, value, now).Scan(&e.Value, &e.Note, &e.Added, &e.By, &e.Expires)
	switch {
	case isNoRow(err):
		return e, false, nil
	case err != nil:
		return e, false, fmt.Errorf("look into list %s: %w", list, err)
	}
	return e, true, nil
}

// PutInList adds a value or changes its note and time; added tells whether it was
// not there.
func PutInList(tx *Tx, tenant, list string, e ListEntry) (added bool, err error) {
	_, there, err := FindInList(&tx.Reader, tenant, list, e.Value, e.Added)
	if err != nil {
		return false, err
	}
	_, err = tx.Exec(`INSERT INTO lists (tenant, list, value, note, added, by_whom, expires) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, list, value) DO UPDATE SET note = excluded.note, expires = excluded.expires,
			added = CASE WHEN lists.expires > 0 AND lists.expires <= excluded.added THEN excluded.added ELSE lists.added END`,
		tenantOf(tenant), list, e.Value, e.Note, e.Added, e.By, e.Expires)
	if err != nil {
		return false, fmt.Errorf("put into list %s: %w", list, err)
	}
	return !there, nil
}

// TakeFromList removes a value; removed tells whether it was there.
func TakeFromList(tx *Tx, tenant, list, value string) (removed bool, err error) {
	n, err := tx.Exec("DELETE FROM lists WHERE tenant = ? AND list = ? AND value = ?", tenantOf(tenant), list, value)
	if err != nil {
		return false, fmt.Errorf("take from list %s: %w", list, err)
	}
	return n > 0, nil
}

// ListEntries lists what is in a list, by value.
func ListEntries(q *Reader, tenant, list string, now time.Time, s Slice) (page Page[ListEntry], err error) {
	after, err := s.text("list")
	if err != nil {
		return page, err
	}
	rows, err := q.Query(`SELECT value, note, added, by_whom, expires FROM lists
		WHERE tenant = ? AND list = ? AND value > ? AND (expires = 0 OR expires > ?) ORDER BY value LIMIT ?`, tenantOf(tenant), list, after, now, s.size()+1)
	if err != nil {
		return page, fmt.Errorf("read list %s: %w", list, err)
	}
	defer rows.Close()
	for rows.Next() {
		var e ListEntry
		if err := rows.Scan(&e.Value, &e.Note, &e.Added, &e.By, &e.Expires); err != nil {
			return page, fmt.Errorf("read list %s: %w", list, err)
		}
		page.Items = append(page.Items, e)
	}
	if len(page.Items) > s.size() {
		page.Items = page.Items[:s.size()]
		page.Next = textCursor("list", page.Items[len(page.Items)-1].Value)
	}
	return page, rows.Err()
}
