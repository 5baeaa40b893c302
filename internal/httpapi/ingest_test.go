package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"riposte/internal/fault"
)

func TestASenderIsToldWhatIsWrongWithItsBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		detail string
	}{
		{fmt.Errorf("read: %w: %w", &http.MaxBytesError{Limit: 32 << 20}, fault.Invalid), http.StatusRequestEntityTooLarge, "larger than 32 MiB; send less at a time"},
		{fmt.Errorf("the body is empty: %w", fault.Invalid), http.StatusBadRequest, "the body is empty"},
		{fmt.Errorf("store alerts: %w", fault.Transient), http.StatusServiceUnavailable, "store alerts"},
	} {
		w := httptest.NewRecorder()
		SenderError(w, httptest.NewRequest(http.MethodPost, IngestPath+"edge", http.NoBody), c.err)
		if w.Code != c.status || w.Header().Get("Content-Type") != problemMedia || !strings.Contains(w.Body.String(), c.detail) {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
	}
}
