package httpapi

import (
	"errors"
	"net/http"

	"riposte/internal/fault"
)

// RefuseSender answers a sender of alerts whose source or token is not known.
func RefuseSender(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeProblem(w, r, unauthorized.problem("there is no such source, or its token is wrong; send it as Authorization: Bearer"))
}

// SenderError answers a sender of alerts with an error: 400 for a body that
// cannot be read, 503 where the same body may be sent again later.
func SenderError(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, fault.Invalid) {
		writeProblem(w, r, malformed.problem(message(err, fault.Invalid)))
		return
	}
	writeProblem(w, r, problemOf(err))
}
