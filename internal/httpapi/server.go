package httpapi

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"riposte/internal/auth"
)

// DefaultBodyBytes is the most that a request's body may hold where nothing
// else is said.
const DefaultBodyBytes = 1 << 20

// Server answers HTTP. Identity and every interface are required; the rest may
// be left zero.
type Server struct {
	Identity    Identity
	Tokens      Tokens
	People      People
	Alerts      Alerts
	AlertMoves  AlertMoves
	Triage      Triage
	Cases       Cases
	Runs        Runs
	Approvals   Approvals
	Playbooks   Playbooks
	Ledger      Ledger
	Lists       Lists
	Connections Connections
	Switches    Switches
	Overrides   Overrides
	Alarms      Alarms
	Closings    Closings
	Sources     Sources
	Unread      Unread
	Audit       Audit
	Replays     Replays

	// Ingest takes in alerts below IngestPath. It authenticates sources by
	// itself. nil: none.
	Ingest http.Handler
	// Hooks starts playbooks by webhook below HookPath. It authenticates senders
	// by itself. nil: none.
	Hooks http.Handler
	// Metrics answers at /metrics. It authenticates by itself. nil: nothing.
	Metrics http.Handler
	// Page serves everything that is not below /api/. nil: nothing.
	Page http.Handler
	// Health says why the server cannot do its work; nil, or an answer of nil: it can.
	Health func() error

	Version string
	// Secure says that clients come by TLS, so cookies are marked for it only.
	Secure bool
	Log    *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil means time.Now
}

// HookPath is where webhooks are sent that start playbooks, followed by the
// path that the trigger names.
const HookPath = "/api/hooks/"

// IngestPath is where sources send alerts, followed by the source's name.
const IngestPath = "/api/ingest/"

// api is a server at work.
type api struct {
	*Server
	huma    huma.API
	limiter auth.Throttle
	flights flights
	stop    <-chan struct{} // closed when long answers must end
}

// Handler builds the routes. Answers that go on (live events) end when stop is
// closed; nil: they never have to.
func (s *Server) Handler(stop <-chan struct{}) http.Handler {
	c := *s
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	mux := http.NewServeMux()
	a := &api{Server: &c, stop: stop}
	a.build(mux)
	mux.HandleFunc("/api/", a.nothing(mux))
	if c.Ingest != nil {
		mux.Handle("POST "+IngestPath, c.Ingest)
	}
	if c.Hooks != nil {
		mux.Handle("POST "+HookPath, c.Hooks)
	}
	if c.Metrics != nil {
		mux.Handle("GET /metrics", c.Metrics)
	}
	if c.Page != nil {
		mux.Handle("/", c.Page)
	}
	return a.around(mux)
}

// build makes the routes and their document.
func (a *api) build(mux *http.ServeMux) {
	a.huma = humago.New(mux, config(a.Version))
	a.huma.UseMiddleware(a.identify, a.replay)
	a.routes()
	a.document(mux)
}

// routes adds every operation of the API.
func (a *api) routes() {
	a.signInRoutes()
	a.tokenRoutes()
	a.peopleRoutes()
	a.alertRoutes()
	a.alertMoveRoutes()
	a.triageRoutes()
	a.closingRoutes()
	a.caseRoutes()
	a.runRoutes()
	a.approvalRoutes()
	a.playbookRoutes()
	a.ledgerRoutes()
	a.listRoutes()
	a.connectionRoutes()
	a.switchRoutes()
	a.overrideRoutes()
	a.alarmRoutes()
	a.sourceRoutes()
	a.unreadRoutes()
	a.auditRoutes()
}

// nothing answers for paths that no operation has, and for methods that a path
// does not offer: the mux would say both in plain text.
func (a *api) nothing(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var offered []string
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if _, pattern := mux.Handler(&http.Request{Method: m, URL: r.URL, Host: r.Host}); pattern != "" && pattern != "/api/" {
				offered = append(offered, m)
			}
		}
		if len(offered) == 0 {
			writeProblem(w, r, notFound.problem("the API has no "+r.URL.Path+"; /api/openapi.json lists what it has"))
			return
		}
		allow := joined(offered, ", ")
		writeProblem(w, r, badMethod.problem(r.Method+" is not offered for "+r.URL.Path+"; expected "+joined(offered, " or ")).with("Allow", allow))
	}
}
