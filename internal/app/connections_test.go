package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"riposte/internal/httpapi"
)

// http.request works without a connection; one gives it a credential.
func TestABuiltInActionWithFieldsCanHaveAConnection(t *testing.T) {
	t.Parallel()
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"auth":%q}`, r.Header.Get("Authorization"))
	}))
	t.Cleanup(product.Close)
	s, _ := serve(t, t.TempDir(), "")
	s.send(http.MethodPost, "/api/connections", map[string]any{
		"name": "web", "connector": "http", "config": map[string]any{"hosts": []string{"127.0.0.1"}, "allow_loopback": true}, "secrets": map[string]string{"token": "t0k3n-value"},
	}, nil)
	text := fmt.Sprintf(`playbook: fetch
title: Fetch
on: [{ manual: true }]
steps:
  - id: get
    action: http.request
    using: web
    with: { url: %q, bearer: "${{ secrets.web.token }}" }
`, product.URL)
	s.send(http.MethodPut, "/api/playbooks/fetch/draft", map[string]any{"text": text}, nil)
	s.send(http.MethodPost, "/api/playbooks/fetch/publish", map[string]any{"text": text}, nil)
	var r httpapi.Run
	s.send(http.MethodPost, "/api/runs", map[string]any{"playbook": "fetch"}, &r)
	s.until("the end of the run", func() bool {
		s.send(http.MethodGet, "/api/runs/"+r.ID, nil, &r)
		return r.Status != "running" && r.Status != "pending"
	})
	told, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != "succeeded" || !strings.Contains(string(told), "Bearer [secret]") || strings.Contains(string(told), "t0k3n") {
		t.Errorf("%s", told)
	}
}
