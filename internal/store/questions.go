package store

import (
	"encoding/json"
	"fmt"
	"slices"
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

// OpenQuestion stores a question and sets its ID; one that is there already
// stays as it is.
func OpenQuestion(tx *Tx, q *Question) error {
	body, err := json.Marshal(q.Question)
	if err != nil {
		return fmt.Errorf("store a question of %s: %w", q.Run, err)
	}
	n, err := NextID(tx, Questions)
	if err != nil {
		return err
	}
	err = tx.QueryRow(`INSERT INTO questions (id, tenant, run_id, act, n, kind, state, playbook, run_by, case_id, alert_id, severity, asked, until, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, act, n) DO UPDATE SET run_id = excluded.run_id RETURNING id`,
		n, tenantOf(q.Tenant), int64(q.Run), q.Act, q.N, string(q.Kind), string(QuestionOpen), q.Playbook, q.By, q.Case, q.Alert, q.Severity, q.Asked, q.Until, json.RawMessage(body)).Scan(&q.ID)
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

func answersOf(q *Reader, id int64) ([]GivenAnswer, error) {
	list, err := all(q, func(r *Rows, a *GivenAnswer) error {
		var body json.RawMessage
		if err := r.Scan(&a.At, &body); err != nil {
			return err
		}
		return json.Unmarshal(body, &a.Answer)
	}, "SELECT at, body FROM answers WHERE question_id = ? ORDER BY person", id)
	if err != nil {
		return nil, fmt.Errorf("read the answers to AP-%d: %w", id, err)
	}
	slices.SortStableFunc(list, func(a, b GivenAnswer) int { return a.At.Compare(b.At) })
	return list, nil
}

// QuestionOfAct reads the question that a run put with its Nth call of an
// activation, without its answers: fault.NotFound.
func QuestionOfAct(q *Reader, id run.ID, act run.Act, n int) (x Question, err error) {
	err = scanQuestion(&x, q.QueryRow("SELECT "+questionColumns+" FROM questions WHERE run_id = ? AND act = ? AND n = ?", int64(id), act, n).Scan)
	if err != nil {
		return x, fmt.Errorf("read a question of %s: %w", id, err)
	}
	return x, nil
}

// QuestionFilter narrows a list of questions. Zero values do not.
type QuestionFilter struct {
	State QuestionState
	Run   run.ID
	Case  int64
}

// Cursor is where a list of questions goes on after this one.
func (q Question) Cursor() string { return place{q.ID, q.ID}.cursor(questionList) }

const questionList = "questions"

// ListQuestions lists questions, those that wait longest first.
func ListQuestions(q *Reader, tenant string, f QuestionFilter, s Slice) (Page[Question], error) {
	l := f.listing(tenantOf(tenant))
	read := func(q *Reader, id int64) (x Question, err error) {
		if err := scanQuestion(&x, q.QueryRow("SELECT "+questionColumns+" FROM questions WHERE id = ?", id).Scan); err != nil {
			return x, err
		}
		x.Answers, err = answersOf(q, id)
		return x, err
	}
	return page(q, l, s, read)
}

// listing picks the index that leaves the least, and makes filters of the rest.
func (f QuestionFilter) listing(tenant string) *listing {
	l := &listing{name: questionList, table: "questions", sort: "id", id: "id", up: true}
	state := f.State
	switch {
	case f.Run != 0:
		l.ranges = []clause{{"run_id = ? AND tenant = ?", []any{int64(f.Run), tenant}}}
		if f.Case != 0 {
			l.filter("case_id = ?", f.Case)
		}
	case f.Case != 0:
		l.ranges = []clause{{"case_id = ? AND case_id > 0 AND tenant = ?", []any{f.Case, tenant}}}
	case state != "":
		l.ranges, state = []clause{{"tenant = ? AND state = ?", []any{tenant, string(state)}}}, ""
	default:
		l.ranges = []clause{{"tenant = ?", []any{tenant}}}
	}
	if state != "" {
		l.filter("state = ?", state)
	}
	return l
}
