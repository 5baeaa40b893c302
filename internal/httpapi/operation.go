package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"riposte/internal/auth"
)

// add registers an operation that needs a permission; "" is for whoever has an
// identity. The handler's errors become problems here and nowhere else.
func add[I, O any](a *api, need auth.Permission, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Security = []map[string][]string{{"session": {}}, {"token": {}}}
	if op.Metadata == nil {
		op.Metadata = map[string]any{}
	}
	op.Metadata[permissionKey] = need
	op.Extensions = map[string]any{}
	if need != "" {
		op.Extensions["x-permission"] = string(need)
	}
	register(a, op, handler)
}

// addOpen registers an operation that everybody may call.
func addOpen[I, O any](a *api, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	register(a, op, handler)
}

func register[I, O any](a *api, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Responses = errorResponses()
	if mayCarryKey(&op) {
		documentKey(&op)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			p := problemOf(err)
			a.logged(ctx, p)
			return nil, p
		}
		return out, nil
	})
}

// op describes an operation in one line.
func op(tag, method, path, id, summary string) huma.Operation {
	return huma.Operation{Tags: []string{tag}, Method: method, Path: path, OperationID: id, Summary: summary}
}

func answering(status int, o huma.Operation) huma.Operation {
	o.DefaultStatus = status
	return o
}

// largeBody lifts huma's own limit: the one around all requests holds.
func largeBody(o huma.Operation) huma.Operation {
	o.MaxBodyBytes = maxListBytes + 1
	return o
}

// marked marks how an operation deals with idempotency keys.
func marked(how string, o huma.Operation) huma.Operation {
	o.Metadata = map[string]any{how: true}
	return o
}

func describing(text string, o huma.Operation) huma.Operation {
	o.Description = text
	return o
}

// Nothing is the answer without a body.
type Nothing struct{}

// Body is an answer that is only a body.
type Body[T any] struct{ Body T }

func body[T any](v T, err error) (*Body[T], error) {
	if err != nil {
		return nil, err
	}
	return &Body[T]{v}, nil
}

// errorResponses documents that every error is a problem.
func errorResponses() map[string]*huma.Response {
	return map[string]*huma.Response{"default": {
		Description: "A problem (RFC 9457)",
		Content:     map[string]*huma.MediaType{problemMedia: {Schema: &huma.Schema{Ref: "#/components/schemas/Problem"}}},
	}}
}

// ETag is the ETag of a record that counts its changes.
func ETag(n int64) string { return `"` + strconv.FormatInt(n, 10) + `"` }

// ParseETag reads what ETag wrote.
func ParseETag(tag string) (n int64, ok bool) {
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return 0, false
	}
	n, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
	return n, err == nil && n > 0
}

// IfMatch is embedded in the input of every update of a record.
type IfMatch struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the state you have seen. Required: 428 without it, 412 when the record has changed since."`
}

// seen reads the revision that the client has seen.
func (m IfMatch) seen() (int64, error) {
	if m.IfMatch == "" {
		return 0, noPrecondition.problem("send If-Match with the ETag of the record as you have seen it")
	}
	if n, ok := ParseETag(m.IfMatch); ok {
		return n, nil
	}
	return 0, stale.problem("If-Match is not an ETag that this server gave; read the record again")
}

// staleRecord says that a record is no longer what the client has seen.
func staleRecord() *Problem {
	return stale.problem("the record has changed since you have read it; read it again and repeat what still applies")
}

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)
