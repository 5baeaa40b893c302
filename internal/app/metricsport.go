package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
)

// metricsPort shows metrics on a port of their own. nil: there is none.
type metricsPort struct {
	listen net.Listener
	server *http.Server
}

func openMetricsPort(addr string, m *metrics) (*metricsPort, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr) //nolint:noctx // it does not wait
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; choose another address as metrics.listen", addr, cause(err))
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	return &metricsPort{l, &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout}}, nil
}

// serve answers until close.
func (p *metricsPort) serve(log *slog.Logger) {
	if p == nil {
		return
	}
	log.Info("metrics shown", "address", p.listen.Addr().String())
	if err := p.server.Serve(p.listen); err != nil && !errors.Is(err, http.ErrServerClosed) {
		log.Error("metrics not shown any more", "error", err)
	}
}

// close ends it. An answer under way is cut off: monitoring asks again.
func (p *metricsPort) close() {
	if p == nil {
		return
	}
	// The listener is the server's only once it serves.
	_, _ = p.server.Close(), p.listen.Close()
}
