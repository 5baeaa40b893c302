package httpapi

import (
	"net/http"
)

// RefuseSender answers a sender of alerts or of a webhook that shows no good
// token or signature. Whether there is such a source it is not told.
func RefuseSender(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, r, unauthorized.problem("there is no such source, or its token is wrong; send it as Authorization: Bearer").
		with("WWW-Authenticate", "Bearer"))
}

// RefuseReader answers a monitoring system that may not read metrics.
func RefuseReader(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, r, unauthorized.problem("metrics need an API token with metrics:read; send it as Authorization: Bearer").
		with("WWW-Authenticate", "Bearer"))
}

// SenderError answers a sender with an error: 400 for a body that cannot be
// read, 503 where the same body may be sent again later.
func SenderError(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status == http.StatusUnprocessableEntity {
		p = malformed.problem(p.Detail, p.Errors...)
	}
	writeProblem(w, r, p)
}
