package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/s2"

	"riposte/internal/alert"
	"riposte/internal/fault"
)

// alertBody is what of an alert nothing searches by.
type alertBody struct {
	Description string             `json:"description,omitempty"`
	Entities    []alert.Entity     `json:"entities,omitempty"`
	Observables []alert.Observable `json:"observables,omitempty"`
	Techniques  []string           `json:"techniques,omitempty"`
	Fields      map[string]any     `json:"fields,omitempty"`
	Link        string             `json:"link,omitempty"`
	Tags        []string           `json:"tags,omitempty"`
	Given       *alert.Given       `json:"given,omitempty"`
	Problems    []string           `json:"problems,omitempty"`
	Reasons     []alert.Reason     `json:"reasons,omitempty"`
	Failed      []string           `json:"failed,omitempty"`
}

// packAlert makes the content column: the length of the body, the body as JSON
// and the event as it came, compressed as one. The normal form repeats most of
// the event, so that together they take little more than one of them, and what
// is written for an alert is what an alert costs.
func packAlert(a *alert.Alert) ([]byte, error) {
	body, err := json.Marshal(alertBody{
		a.Description, a.Entities, a.Observables, a.Techniques, a.Fields, a.Link, a.Tags, a.Given, a.Problems, a.Reasons, a.Failed,
	})
	if err != nil {
		return nil, err
	}
	return packContent(body, a.Raw), nil
}

func packContent(body, raw []byte) []byte {
	plain := make([]byte, 0, binary.MaxVarintLen64+len(body)+len(raw))
	plain = binary.AppendUvarint(plain, uint64(len(body)))
	plain = append(append(plain, body...), raw...)
	return s2.Encode(nil, plain)
}

// maxContent bounds what a content column may unpack to.
const maxContent = 4 * alert.MaxEventBytes

// unpackAlert reads a content column back.
func unpackAlert(content []byte) (b alertBody, raw json.RawMessage, err error) {
	damaged := func(what any) error {
		return fmt.Errorf("its content is damaged: %v: %w", what, fault.Invalid)
	}
	if n, err := s2.DecodedLen(content); err != nil || n > maxContent {
		return b, nil, damaged(fmt.Sprintf("%d bytes, %v", n, err))
	}
	plain, err := s2.Decode(nil, content)
	if err != nil {
		return b, nil, damaged(err)
	}
	size, head := binary.Uvarint(plain)
	if head <= 0 || size > uint64(len(plain)-head) {
		return b, nil, damaged("it ends too early")
	}
	body, raw := plain[head:head+int(size)], plain[head+int(size):]
	if err := json.Unmarshal(body, &b); err != nil {
		return b, nil, damaged(err)
	}
	return b, raw, nil
}

// packOldAlerts packs the alerts that were stored as two columns.
func packOldAlerts(ctx context.Context, tx *sql.Tx, text func(string) string) error {
	const slice = 200
	for from := int64(-1); ; {
		ids, contents, err := oldAlerts(ctx, tx, text(fmt.Sprintf("SELECT id, body, raw FROM alerts WHERE id > ? ORDER BY id LIMIT %d", slice)), from)
		if err != nil {
			return err
		}
		for i, id := range ids {
			if _, err := tx.ExecContext(ctx, text("UPDATE alerts SET content = ? WHERE id = ?"), contents[i], id); err != nil {
				return err
			}
			from = id
		}
		if len(ids) < slice {
			break
		}
	}
	for _, column := range []string{"body", "raw"} {
		if _, err := tx.ExecContext(ctx, "ALTER TABLE alerts DROP COLUMN "+column); err != nil {
			return err
		}
	}
	return nil
}

func oldAlerts(ctx context.Context, tx *sql.Tx, query string, from int64) (ids []int64, contents [][]byte, err error) {
	rows, err := tx.QueryContext(ctx, query, from)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var body, raw sql.NullString
		if err := rows.Scan(&id, &body, &raw); err != nil {
			return nil, nil, err
		}
		ids, contents = append(ids, id), append(contents, packContent([]byte(body.String), []byte(raw.String)))
	}
	return ids, contents, rows.Err()
}
