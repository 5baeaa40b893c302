package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	Page().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

func TestThePageAndItsPartsAreServed(t *testing.T) {
	t.Parallel()
	for path, media := range map[string]string{
		"/": "text/html", "/runs/R-1": "text/html", "/page.css": "text/css", "/page.js": "text/javascript", "/watch.js": "text/javascript", "/mark.svg": "image/svg+xml",
	} {
		w := get(t, http.MethodGet, path)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), media) {
			t.Errorf("%s: %d %s", path, w.Code, w.Header().Get("Content-Type"))
		}
	}
	if w := get(t, http.MethodGet, "/nothing.js"); w.Code != http.StatusNotFound {
		t.Errorf("a part that is not there: %d", w.Code)
	}
	if w := get(t, http.MethodPost, "/"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestThePageKeepsItsOwnPolicy(t *testing.T) {
	t.Parallel()
	page := get(t, http.MethodGet, "/").Body.String()
	script := get(t, http.MethodGet, "/page.js").Body.String() + get(t, http.MethodGet, "/watch.js").Body.String()
	for what, pattern := range map[string]string{
		"an inline script": `<script>|<script [^>]*[^c]>[^<]`, "an inline style": `style=|<style`, "a foreign address": `(src|href)="(https?:)?//`, "an inline handler": ` on[a-z]+="`,
	} {
		if m := regexp.MustCompile(pattern).FindString(page); m != "" {
			t.Errorf("the page has %s: %q", what, m)
		}
	}
	for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
		if strings.Contains(script, way) {
			t.Errorf("the script uses %s: texts from outside must stay texts", way)
		}
	}
}
