package httpapi

// Page is the part of a list that is asked for. Every list has one order;
// Cursor is Found.Next of the page before, "" for the first one. One that is not
// from this list is fault.Invalid.
type Page struct {
	Limit  int // 1 to 500
	Cursor string
}

// Found is a page of a list. Next is "" on the last one.
type Found[T any] struct {
	Items []T
	Next  string
}

// Paged is embedded in the input of every list.
type Paged struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many entries at most. A page can be shorter and still not be the last."`
	Cursor string `query:"cursor" maxLength:"4096" doc:"next_cursor of the page before. Opaque: do not build or read it."`
}

func (p Paged) page() Page { return Page(p) }

// BadCursor is the problem of a cursor that no list has given.
func BadCursor() error {
	return wrongParameter("cursor", "it is not one that this list gave; begin the list again without it")
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
	return &Listed[T]{List[T]{Items: orEmpty(f.Items), NextCursor: f.Next}}, nil
}

// wrongParameter is the problem of one parameter that is well-formed but wrong.
func wrongParameter(name, detail string) *Problem {
	return invalid.problem(name+": "+detail, ProblemError{Detail: detail, Parameter: name})
}

// WrongField is the problem of one field of the body.
func WrongField(pointer, detail string) *Problem {
	return invalid.problem(pointer+": "+detail, ProblemError{Detail: detail, Pointer: "#" + pointer})
}
