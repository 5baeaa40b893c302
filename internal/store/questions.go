package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/internal/run"
)

// QuestionState is where a question stands.
type QuestionState string

// The states.
const (
	QuestionOpen   QuestionState = "open"
	QuestionClosed QuestionState = "closed"
)

// Question is a question to people, with its answers.
type Question struct {
	ID       int64 // AP-…
	Tenant   string
	Run      run.ID
	Act      run.Act
	N        int
	State    QuestionState
	Playbook string
	By       string // who or what started the run
	Case     int64
	Alert    int64
	Severity int
	Asked    time.Time
	Ended    time.Time // zero while it is open
	Answers  []GivenAnswer
	run.Question
}

// GivenAnswer is an answer and when it was given.
type GivenAnswer struct {
	At time.Time
	run.Answer
}

// OpenQuestion stores a question and sets its ID.
func OpenQuestion(tx *Tx, q *Question) error {
	body, err := json.Marshal(q.Question)
	if err != nil {
		return fmt.Errorf("store a question of %s: %w", q.Run, err)
	}
	if q.ID, err = NextID(tx, Questions); err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO questions (id, tenant, run_id, act, n, kind, state, playbook, run_by, case_id, alert_id, severity, asked, until, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, act, n) DO NOTHING`,
		q.ID, tenantOf(q.Tenant), int64(q.Run), q.Act, q.N, string(q.Kind), string(QuestionOpen), q.Playbook, q.By, q.Case, q.Alert, q.Severity, q.Asked, q.Until, json.RawMessage(body))
	if err != nil {
		return fmt.Errorf("store a question of %s: %w", q.Run, err)
	}
	return nil
}

// CloseQuestions ends the open questions of an activation, of all numbers if n is 0.
func CloseQuestions(tx *Tx, id run.ID, act run.Act, n int, at time.Time) error {
	query, args := "UPDATE questions SET state = ?, ended = ? WHERE run_id = ? AND act = ? AND state = ?", []any{string(QuestionClosed), at, int64(id), act, string(QuestionOpen)}
	if n != 0 {
		query, args = query+" AND n = ?", append(args, n)
	}
	if _, err := tx.Exec(query, args...); err != nil {
		return fmt.Errorf("close the questions of %s: %w", id, err)
	}
	return nil
}

// KeepAnswer stores an answer that a run has taken.
func KeepAnswer(tx *Tx, id run.ID, act run.Act, n int, at time.Time, a run.Answer) error {
	body, err := json.Marshal(a)
	if err == nil {
		_, err = tx.Exec(`INSERT INTO answers (tenant, question_id, person, at, body)
			SELECT tenant, id, ?, ?, ? FROM questions WHERE run_id = ? AND act = ? AND n = ?
			ON CONFLICT (question_id, person) DO NOTHING`, a.By, at, json.RawMessage(body), int64(id), act, n)
	}
	if err != nil {
		return fmt.Errorf("keep the answer of %s to a question of %s: %w", a.By, id, err)
	}
	return nil
}

const questionColumns = "id, tenant, run_id, act, n, state, playbook, run_by, case_id, alert_id, severity, asked, ended, body"

func scanQuestion(q *Question, scan func(into ...any) error) error {
	var body json.RawMessage
	if err := scan(&q.ID, &q.Tenant, &q.Run, &q.Act, &q.N, &q.State, &q.Playbook, &q.By, &q.Case, &q.Alert, &q.Severity, &q.Asked, &q.Ended, &body); err != nil {
		return err
	}
	return json.Unmarshal(body, &q.Question)
}

// QuestionOf reads a question with its answers: fault.NotFound.
func QuestionOf(q *Reader, tenant string, id int64) (x Question, err error) {
	if err := scanQuestion(&x, q.QueryRow("SELECT "+questionColumns+" FROM questions WHERE id = ? AND tenant = ?", id, tenantOf(tenant)).Scan); err != nil {
		return x, fmt.Errorf("read question AP-%d: %w", id, err)
	}
	x.Answers, err = answersOf(q, id)
	return x, err
}

func answersOf(q *Reader, id int64) (list []GivenAnswer, err error) {
	rows, err := q.Query("SELECT at, body FROM answers WHERE question_id = ? ORDER BY at, person", id)
	if err != nil {
		return nil, fmt.Errorf("read the answers to AP-%d: %w", id, err)
	}
	defer rows.Close()
	for rows.Next() {
		var a GivenAnswer
		var body json.RawMessage
		if err := rows.Scan(&a.At, &body); err != nil {
			return nil, fmt.Errorf("read the answers to AP-%d: %w", id, err)
		}
		if err := json.Unmarshal(body, &a.Answer); err != nil {
			return nil, fmt.Errorf("read the answers to AP-%d: %w", id, err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// QuestionFilter narrows a list of questions. Zero values do not.
type QuestionFilter struct {
	State QuestionState
	Run   run.ID
	Case  int64
}

// ListQuestions lists questions, those that wait longest first.
func ListQuestions(q *Reader, tenant string, f QuestionFilter, s Slice) (page Page[Question], err error) {
	from, err := s.place("questions", place{})
	if err != nil {
		return page, err
	}
	query, args := "SELECT "+questionColumns+" FROM questions WHERE tenant = ? AND id > ?", []any{tenantOf(tenant), from.id}
	if f.State != "" {
		query, args = query+" AND state = ?", append(args, string(f.State))
	}
	if f.Run != 0 {
		query, args = query+" AND run_id = ?", append(args, int64(f.Run))
	}
	if f.Case != 0 {
		query, args = query+" AND case_id = ?", append(args, f.Case)
	}
	rows, err := q.Query(query+" ORDER BY id LIMIT ?", append(args, s.size()+1)...)
	if err != nil {
		return page, fmt.Errorf("list questions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var x Question
		if err := scanQuestion(&x, rows.Scan); err != nil {
			return page, fmt.Errorf("list questions: %w", err)
		}
		page.Items = append(page.Items, x)
	}
	if err := rows.Err(); err != nil {
		return page, fmt.Errorf("list questions: %w", err)
	}
	if len(page.Items) > s.size() {
		page.Items = page.Items[:s.size()]
		page.Next = place{id: page.Items[len(page.Items)-1].ID}.cursor("questions")
	}
	for i := range page.Items {
		if page.Items[i].Answers, err = answersOf(q, page.Items[i].ID); err != nil {
			return page, err
		}
	}
	return page, nil
}
