package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/connector"
	"riposte/connector/execrt"
	"riposte/connector/smtprt"
	"riposte/content"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/intel"
	"riposte/internal/observable"
	"riposte/internal/store"
)

// connections are all configured connections, kept in memory: they are looked
// at for every call.
type connections struct {
	mu  sync.RWMutex
	all map[string][]*connector.Connection // by tenant, each list by name
}

func loadConnections(ctx context.Context, db *store.DB) (*connections, error) {
	c := &connections{}
	err := db.Read(ctx, func(q *store.Reader) (err error) {
		c.all, err = store.Connections(q)
		return err
	})
	return c, err
}

// Connection finds one: fault.NotFound.
func (c *connections) Connection(tenant, name string) (*connector.Connection, error) {
	for _, x := range c.List(tenant) {
		if x.Name == name {
			return x, nil
		}
	}
	return nil, fmt.Errorf("there is no connection %s: %w", name, fault.NotFound)
}

// List gives all of a tenant, sorted by name. The list is never changed.
func (c *connections) List(tenant string) []*connector.Connection {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.all[tenantOf(tenant)]
}

// put makes a connection known, or forgets the one of that name when x is nil.
func (c *connections) put(tenant, name string, x *connector.Connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tenant = tenantOf(tenant)
	list := slices.DeleteFunc(slices.Clone(c.all[tenant]), func(y *connector.Connection) bool { return y.Name == name })
	if x != nil {
		list = append(list, x)
		slices.SortFunc(list, func(a, b *connector.Connection) int { return strings.Compare(a.Name, b.Name) })
	}
	c.all[tenant] = list
}

// openGuard reads the guard's files: the installation's, else those we ship.
func openGuard(cfg GuardConfig) (*guard.Guard, error) {
	var set guard.Settings
	name, src, err := guardFile(cfg.Policy, "policy.yaml")
	if err == nil {
		set.Policy, err = guard.ParsePolicy(name, src)
	}
	if err != nil {
		return nil, err
	}
	if name, src, err = guardFile(cfg.Limits, "limits.yaml"); err == nil {
		set.Limits, err = guard.ParseLimits(name, src)
	}
	if err != nil {
		return nil, err
	}
	// The shipped lists always hold; an installation adds to them.
	for _, file := range append([]string{""}, cfg.Protected...) {
		name, src, err := guardFile(file, "protected.yaml")
		if err != nil {
			return nil, err
		}
		lists, err := guard.ParseProtected(name, src)
		if err != nil {
			return nil, err
		}
		set.Lists = append(set.Lists, lists...)
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		set.Lists = append(set.Lists, guard.List{
			Name: "riposte-host", Owner: "Riposte", Hosts: []string{host},
			Reason: "Riposte runs on it; without it nothing can be taken back.",
		})
	}
	return guard.New(set)
}

func guardFile(path, shipped string) (name string, src []byte, err error) {
	if path != "" {
		src, err = os.ReadFile(path)
		return path, src, err
	}
	name = "guard/" + shipped
	src, err = fs.ReadFile(content.Files(), name)
	return name, src, err
}

// restoreGuard takes up what was reserved and switched off before.
func (c *core) restoreGuard(ctx context.Context) error {
	return c.db.Read(ctx, func(q *store.Reader) error {
		now := c.now().UTC()
		reserved, err := store.Reservations(q, now.Add(-30*24*time.Hour))
		if err != nil {
			return err
		}
		c.guard.Restore(reserved, now)
		overrides, err := store.Overrides(q, now)
		if err != nil {
			return err
		}
		for _, o := range overrides {
			if err := c.guard.Override(o, now); err != nil {
				return err
			}
		}
		switches, err := store.Switches(q)
		if err != nil {
			return err
		}
		for _, s := range switches {
			if err := c.guard.SwitchOff(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// AllowList is the list of the installation whose values intel.allow_list knows.
const AllowList = "allow_list"

// loadIntel reads the indicators and the allow list into memory.
func loadIntel(ctx context.Context, db *store.DB, now time.Time) (*intel.Matcher, error) {
	m := &intel.Matcher{}
	err := db.Read(ctx, func(q *store.Reader) error {
		list, err := store.Indicators(q)
		if err != nil {
			return err
		}
		allowed, err := allowed(q, store.DefaultTenant, now)
		m.Load(list, allowed)
		return err
	})
	return m, err
}

// allowed reads the allow list. A value that is no observable is left out.
func allowed(q *store.Reader, tenant string, now time.Time) (list []intel.Allowed, err error) {
	s := store.Slice{Limit: 1000}
	for {
		page, err := store.ListEntries(q, tenant, AllowList, now, s)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Items {
			o, err := observable.Parse(observable.CIDR, e.Value)
			if err != nil {
				f := observable.Extract(e.Value)
				if len(f) == 0 {
					continue
				}
				o = f[0].Observable()
			}
			list = append(list, intel.Allowed{Tenant: tenant, Observable: o, List: AllowList, By: e.By, Reason: e.Note, Expires: e.Expires})
		}
		if page.Next == "" {
			return list, nil
		}
		s.Cursor = page.Next
	}
}

// listChanged takes a change of the allow list into memory.
func (c *core) listChanged(ctx context.Context, tenant, list string) error {
	if lists := c.scoreRules().Lists; list == lists.Assets || list == lists.Identities {
		return c.loadInventories(ctx)
	}
	if list != AllowList {
		return nil
	}
	return c.db.Read(ctx, func(q *store.Reader) error {
		now := c.now().UTC()
		fresh, err := allowed(q, tenantOf(tenant), now)
		if err != nil {
			return err
		}
		for _, a := range c.intel.AllowList(tenantOf(tenant)) {
			if a.List == AllowList {
				c.intel.Disallow(tenantOf(tenant), a.Observable)
			}
		}
		for _, a := range fresh {
			if err := c.intel.Allow(a, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// handlers are all built-in actions written in Go.
func (c *core) handlers() (map[string]connector.Handler, error) {
	all := c.ownHandlers()
	scripts, err := c.contentFolder("scripts")
	if err != nil {
		return nil, err
	}
	templates, err := c.contentFolder("templates")
	if err != nil {
		return nil, err
	}
	all["http.request"] = c.http.Request
	all["script.starlark"] = (&execrt.Starlark{Scripts: scripts}).Run
	all["smtp.send"] = (&smtprt.Sender{Templates: templates}).Send
	return all, nil
}

// contentFolder is a folder of the installation's content, an empty one where
// none is configured.
func (c *core) contentFolder(name string) (fs.FS, error) {
	if c.cfg.Content != "" {
		return fs.Sub(os.DirFS(c.cfg.Content), name)
	}
	return fs.Sub(content.Files(), name)
}
