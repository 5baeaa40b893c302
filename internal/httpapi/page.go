package httpapi

import (
	"encoding/base64"
	"encoding/json"
)

// Page is the part of a list that is asked for. Every list has one order; After
// is where the page before ended.
type Page struct {
	Limit int     // 1 to 500
	After *Cursor // nil: from the start
}

// Cursor is a place in a list: the sort key and the ID of the entry before it.
// A list that is ordered by ID or by name alone leaves the others zero.
type Cursor struct {
	Key  int64  `json:"k,omitempty"`
	ID   int64  `json:"i,omitempty"`
	Name string `json:"n,omitempty"`
}

// Found is a page of a list. Next is nil on the last one.
type Found[T any] struct {
	Items []T
	Next  *Cursor
}

// Paged is embedded in the input of every list.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many entries at most."`
	Cursor string `query:"cursor" maxLength:"512" doc:"next_cursor of the page before. Opaque: do not build or read it."`
}

// page reads what was asked for.
func (p Paged) page() (Page, error) {
	out := Page{Limit: p.Limit}
	if p.Cursor == "" {
		return out, nil
	}
	var c Cursor
	raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		return out, wrongParameter("cursor", "it is not one that this server gave; begin the list again without it")
	}
	out.After = &c
	return out, nil
}

// List is a page of a list.
type List[T any] struct {
	Items      []T    `json:"items" nullable:"false"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Where the next page begins; absent on the last one."`
}

// Listed is the answer of a list.
type Listed[T any] struct{ Body List[T] }

func listed[T any](f Found[T], err error) (*Listed[T], error) {
	if err != nil {
		return nil, err
	}
	out := &Listed[T]{List[T]{Items: f.Items}}
	if out.Body.Items == nil {
		out.Body.Items = []T{}
	}
	if f.Next != nil {
		raw, err := json.Marshal(f.Next)
		if err != nil {
			return nil, err
		}
		out.Body.NextCursor = base64.RawURLEncoding.EncodeToString(raw)
	}
	return out, nil
}

// wrongParameter is the problem of one parameter that is well-formed but wrong.
func wrongParameter(name, detail string) *Problem {
	return invalid.problem(name+": "+detail, ProblemError{Detail: detail, Parameter: name})
}

// wrongField is the problem of one field of the body.
func wrongField(pointer, detail string) *Problem {
	return invalid.problem(pointer+": "+detail, ProblemError{Detail: detail, Pointer: "#" + pointer})
}
