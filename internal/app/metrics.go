package app

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"riposte/internal/auth"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// metrics are what a monitoring system may read, in the text format of
// Prometheus. Labels are names from the configuration and words of ours, never
// anything that came from outside.
type metrics struct {
	registry *prometheus.Registry
	core     *core

	run, sync prometheus.Histogram
	jobs      prometheus.Counter
	failures  prometheus.Counter

	mu      sync.Mutex
	decided map[string]float64
}

// mostOutcomes bounds the words that triage may count by.
const mostOutcomes = 32

func newMetrics(c *core, version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), core: c, decided: map[string]float64{}}
	// From a tenth of a millisecond to ten seconds.
	buckets := []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	m.run = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "riposte_store_batch_seconds", Help: "How long the statements of a batch of writes took.", Buckets: buckets})
	m.sync = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "riposte_store_commit_seconds", Help: "How long a batch took to be on disk after that.", Buckets: buckets})
	m.jobs = prometheus.NewCounter(prometheus.CounterOpts{Name: "riposte_store_writes_total", Help: "Writes that were done, many a batch."})
	m.failures = prometheus.NewCounter(prometheus.CounterOpts{Name: "riposte_store_lost_batches_total", Help: "Batches that the database did not take."})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "riposte_build_info", Help: "1, with the version as label.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(m.run, m.sync, m.jobs, m.failures, build, m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// committed is told of every batch of the writer.
func (m *metrics) committed(c store.Commit) {
	m.run.Observe(c.Run.Seconds())
	m.sync.Observe(c.Sync.Seconds())
	m.jobs.Add(float64(c.Jobs))
	if c.Err != nil {
		m.failures.Inc()
	}
}

// alertsDecided counts what triage made of alerts: word is one of a few.
func (c *core) alertsDecided(word string, n int) {
	m := c.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.decided[word]; !known && len(m.decided) >= mostOutcomes {
		word = "other"
	}
	m.decided[word] += float64(n)
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("riposte_"+name, help, labels, nil)
}

// The figures that are read when they are asked for.
type describedFigures struct {
	events, refused, bytes, up, last, rate, usual                 *prometheus.Desc
	queueEvents, queueBytes, oldest, alarms, decided              *prometheus.Desc
	active, calls, queued, started, ended, lag, unwritten, parked *prometheus.Desc
}

func described() describedFigures {
	return describedFigures{
		events:      desc("intake_events_total", "Events that came by a source, by what they were.", "source", "result"),
		refused:     desc("intake_refused_total", "Events turned away because too much waited, or lost.", "source"),
		bytes:       desc("intake_bytes_total", "Bytes of events that came by a source.", "source"),
		up:          desc("source_up", "1 where the road of a source works.", "source"),
		last:        desc("source_last_event_timestamp_seconds", "When something came by a source last, in seconds since 1970.", "source"),
		rate:        desc("source_events_per_minute", "Events a minute, over the last five.", "source"),
		usual:       desc("source_usual_events_per_minute", "What is usual at this hour of the week, where it is known.", "source"),
		queueEvents: desc("intake_queue_events", "Events that wait to be stored."),
		queueBytes:  desc("intake_queue_bytes", "What they take, in bytes."),
		oldest:      desc("intake_oldest_waiting_seconds", "How long the alert has waited that waits longest for what comes next."),
		alarms:      desc("alarms_open", "Alarms that are open.", "kind"),
		decided:     desc("alerts_decided_total", "Alerts by what triage made of them.", "outcome"),
		active:      desc("runs_active", "Runs in memory."),
		calls:       desc("calls_active", "Calls of connectors under way."),
		queued:      desc("calls_queued", "Calls that wait for their turn, a limit or a rate."),
		started:     desc("runs_started_total", "Runs that were started."),
		ended:       desc("runs_ended_total", "Runs that ended."),
		lag:         desc("lists_lag_seconds", "How far lists are behind the journal."),
		unwritten:   desc("database_up", "1 where the database takes writes."),
		parked:      desc("runs_parked_total", "Times that a waiting run left memory."),
	}
}

// Describe tells nothing: which figures there are depends on the configuration.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect reads the figures.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	d := described()
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	counter := func(desc *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, v, labels...)
	}
	m.collectSources(d, gauge, counter)
	m.collectEngine(d, gauge, counter)
	now := m.core.now()
	waiting := m.core.gate.Waiting("")
	age, _ := m.core.oldestWaiting(now)
	gauge(d.queueEvents, float64(waiting.Events))
	gauge(d.queueBytes, float64(waiting.Bytes))
	gauge(d.oldest, age.Seconds())
	for kind, n := range m.core.alarms.kinds() {
		gauge(d.alarms, float64(n), kind)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, word := range slices.Sorted(maps.Keys(m.decided)) {
		counter(d.decided, m.decided[word], word)
	}
}

type told func(desc *prometheus.Desc, v float64, labels ...string)

func (m *metrics) collectSources(d describedFigures, gauge, counter told) {
	now := m.core.now()
	since := m.core.figures.since()
	for name, w := range m.core.watching {
		n := since[name]
		for result, v := range map[string]int{"accepted": n.Accepted, "duplicate": n.Duplicates, "skipped": n.Skipped, "unread": n.Unread} {
			counter(d.events, float64(v), name, result)
		}
		counter(d.refused, float64(n.Refused), name)
		counter(d.bytes, float64(n.Bytes), name)
		w.mu.Lock()
		up, last, rate, known, usual := w.down == nil, w.watch.Last(), w.watch.PerMinute(now), w.profile.Known, w.profile.At(now).Usual
		w.mu.Unlock()
		gauge(d.up, truth(up), name)
		if !last.IsZero() {
			gauge(d.last, float64(last.UnixMilli())/1000, name)
		}
		gauge(d.rate, rate, name)
		if known {
			gauge(d.usual, usual, name)
		}
	}
}

func (m *metrics) collectEngine(d describedFigures, gauge, counter told) {
	s := m.core.engine.Stats()
	gauge(d.active, float64(s.Active))
	gauge(d.calls, float64(s.Calls))
	gauge(d.queued, float64(s.Queued))
	gauge(d.lag, s.Lag.Seconds())
	gauge(d.unwritten, truth(m.core.db.Healthy() == nil))
	counter(d.started, float64(s.Started))
	counter(d.ended, float64(s.Ended))
	counter(d.parked, float64(s.Parked))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// handler answers with the figures.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// metricsHandler answers who shows an API token with metrics:read.
func (a *api) metricsHandler() http.Handler {
	figures := a.metrics.handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			httpapi.RefuseReader(w, r)
			return
		}
		who, err := a.Token(r.Context(), strings.TrimSpace(token))
		if err != nil || !who.May(auth.MetricsRead) {
			httpapi.RefuseReader(w, r)
			return
		}
		figures.ServeHTTP(w, r)
	})
}
