package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/auth"
)

// Password is what is kept of a person who is not in the configuration: the
// first administrator.
type Password struct {
	Name  string
	Title string
	Roles []string
	Hash  string // argon2id, in the PHC format
}

// Passwords lists the people kept here, by name.
func Passwords(q *Reader) (list []Password, err error) {
	rows, err := q.Query("SELECT name, title, roles, password FROM people WHERE disabled = 0 ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var p Password
		var roles json.RawMessage
		if err := rows.Scan(&p.Name, &p.Title, &roles, &p.Hash); err != nil {
			return nil, fmt.Errorf("list people: %w", err)
		}
		if err := json.Unmarshal(roles, &p.Roles); err != nil {
			return nil, fmt.Errorf("list people: roles of %s: %w", p.Name, err)
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// PutPassword writes or replaces a person.
func PutPassword(tx *Tx, p Password, at time.Time) error {
	roles, err := json.Marshal(p.Roles)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO people (name, title, roles, password, created, updated) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET title = excluded.title, roles = excluded.roles, password = excluded.password, updated = excluded.updated`,
			p.Name, p.Title, json.RawMessage(roles), p.Hash, at, at)
	}
	if err != nil {
		return fmt.Errorf("write person %s: %w", p.Name, err)
	}
	return nil
}

// PutSession writes or replaces a session, by the hash of its secret.
func PutSession(tx *Tx, hash string, s auth.Session, expires time.Time) error {
	body, err := json.Marshal(s)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO sessions (hash, person, opened, expires, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (hash) DO UPDATE SET expires = excluded.expires, body = excluded.body`, hash, s.Owner, s.Created, expires, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("write a session of %s: %w", s.Owner, err)
	}
	return nil
}

// SessionOf reads a session by the hash of its secret: fault.NotFound.
func SessionOf(q *Reader, hash string) (s auth.Session, err error) {
	var body json.RawMessage
	if err = q.QueryRow("SELECT body FROM sessions WHERE hash = ?", hash).Scan(&body); err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read a session: %w", err)
	}
	return s, nil
}

// EndSession removes a session, and with it those whose time is over.
func EndSession(tx *Tx, hash string, now time.Time) error {
	if _, err := tx.Exec("DELETE FROM sessions WHERE hash = ? OR expires <= ?", hash, now); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Token is an API token. Its secret is known to its owner only.
type Token struct {
	ID int64
	auth.Token
	Hash string
}

const tokenColumns = "id, hash, body"

func scanToken(t *Token, scan func(into ...any) error) error {
	var body json.RawMessage
	if err := scan(&t.ID, &t.Hash, &body); err != nil {
		return err
	}
	return json.Unmarshal(body, &t.Token)
}

// PutToken stores a token and sets its ID, if it has none.
func PutToken(tx *Tx, t *Token, at time.Time) (err error) {
	if t.ID == 0 {
		if t.ID, err = NextID(tx, TokenIDs); err != nil {
			return err
		}
	}
	body, err := json.Marshal(t.Token)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO tokens (id, hash, name, person, created, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET body = excluded.body`, t.ID, t.Hash, t.Name, t.Owner, at, json.RawMessage(body))
	}
	if err != nil {
		return fmt.Errorf("write token %s of %s: %w", t.Name, t.Owner, err)
	}
	return nil
}

// TokenByHash finds a token by the hash of its secret: fault.NotFound.
func TokenByHash(q *Reader, hash string) (t Token, err error) {
	if err := scanToken(&t, q.QueryRow("SELECT "+tokenColumns+" FROM tokens WHERE hash = ?", hash).Scan); err != nil {
		return t, fmt.Errorf("read a token: %w", err)
	}
	return t, nil
}

// TokensOf lists a person's tokens, by name; of everybody for "".
func TokensOf(q *Reader, person string) (list []Token, err error) {
	scan := func(r *Rows, t *Token) error { return scanToken(t, r.Scan) }
	if person == "" {
		list, err = all(q, scan, "SELECT "+tokenColumns+" FROM tokens ORDER BY person, name")
	} else {
		list, err = all(q, scan, "SELECT "+tokenColumns+" FROM tokens WHERE person = ? ORDER BY name", person)
	}
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// DropToken removes a token: fault.NotFound.
func DropToken(tx *Tx, id int64) error {
	n, err := tx.Exec("DELETE FROM tokens WHERE id = ?", id)
	if err == nil && n == 0 {
		err = ErrNoRow
	}
	if err != nil {
		return fmt.Errorf("remove token %d: %w", id, err)
	}
	return nil
}
