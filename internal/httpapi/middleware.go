package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

type requestKey struct{}

// requestID gives the ID under which a request is logged.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// around puts what every request needs around the routes: an ID, a log line,
// headers, limits, and a guard against requests that another site's page makes.
func (a *api) around(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, denied.problem("this request comes from another site's page"))
	}))
	guarded := foreign.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := a.Now()
		id := rand.Text()[:16]
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, id))
		rec := &recorder{ResponseWriter: w}
		headers(rec.Header(), id, strings.HasPrefix(r.URL.Path, "/api/"), a.Secure)
		if !bySender(r.URL.Path) {
			r.Body = http.MaxBytesReader(rec, r.Body, maxBody(r))
		}
		defer a.finish(rec, r, started)
		if bySender(r.URL.Path) { // sources are no browsers
			next.ServeHTTP(rec, r)
			return
		}
		guarded.ServeHTTP(rec, r)
	})
}

// finish logs a request and answers for a handler that panicked.
func (a *api) finish(w *recorder, r *http.Request, started time.Time) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p) //nolint:forbidigo // net/http asks for this one to be passed on
		}
		a.Log.Error("request panicked", "request_id", requestID(r.Context()), "method", r.Method, "path", r.URL.Path,
			"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if w.status == 0 {
			writeProblem(w, r, internal.problem(""))
		}
	}
	a.Log.Debug("request answered", "request_id", requestID(r.Context()), "method", r.Method, "path", r.URL.Path,
		"status", w.status, "took_seconds", a.Now().Sub(started).Seconds())
}

// headers are sent with every answer. The page loads only what the server
// itself serves; nothing may frame it.
func headers(h http.Header, id string, api, secure bool) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if api {
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		return
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
}

// maxListBytes is the largest list that can be imported in one request.
const maxListBytes = 16 << 20

// maxBody is how large a request's body may be. Lists are imported whole.
func maxBody(r *http.Request) int64 {
	if strings.HasPrefix(r.URL.Path, "/api/lists/") {
		return maxListBytes
	}
	return DefaultBodyBytes
}

func tooLargeDetail(limit int64) string {
	if limit >= 1<<20 && limit%(1<<20) == 0 {
		return fmt.Sprintf("the body is larger than %d MiB; send less at a time", limit>>20)
	}
	return fmt.Sprintf("the body is larger than %d bytes", limit)
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes that the answer has begun.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets net/http find what the writer can do besides.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bySender tells the paths that products send to, which authenticate by
// themselves and know no cookies.
func bySender(path string) bool {
	return strings.HasPrefix(path, IngestPath) || strings.HasPrefix(path, HookPath)
}
