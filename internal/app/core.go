package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"riposte/connector"
	"riposte/connector/caller"
	"riposte/connector/execrt"
	"riposte/connector/httprt"
	"riposte/content"
	"riposte/internal/auth"
	"riposte/internal/blob"
	"riposte/internal/engine"
	"riposte/internal/guard"
	"riposte/internal/ingest"
	"riposte/internal/intel"
	"riposte/internal/secret"
	"riposte/internal/store"
)

// core is everything below HTTP: the store and the machines on it.
type core struct {
	cfg         Config
	log         *slog.Logger
	now         func() time.Time
	db          *store.DB
	blobs       *blob.Store
	keys        *secret.Keys
	registry    *connector.Registry
	connections *connections
	http        *httprt.Runtime
	caller      *caller.Caller
	guard       *guard.Guard
	people      *auth.Directory
	plans       *plans
	triage      *desk
	intel       *intel.Matcher
	engine      *engine.Engine
	sources     map[string]ingest.Source
	mappings    *shelf // all that there are
	webhook     *ingest.Webhook
	hooks       map[string]*sender
	refusals    refusals
	losses      losses
	health      healths
	score       *scoring
	started     time.Time
	alarms      *alarmBook
	metrics     *metrics
	figures     *figures
	enriching   enriching           // what waits for its enrichment
	watching    map[string]*watched // the sources, by name; fixed once it is open
	gate        *ingest.Gate        // between the roads and the database
	running     sync.WaitGroup
	sessions    auth.SessionRules
	tokens      tokenCache
	hashing     chan struct{} // passwords being hashed
	caseMu      keyed         // one case is opened for a run, however many steps want one
}

// openCore makes every part and hands each what it needs of the others. Nothing
// works yet when it returns; close undoes it.
//
// first is the administrator that a first start makes, empty otherwise.
func openCore(ctx context.Context, cfg Config, version string, log *slog.Logger) (c *core, first firstPerson, err error) {
	c = &core{cfg: cfg, log: log, now: time.Now, started: time.Now().UTC(), hashing: make(chan struct{}, hashesAtOnce), alarms: newAlarmBook(), figures: newFigures(), watching: map[string]*watched{}}
	c.gate = &ingest.Gate{Most: cfg.Intake.queueBytes(), Now: c.now}
	c.metrics = newMetrics(c, version)
	for name, s := range cfg.Sources {
		c.watching[name] = newWatched(name, s)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
			c = nil
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return c, first, fmt.Errorf("make the data folder: %w", err)
	}
	if c.db, err = store.Open(ctx, cmp.Or(cfg.Database, filepath.Join(cfg.Data, "riposte.db")), store.Options{OnCommit: c.committed(log)}); err != nil {
		return c, first, err
	}
	if _, err := c.meetPeople(ctx); err != nil {
		return c, first, err
	}
	if err := c.openAlarms(ctx); err != nil {
		return c, first, err
	}
	if c.blobs, err = blob.Open(filepath.Join(cfg.Data, "blobs"), blob.Options{}); err != nil {
		return c, first, err
	}
	if c.keys, err = secret.LoadOrCreate(filepath.Join(cfg.Data, "secret.key")); err != nil {
		return c, first, err
	}
	if c.registry, err = openRegistry(cfg); err != nil {
		return c, first, err
	}
	if c.connections, err = loadConnections(ctx, c.db); err != nil {
		return c, first, err
	}
	if c.guard, err = openGuard(cfg.Guard); err != nil {
		return c, first, err
	}
	if err := c.restoreGuard(ctx); err != nil {
		return c, first, err
	}
	if c.intel, err = loadIntel(ctx, c.db, c.now()); err != nil {
		return c, first, err
	}
	c.http = &httprt.Runtime{}
	c.caller = &caller.Caller{
		Manifests: c.registry, Connections: c.connections, Opener: c.keys, Log: log,
		Runtimes: map[string]connector.Runtime{"http": c.http, "exec": &execrt.Runtime{}},
		Clear:    c.clear, Drifting: c.drifting,
	}
	if c.caller.Handlers, err = c.handlers(); err != nil {
		return c, first, err
	}
	if c.plans, err = loadPlans(ctx, c); err != nil {
		return c, first, err
	}
	c.engine = &engine.Engine{
		Journal: c.db.Journal(), Runs: c.db.Journal(), Plans: c.plans, Caller: (*calls)(c), Gate: (*gate)(c),
		Questions: questions{}, Ledger: (*ledger)(c), Cases: (*caseBook)(c), Blobs: c.blobs, Log: log,
		Workers: cfg.Engine.Workers, Keep: cfg.Retention.Runs, OnProject: c.projected,
	}
	if err := c.engine.Open(ctx); err != nil {
		return c, first, err
	}
	if err := c.openScore(ctx); err != nil {
		return c, first, err
	}
	if err := c.openTriage(ctx); err != nil {
		return c, first, err
	}
	if err := errors.Join(c.openSources(), c.openHooks()); err != nil {
		return c, first, err
	}
	first, err = c.greet(ctx) // last: nothing may fail after it
	return c, first, err
}

// committed is told of every batch of the writer.
func (c *core) committed(log *slog.Logger) func(store.Commit) {
	tell := tellWrites(log)
	return func(n store.Commit) {
		tell(n)
		c.metrics.committed(n)
	}
}

// tellWrites logs when the database stops taking writes and when it takes them
// again. The writer calls it, one commit after the other.
func tellWrites(log *slog.Logger) func(store.Commit) {
	failing := false
	return func(c store.Commit) {
		switch {
		case c.Err != nil && !failing:
			log.Error("the database takes no writes", "error", c.Err)
		case c.Err == nil && failing:
			log.Info("the database takes writes again")
		}
		failing = c.Err != nil
	}
}

// firstPerson is the administrator that a first start made.
type firstPerson struct{ name, password string }

// openRegistry loads the built-in connectors and the installation's folder.
func openRegistry(cfg Config) (*connector.Registry, error) {
	shipped, err := content.Folder("connectors")
	if err != nil {
		return nil, err
	}
	folders := []connector.Folder{{FS: shipped, Name: "content/connectors"}}
	if cfg.Connectors != "" {
		folders = append(folders, connector.Folder{FS: os.DirFS(cfg.Connectors), Dir: cfg.Connectors})
	}
	return connector.NewRegistry(folders...)
}

// run works until ctx ends. It returns when everything is on disk.
func (c *core) run(ctx context.Context) error {
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	c.running.Go(func() { c.keepRoads(work) })
	c.running.Go(func() { c.watchConnectors(work) })
	c.running.Go(func() { c.keepSchedules(work) })
	c.running.Go(func() { c.keepTidy(work) })
	c.running.Go(func() { c.keepHealth(work) })
	c.running.Go(func() { c.keepTriage(work) })
	c.running.Go(func() { c.keepScore(work) })
	c.running.Go(func() { c.keepAlarms(work) })
	c.running.Go(func() { c.keepWatch(work) })
	c.running.Go(func() { c.keepComparing(work) })
	c.running.Go(func() { c.keepSearch(work) })
	err := c.engine.Run(ctx)
	cancel()
	c.running.Wait()
	return err
}

// keepSearch keeps the index of words up to date.
func (c *core) keepSearch(ctx context.Context) {
	if err := c.db.KeepSearch(ctx); err != nil {
		c.log.Error("what comes from now on cannot be found by its words", "error", err)
	}
}

// close lets go of what openCore opened.
func (c *core) close() error {
	if c.http != nil {
		c.http.Close()
	}
	if c.db != nil {
		return c.db.Close()
	}
	return nil
}

// watchConnectors reads the folder of connectors again when it changes.
func (c *core) watchConnectors(ctx context.Context) {
	if c.cfg.Connectors == "" {
		return
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := c.registry.Reload()
		if err != nil {
			c.log.Warn("connectors not reloaded", "error", err)
		}
		if len(changed) > 0 {
			c.log.Info("connectors reloaded", "connectors", changed)
		}
	}
}

// drifting tells that an answer broke its schema.
func (c *core) drifting(tenant, connection, action, where string) {
	c.log.Warn("connection drifts", "tenant", tenant, "connection", connection, "action", action, "where", where)
}

// tokenCache keeps the tokens that were used, so that a call need not read them.
type tokenCache struct{ m sync.Map }

func (t *tokenCache) find(hash string) (store.Token, bool) {
	v, ok := t.m.Load(hash)
	if !ok {
		return store.Token{}, false
	}
	return v.(store.Token), true
}

func (t *tokenCache) keep(hash string, x store.Token) { t.m.Store(hash, x) }
func (t *tokenCache) clear()                          { t.m.Clear() }

// keyed is a set of locks by number.
type keyed struct {
	mu    sync.Mutex
	locks map[int64]*keyedLock
}

type keyedLock struct {
	sync.Mutex
	users int
}

// lock locks one number and returns what unlocks it.
func (k *keyed) lock(n int64) (unlock func()) {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = map[int64]*keyedLock{}
	}
	l := k.locks[n]
	if l == nil {
		l = &keyedLock{}
		k.locks[n] = l
	}
	l.users++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(k.locks, n)
		}
	}
}
