package playbook

import (
	"riposte/internal/alert"
	"riposte/internal/expr"
)

// What a playbook can read of the objects that start it, in one place. An
// alert, a case and an indicator are given to a run as JSON objects with these
// fields; what is missing is nil.

// severities are the words that may stand where a severity is written.
var severities = map[string]int{"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}

// SeverityNumber gives the number of a severity's word; 0 where it is no such
// word.
func SeverityNumber(word string) int { return severities[word] }

// AlertType is the type of the root alert.
func AlertType() expr.Type { return alert.Type() }

// CaseType is the type of the root case.
func CaseType() expr.Type {
	text, texts := expr.Text().Nullable(), expr.List(expr.Text()).Nullable()
	return expr.Object(map[string]expr.Type{
		"id": expr.Text(), "title": text, "description": text, "category": text,
		"severity": expr.Int(), "status": text, "verdict": text, "reason": text, "tlp": text, "pap": text,
		"owner": text, "assignee": text, "group": text, "tags": texts, "labels": texts,
		"opened": expr.Time().Nullable(), "updated": expr.Time().Nullable(), "closed": expr.Time().Nullable(), "due": expr.Time().Nullable(),
		"alerts": expr.List(expr.Any()).Nullable(), "observables": expr.List(alert.ObservableType()).Nullable(),
		"tasks": expr.List(expr.Any()).Nullable(), "open_tasks": expr.Int().Nullable(), "notes": expr.List(expr.Any()).Nullable(),
		"url": text, "fields": expr.Object(nil, true).Nullable(), "summary": text, "version": expr.Int().Nullable(),
		"alert_count": expr.Int().Nullable(), "observable_count": expr.Int().Nullable(), "task_count": expr.Int().Nullable(),
		"note_count": expr.Int().Nullable(), "evidence_count": expr.Int().Nullable(), "entry_count": expr.Int().Nullable(),
	}, false)
}

// IndicatorType is the type of the root indicator. Its value is also there under
// the word for its type, so that an input named ip takes it by name.
func IndicatorType() expr.Type {
	text, texts := expr.Text().Nullable(), expr.List(expr.Text()).Nullable()
	return expr.Object(map[string]expr.Type{
		"id": text, "type": expr.Text(), "value": expr.Text(),
		"ip": text, "cidr": text, "domain": text, "url": text, "email": text, "host": text, "user": text,
		"hash": text, "md5": text, "sha1": text, "sha256": text, "sha512": text,
		"verdict": text, "confidence": expr.Number().Nullable(), "score": expr.Number().Nullable(), "severity": expr.Int().Nullable(),
		"source": text, "sources": texts, "description": text, "tags": texts, "labels": texts, "tlp": text, "pap": text,
		"added": expr.Time().Nullable(), "changed": expr.Time().Nullable(), "expires": expr.Time().Nullable(),
		"first_seen": expr.Time().Nullable(), "last_seen": expr.Time().Nullable(), "valid_from": expr.Time().Nullable(), "valid_until": expr.Time().Nullable(),
		"event": text, "fields": expr.Object(nil, true).Nullable(),
	}, false)
}

// runType is the type of the root run.
func runType() expr.Type {
	return expr.Object(map[string]expr.Type{
		"id": expr.Text(), "started": expr.Time(), "by": expr.Text().Nullable(), "test": expr.Bool(),
	}, false)
}

// playbookType is the type of the root playbook.
func playbookType() expr.Type {
	return expr.Object(map[string]expr.Type{"id": expr.Text(), "version": expr.Int()}, false)
}

// errorType is the type of error and of steps.<id>.error.
func errorType(top bool) expr.Type {
	fields := map[string]expr.Type{"message": expr.Text(), "code": expr.Text().Nullable()}
	if top {
		fields["step"] = expr.Text().Nullable()
	}
	return expr.Object(fields, false)
}

// stepResult is the type of steps.<id> for a step with this output and, for a
// step that people answer, this answer.
func stepResult(output expr.Type, answer *expr.Type, loop bool) expr.Type {
	fields := map[string]expr.Type{
		"status":   expr.Text().OneOf("pending", "running", "waiting", "succeeded", "failed", "timed_out", "denied", "cancelled", "skipped"),
		"output":   output.Nullable(),
		"error":    errorType(false).Nullable(),
		"attempts": expr.Int().Nullable(),
		"started":  expr.Time().Nullable(),
		"ended":    expr.Time().Nullable(),
	}
	if answer != nil {
		fields["answer"] = answer.Nullable()
		fields["by"] = expr.Text().Nullable()
	}
	if loop {
		for _, count := range []string{"succeeded", "failed", "rounds"} {
			fields[count] = expr.Int().Nullable()
		}
	}
	return expr.Object(fields, false)
}
