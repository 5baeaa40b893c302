package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"riposte/internal/auth"
	"riposte/internal/httpapi"
)

func TestConnectionsAreLookedAtWithoutBeingAsked(t *testing.T) {
	t.Parallel()
	calls := 0
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(product.Close)
	cfg := Defaults()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	a, err := New(context.Background(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Stop() })
	ctx, who, now := t.Context(), auth.Caller{Name: "admin"}, time.Now()
	a.core.now = func() time.Time { return now }
	a.core.caller.Now = a.core.now
	_, err = a.api.AddConnection(ctx, who, httpapi.NewConnection{
		Name: "edr", Connector: "edr-sim", Config: map[string]any{"base_url": product.URL, "allow_loopback": true}, Secrets: map[string]string{"token": "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		later time.Duration
		calls int
	}{{"at first", 0, 1}, {"before its time", 10 * time.Second, 1}, {"at its time", healthInterval, 2}} {
		now = now.Add(tt.later)
		a.core.lookAtAll(ctx)
		c, err := a.api.Connection(ctx, who, "edr")
		if err != nil || c.Health != "down" || c.Checked.IsZero() || calls != tt.calls {
			t.Errorf("%s: %s, %d calls, %v", tt.name, c.Health, calls, err)
		}
	}
}
