package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"riposte/internal/auth"
)

const (
	// heartbeat keeps proxies from closing a stream on which nothing happens.
	heartbeat = 15 * time.Second
	// patience is how long a client may take for what is sent to it. One that
	// reads no more costs its own stream: it comes back after its last event.
	patience = 30 * time.Second
)

type watchInput struct {
	Who
	Record
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"The id of the last event that you have: the stream goes on after it."`
	After       int64  `query:"after" minimum:"0" doc:"The same for clients that cannot set headers, such as a browser's first connection."`
}

func (a *api) watchRoute() {
	o := describing("Server-sent events. `run`: the run as in the list; `step`: a step; `end`: the run has ended and nothing follows. "+
		"Every event has an id; a client that reconnects with Last-Event-ID misses none, and is answered 204 where it has them all, which tells an EventSource to stop.",
		op("runs", get, "/api/runs/{id}/events", "watch-run", "Watch a run live"))
	add(a, auth.RunsRead, o, a.watchRun)
	streams(a.huma.OpenAPI().Paths["/api/runs/{id}/events"].Get)
}

// streams documents that an operation answers with events.
func streams(op *huma.Operation) {
	op.Responses["200"] = &huma.Response{Description: "Events, until the run has ended",
		Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}}
	op.Responses["204"] = &huma.Response{Description: "The run has ended and the client has every event: do not connect again"}
}

func (a *api) watchRun(ctx context.Context, in *watchInput) (*huma.StreamResponse, error) {
	n, err := in.number(runCode, "run")
	if err != nil {
		return nil, err
	}
	after := in.After
	if in.LastEventID != "" {
		if after, err = strconv.ParseInt(in.LastEventID, 10, 64); err != nil || after < 0 {
			return nil, wrongParameter("Last-Event-ID", "it is not the id of an event")
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	events, ended, err := a.Runs.Watch(ctx, in.caller, n, after)
	if err != nil {
		cancel()
		return nil, err
	}
	var first RunEvent
	left := true
	if ended && after > 0 { // a browser comes back after the end, too, until it is told not to
		first, left = <-events
	}
	if first.Err != nil {
		cancel()
		return nil, first.Err
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		defer cancel()
		_, w := humago.Unwrap(h)
		if !left {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		a.send(ctx, w, first, events)
	}}, nil
}

// send writes events until there are no more, the client goes, or the server
// stops. first is one that was taken from them already, or none.
func (a *api) send(ctx context.Context, w http.ResponseWriter, first RunEvent, events <-chan RunEvent) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	write := func(do func(io.Writer) error) bool {
		_ = rc.SetWriteDeadline(time.Now().Add(patience)) // the clock of sockets, not ours
		return do(w) == nil && rc.Flush() == nil
	}
	open := write(comment("watching"))
	if first.N > 0 {
		open = open && write(func(w io.Writer) error { return writeEvent(w, first) })
	}
	for open {
		select {
		case e, ok := <-events:
			open = ok && e.Err == nil && write(func(w io.Writer) error { return writeEvent(w, e) })
		case <-beat.C:
			open = write(comment("still here"))
		case <-a.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// comment is a line that clients pass over.
func comment(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, ": "+text+"\n\n")
		return err
	}
}

func writeEvent(w io.Writer, e RunEvent) error {
	var data any = e.Run
	if e.Step != nil {
		data = e.Step
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.N, e.Kind, text)
	return err
}
