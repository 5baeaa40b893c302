package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/internal/alert"
)

const (
	// touchSeenAfter is how old the last sight of a record gets before it is
	// written anew: a record may be given every few seconds.
	touchSeenAfter = time.Hour
	// forgetSeenAtOnce is how many marks one transaction forgets, so that a source
	// with many never holds up the writer.
	forgetSeenAtOnce = 500
)

// MeetKeys remembers the records that a source gave, by their keys, and tells
// for each whether it had been given before, be it earlier in the list. An empty
// key is never remembered.
func MeetKeys(tx *Tx, tenant, source string, keys []string, at time.Time) (before []bool, err error) {
	before = make([]bool, len(keys))
	tenant = tenantOf(tenant)
	first := map[string]int{} // mark to its first place
	var marks []string
	for i, key := range keys {
		if key == "" {
			continue
		}
		mark := markOf(key)
		if _, twice := first[mark]; twice {
			before[i] = true
			continue
		}
		first[mark] = i
		marks = append(marks, mark)
	}
	for part := range portions(marks) {
		if err := meetPortion(tx, tenant, source, part, at, func(mark string) { before[first[mark]] = true }); err != nil {
			return nil, fmt.Errorf("remember what source %s gave: %w", source, err)
		}
	}
	return before, nil
}

// markOf is what is kept of a key.
func markOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// AnyKeyMet tells whether a source gave a record with one of the keys before. It
// remembers none.
func AnyKeyMet(q *Reader, tenant, source string, keys []string) (bool, error) {
	for _, key := range keys {
		var n int
		err := q.QueryRow("SELECT COUNT(*) FROM source_seen WHERE tenant = ? AND source = ? AND mark = ?", tenantOf(tenant), source, markOf(key)).Scan(&n)
		if err != nil {
			return false, fmt.Errorf("look for what source %s gave: %w", source, err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}

// meetPortion tells which marks are there, and adds the others.
func meetPortion(tx *Tx, tenant, source string, marks []string, at time.Time, met func(mark string)) error {
	known, err := all(&tx.Reader, func(r *Rows, m *seenMark) error { return r.Scan(&m.mark, &m.last) },
		"SELECT mark, last FROM source_seen WHERE tenant = ? AND source = ? AND mark IN (?"+strings.Repeat(", ?", len(marks)-1)+")",
		append([]any{tenant, source}, anys(marks)...)...)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, k := range known {
		there[k.mark] = true
		met(k.mark)
		if at.Sub(k.last) < touchSeenAfter {
			continue
		}
		if _, err := tx.Exec("UPDATE source_seen SET last = ? WHERE tenant = ? AND source = ? AND mark = ?", at, tenant, source, k.mark); err != nil {
			return err
		}
	}
	fresh := slices.DeleteFunc(slices.Clone(marks), func(m string) bool { return there[m] })
	for part := range portions(fresh) {
		args := make([]any, 0, 4*len(part))
		for _, m := range part {
			args = append(args, tenant, source, m, at)
		}
		if _, err := tx.Exec("INSERT INTO source_seen (tenant, source, mark, last)"+values(len(part), 4)+" ON CONFLICT DO NOTHING", args...); err != nil {
			return err
		}
	}
	return nil
}

// seenMark is a record that was given, and when last.
type seenMark struct {
	mark string
	last time.Time
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

// ForgetKeys forgets some of the records of a source that were given last before
// a time: it will not give them again.
func ForgetKeys(tx *Tx, tenant, source string, before time.Time) error {
	_, err := tx.Exec(`DELETE FROM source_seen WHERE (tenant, source, mark) IN (SELECT tenant, source, mark FROM source_seen
		WHERE tenant = ? AND source = ? AND last < ? ORDER BY last LIMIT ?)`, tenantOf(tenant), source, before, forgetSeenAtOnce)
	if err != nil {
		return fmt.Errorf("forget what source %s gave: %w", source, err)
	}
	return nil
}

// KeepBlobs notes the blobs that belong to an alert: they stay as long as it does.
func KeepBlobs(tx *Tx, a alert.ID, hashes []string) error {
	for _, h := range hashes {
		if _, err := tx.Exec("INSERT INTO alert_blobs (alert_id, hash) VALUES (?, ?) ON CONFLICT DO NOTHING", int64(a), h); err != nil {
			return fmt.Errorf("keep a blob of alert %s: %w", a, err)
		}
	}
	return nil
}

// AlertBlobs lists the blobs of all alerts.
func AlertBlobs(q *Reader) (hashes []string, err error) {
	list, err := all(q, func(r *Rows, h *string) error { return r.Scan(h) }, "SELECT DISTINCT hash FROM alert_blobs")
	if err != nil {
		return nil, fmt.Errorf("list the blobs of alerts: %w", err)
	}
	return list, nil
}
