package app

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"riposte/internal/expr"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// api answers the HTTP API's questions from the core. Its methods are in the
// files api_*.go, one for each interface of httpapi.
type api struct{ *core }

// read does one read of the store and turns its errors into the API's.
func (a api) read(ctx context.Context, do func(q *store.Reader) error) error {
	return stale(a.db.Read(ctx, do))
}

func (a api) write(ctx context.Context, do func(tx *store.Tx) error) error {
	return stale(a.db.Write(ctx, do))
}

// stale says in the API's words that a record has changed meanwhile.
func stale(err error) error {
	if errors.Is(err, store.ErrStale) {
		return httpapi.ErrStale
	}
	return err
}

func slice(p httpapi.Page) store.Slice { return store.Slice{Limit: p.Limit, Cursor: p.Cursor} }

// found turns a page of the store into one of the API.
func found[T, U any](p store.Page[T], err error, show func(T) U) (httpapi.Found[U], error) {
	f := httpapi.Found[U]{Items: make([]U, 0, len(p.Items)), Next: p.Next}
	for _, x := range p.Items {
		f.Items = append(f.Items, show(x))
	}
	return f, stale(err)
}

// plainJSON writes a value for clients; nil for none.
func plainJSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := expr.EncodeJSON(v)
	if err != nil {
		return nil
	}
	return b
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}
