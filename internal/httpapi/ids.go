package httpapi

import (
	"riposte/internal/id"
)

// The letter codes of records.
const (
	alertCode    = "A"
	caseCode     = "C"
	runCode      = "R"
	approvalCode = "AP"
	entryCode    = "L"
	alarmCode    = "AL"
)

// Record is embedded in the input of every operation on one record.
type Record struct {
	ID string `path:"id" maxLength:"32" example:"R-88213" doc:"The record's ID."`
}

// number reads the ID. One that cannot be is the ID of nothing.
func (r Record) number(code, what string) (int64, error) {
	n, err := id.Parse(code, r.ID)
	if err != nil || n == 0 {
		return 0, notFound.problem("there is no " + what + " " + r.ID + "; IDs look like " + code + "-123")
	}
	return n, nil
}

// reference reads an ID in a filter or a body; "" is none.
func reference(code, name, value string) (int64, error) {
	n, err := id.Parse(code, value)
	if err != nil {
		return 0, wrongParameter(name, "it is not an ID of the form "+code+"-123")
	}
	return n, nil
}

func bodyReference(code, pointer, value string) (int64, error) {
	n, err := id.Parse(code, value)
	if err != nil {
		return 0, WrongField(pointer, "it is not an ID of the form "+code+"-123")
	}
	return n, nil
}
