package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"riposte/internal/fault"
)

// problemMedia is the media type of every error.
const problemMedia = "application/problem+json"

// Problem is an error as clients see it (RFC 9457).
type Problem struct {
	Type      string         `json:"type" doc:"What kind of problem this is: a stable URI to branch on." example:"urn:riposte:problem:not-found"`
	Title     string         `json:"title" doc:"The kind in words; the same for every problem of this type."`
	Status    int            `json:"status" doc:"The HTTP status code."`
	Detail    string         `json:"detail,omitempty" doc:"What went wrong this time, for people."`
	RequestID string         `json:"request_id,omitempty" doc:"Names this request in the server's log."`
	Errors    []ProblemError `json:"errors,omitempty" doc:"The parts of the request that are wrong."`

	header http.Header
	cause  error // for the log; never sent
}

// ProblemError is one wrong part of a request.
type ProblemError struct {
	Detail    string `json:"detail" doc:"What is wrong with it."`
	Pointer   string `json:"pointer,omitempty" doc:"JSON pointer into the request's body, as a URI fragment." example:"#/inputs/ip"`
	Parameter string `json:"parameter,omitempty" doc:"The parameter of path or query, or the header." example:"limit"`
}

// kind is what all problems of one type share.
type kind struct {
	name   string
	title  string
	status int
}

var (
	malformed      = kind{"malformed", "The request cannot be read", http.StatusBadRequest}
	unauthorized   = kind{"unauthenticated", "Sign in first", http.StatusUnauthorized}
	denied         = kind{"denied", "This is not allowed", http.StatusForbidden}
	notFound       = kind{"not-found", "There is no such thing", http.StatusNotFound}
	badMethod      = kind{"method-not-allowed", "This method is not offered here", http.StatusMethodNotAllowed}
	notAcceptable  = kind{"not-acceptable", "The answer is only offered as JSON", http.StatusNotAcceptable}
	timedOut       = kind{"timeout", "The request took too long to arrive", http.StatusRequestTimeout}
	conflict       = kind{"conflict", "The state of the record forbids it", http.StatusConflict}
	inFlight       = kind{"in-flight", "The same request is still being worked on", http.StatusConflict}
	interrupted    = kind{"interrupted", "Whether it was done is not known", http.StatusConflict}
	stale          = kind{"stale", "The record has changed meanwhile", http.StatusPreconditionFailed}
	tooLarge       = kind{"too-large", "The request is too large", http.StatusRequestEntityTooLarge}
	wrongMedia     = kind{"unsupported-media-type", "Send application/json", http.StatusUnsupportedMediaType}
	invalid        = kind{"invalid", "The request is well-formed but wrong", http.StatusUnprocessableEntity}
	keyReused      = kind{"key-reused", "The idempotency key was used for another request", http.StatusUnprocessableEntity}
	noPrecondition = kind{"precondition-required", "Say which state you have seen", http.StatusPreconditionRequired}
	tooMany        = kind{"too-many-requests", "Too many requests", http.StatusTooManyRequests}
	internal       = kind{"internal", "Internal error", http.StatusInternalServerError}
	tryAgain       = kind{"try-again", "Try again later", http.StatusServiceUnavailable}
)

// kinds lists every problem type, for the document and for errors that huma
// makes itself and that carry a status only. Where two share a status, the
// first is what huma means.
var kinds = []kind{
	malformed, unauthorized, denied, notFound, badMethod, notAcceptable, timedOut, conflict, inFlight, interrupted, stale,
	tooLarge, wrongMedia, invalid, keyReused, noPrecondition, tooMany, internal, tryAgain,
}

func (k kind) problem(detail string, errs ...ProblemError) *Problem {
	return &Problem{Type: "urn:riposte:problem:" + k.name, Title: k.title, Status: k.status, Detail: detail, Errors: errs}
}

// Error is the problem's detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// GetStatus tells huma the status code.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders tells huma what to send beside the body.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType tells huma the media type.
func (p *Problem) ContentType(string) string { return problemMedia }

// Unwrap gives what the log shall say.
func (p *Problem) Unwrap() error { return p.cause }

func (p *Problem) with(name, value string) *Problem {
	if p.header == nil {
		p.header = http.Header{}
	}
	p.header.Set(name, value)
	return p
}

// Located is an error that knows which parts of the input are wrong. Keys are
// JSON pointers into the request's body.
type Located interface {
	error
	Located() map[string]string
}

// problemOf turns an error of any kind into what clients see. Errors of no
// known kind say nothing of what happened: they may hold anything.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var failed *CheckFailed
	if errors.As(err, &failed) {
		return failed.problem()
	}
	p = plain(err)
	p.cause = err
	return p
}

func plain(err error) *Problem {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge.problem(tooLargeDetail(large.Limit))
	case errors.Is(err, ErrStale):
		return staleRecord()
	case errors.Is(err, fault.Invalid):
		return invalid.problem(message(err, fault.Invalid), located(err)...)
	case errors.Is(err, fault.NotFound):
		return notFound.problem(message(err, fault.NotFound))
	case errors.Is(err, fault.Conflict):
		return conflict.problem(message(err, fault.Conflict))
	case errors.Is(err, fault.Denied):
		return denied.problem(message(err, fault.Denied))
	case errors.Is(err, fault.Transient):
		return tryAgain.problem(message(err, fault.Transient)).with("Retry-After", "1")
	}
	return internal.problem("")
}

// message is an error's text without the kind at its end, which status and type
// already tell.
func message(err, kind error) string {
	return strings.TrimSuffix(strings.TrimSuffix(err.Error(), kind.Error()), ": ")
}

func located(err error) []ProblemError {
	var l Located
	if !errors.As(err, &l) {
		return nil
	}
	var list []ProblemError
	for _, pointer := range sortedKeys(l.Located()) {
		list = append(list, ProblemError{Detail: l.Located()[pointer], Pointer: "#" + pointer})
	}
	return list
}

// writeProblem sends a problem from outside huma.
func writeProblem(w http.ResponseWriter, r *http.Request, p *Problem) {
	p.RequestID = requestID(r.Context())
	h := w.Header()
	for name, values := range p.header {
		h[name] = values
	}
	h.Set("Content-Type", problemMedia)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone: nobody is left to tell
}
