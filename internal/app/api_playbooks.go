package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/store"
	"riposte/playbook"
)

// checkFailed turns a failed check into the API's.
func checkFailed(err error) error {
	var c *CheckError
	if errors.As(err, &c) {
		return &httpapi.CheckFailed{Diagnostics: diagnostics(c.Diagnostics)}
	}
	return stale(err)
}

// Playbooks lists playbooks by slug.
func (a api) Playbooks(ctx context.Context, who auth.Caller, p httpapi.Page) (out httpapi.Found[httpapi.Playbook], err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		page, err := store.ListPlaybooks(q, who.Tenant, slice(p))
		out, err = found(page, err, a.showPlaybook)
		return err
	})
	return out, err
}

func (a api) showPlaybook(p store.Playbook) httpapi.Playbook {
	s := httpapi.Playbook{ID: p.Slug, Title: p.Title, Published: p.Published, Versions: p.Latest, Draft: p.HasDraft, Updated: utc(p.DraftAt)}
	plan, err := a.plans.Published(p.Tenant, p.Slug, 0)
	if err != nil {
		return s
	}
	s.Impact = plan.Highest.String()
	for i := range plan.Triggers {
		t := &plan.Triggers[i]
		text := string(t.Kind)
		switch {
		case t.Cron != "":
			text += ": " + t.Cron
		case t.Path != "":
			text += ": " + t.Path
		case t.Where != nil:
			text += ": " + t.Where.Source()
		}
		s.Triggers = append(s.Triggers, text)
	}
	return s
}

// Playbook reads one.
func (a api) Playbook(ctx context.Context, who auth.Caller, slug string) (out httpapi.Playbook, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		p, err := store.PlaybookOf(q, who.Tenant, slug)
		out = a.showPlaybook(p)
		return err
	})
	return out, err
}

func showVersion(v store.PlaybookVersion, published int) httpapi.PlaybookVersion {
	return httpapi.PlaybookVersion{
		Playbook: v.Slug, Version: v.Version, Title: v.Title, Hash: v.Hash, By: v.By, At: utc(v.At), Published: v.Version == published,
	}
}

// Versions lists the published versions, the newest first.
func (a api) Versions(ctx context.Context, who auth.Caller, slug string) (out []httpapi.PlaybookVersion, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		p, err := store.PlaybookOf(q, who.Tenant, slug)
		if err != nil {
			return err
		}
		list, err := store.PlaybookVersions(q, who.Tenant, slug)
		for _, v := range list {
			out = append(out, showVersion(v, p.Published))
		}
		return err
	})
	return out, err
}

// Version reads one with its text.
func (a api) Version(ctx context.Context, who auth.Caller, slug string, version int) (out httpapi.PlaybookVersion, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		p, err := store.PlaybookOf(q, who.Tenant, slug)
		if err != nil {
			return err
		}
		v, err := store.PlaybookVersionOf(q, who.Tenant, slug, version)
		out = showVersion(v, p.Published)
		out.Text = v.Source
		return err
	})
	return out, err
}

// Draft reads the draft: fault.NotFound.
func (a api) Draft(ctx context.Context, who auth.Caller, slug string) (out httpapi.Draft, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		p, err := store.PlaybookOf(q, who.Tenant, slug)
		if err == nil && !p.HasDraft {
			err = fmt.Errorf("playbook %s has no draft: %w", slug, fault.NotFound)
		}
		out = a.showDraft(who, p)
		return err
	})
	return out, err
}

func (a api) showDraft(who auth.Caller, p store.Playbook) httpapi.Draft {
	return httpapi.Draft{
		Playbook: p.Slug, Text: p.Draft, By: p.DraftBy, At: utc(p.DraftAt), ETag: strconv.Itoa(p.Version),
		Diagnostics: diagnostics(a.plans.Check(who.Tenant, p.Slug+".playbook.yaml", p.Draft)),
	}
}

// SaveDraft keeps a text, right or wrong.
func (a api) SaveDraft(ctx context.Context, who auth.Caller, slug, text, seen string) (out httpapi.Draft, err error) {
	title := slug
	if parsed, _ := playbook.Parse(slug+".playbook.yaml", []byte(text)); parsed != nil && parsed.Title.Value != "" {
		title = parsed.Title.Value
	}
	version, err := a.seen(ctx, who, slug, seen)
	if err != nil {
		return out, err
	}
	err = a.write(ctx, func(tx *store.Tx) error {
		p, err := store.SaveDraft(tx, who.Tenant, slug, title, text, who.Name, a.now().UTC(), version)
		out = a.showDraft(who, p)
		return err
	})
	return out, err
}

// seen reads the ETag of a draft. "" is good for a playbook without a draft only.
func (a api) seen(ctx context.Context, who auth.Caller, slug, etag string) (int, error) {
	if etag != "" {
		n, err := strconv.Atoi(etag)
		if err != nil {
			return 0, httpapi.ErrStale
		}
		return n, nil
	}
	_, err := a.Draft(ctx, who, slug)
	switch {
	case errors.Is(err, fault.NotFound):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return 0, httpapi.ErrStale
}

// DeleteDraft throws a draft away.
func (a api) DeleteDraft(ctx context.Context, who auth.Caller, slug, seen string) error {
	version, err := strconv.Atoi(seen)
	if err != nil {
		return httpapi.ErrStale
	}
	return a.write(ctx, func(tx *store.Tx) error { return store.DropDraft(tx, who.Tenant, slug, version) })
}

// Publish makes a text the published version.
func (a api) Publish(ctx context.Context, who auth.Caller, slug, text string) (httpapi.PlaybookVersion, error) {
	v, found, err := a.plans.Publish(ctx, who.Tenant, slug, text, who.Name)
	if err != nil {
		return httpapi.PlaybookVersion{}, checkFailed(err)
	}
	out := showVersion(v, v.Version)
	out.Text, out.Findings = v.Source, diagnostics(found)
	return out, nil
}

// Unpublish ends it.
func (a api) Unpublish(ctx context.Context, who auth.Caller, slug string) error {
	return a.plans.Unpublish(ctx, who.Tenant, slug)
}

// Check says what is wrong with a text.
func (a api) Check(_ context.Context, who auth.Caller, text string) ([]httpapi.Diagnostic, error) {
	file := "playbook.playbook.yaml"
	if parsed, _ := playbook.Parse(file, []byte(text)); parsed != nil && parsed.ID.Value != "" {
		file = parsed.ID.Value + ".playbook.yaml"
	}
	return diagnostics(a.plans.Check(who.Tenant, file, text)), nil
}

// Lists tells what lists there are, by name.
func (a api) Lists(ctx context.Context, who auth.Caller) (out []httpapi.ListInfo, err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		list, err := store.Lists(q, who.Tenant, a.now().UTC())
		for _, l := range list {
			out = append(out, httpapi.ListInfo{Name: l.Name, Entries: l.Entries})
		}
		return err
	})
	return out, err
}

// ListEntries lists what is in one, by value.
func (a api) ListEntries(ctx context.Context, who auth.Caller, list string, p httpapi.Page) (out httpapi.Found[httpapi.ListEntry], err error) {
	err = a.read(ctx, func(q *store.Reader) error {
		page, err := store.ListEntries(q, who.Tenant, list, a.now().UTC(), slice(p))
		out, err = found(page, err, func(e store.ListEntry) httpapi.ListEntry {
			return httpapi.ListEntry{Value: e.Value, Note: e.Note, Expires: utc(e.Expires), Added: utc(e.Added), By: e.By}
		})
		return err
	})
	if err == nil && len(out.Items) == 0 && p.Cursor == "" {
		err = fmt.Errorf("list %s: %w", list, fault.NotFound)
	}
	return out, err
}

// Import puts entries into a list.
func (a api) Import(ctx context.Context, who auth.Caller, list string, entries []httpapi.ListEntry, replace bool) (out httpapi.Imported, err error) {
	err = a.write(ctx, func(tx *store.Tx) error {
		out = httpapi.Imported{}
		want := map[string]bool{}
		for _, e := range entries {
			want[e.Value] = true
			added, err := store.PutInList(tx, who.Tenant, list, store.ListEntry{Value: e.Value, Note: e.Note, Added: a.now().UTC(), By: who.Name, Expires: e.Expires})
			if err != nil {
				return err
			}
			if added {
				out.Added++
			} else {
				out.Kept++
			}
		}
		if !replace {
			return nil
		}
		s := store.Slice{Limit: 1000}
		for {
			page, err := store.ListEntries(&tx.Reader, who.Tenant, list, time.Time{}, s)
			if err != nil {
				return err
			}
			for _, e := range page.Items {
				if want[e.Value] {
					continue
				}
				if _, err := store.TakeFromList(tx, who.Tenant, list, e.Value); err != nil {
					return err
				}
				out.Removed++
			}
			if page.Next == "" {
				return nil
			}
			s.Cursor = page.Next
		}
	})
	if err == nil {
		err = a.listChanged(ctx, who.Tenant, list)
	}
	return out, err
}

// Remove takes values out and tells how many were there.
func (a api) Remove(ctx context.Context, who auth.Caller, list string, values []string) (n int, err error) {
	err = a.write(ctx, func(tx *store.Tx) error {
		n = 0
		for _, v := range values {
			removed, err := store.TakeFromList(tx, who.Tenant, list, v)
			if err != nil {
				return err
			}
			if removed {
				n++
			}
		}
		return nil
	})
	if err == nil {
		err = a.listChanged(ctx, who.Tenant, list)
	}
	return n, err
}

// Switches lists what is off now.
func (a api) Switches(context.Context, auth.Caller) ([]httpapi.Switch, error) {
	out := []httpapi.Switch{}
	for _, s := range a.guard.Switches() {
		scope := "all"
		if s.Scope != guard.Everything {
			scope = string(s.Scope) + ":" + s.Name
		}
		out = append(out, httpapi.Switch{Scope: scope, By: s.By, Since: utc(s.At), Reason: s.Reason})
	}
	return out, nil
}

// SetSwitch turns one off or on.
func (a api) SetSwitch(ctx context.Context, who auth.Caller, scope string, off bool, reason string) ([]httpapi.Switch, error) {
	kind, name := guard.Everything, ""
	if scope != "all" {
		for _, k := range guard.Scopes() {
			if rest, ok := cutScope(scope, string(k)); ok {
				kind, name = k, rest
			}
		}
		if name == "" {
			return nil, fmt.Errorf("there is no scope %q: %w", scope, fault.NotFound)
		}
	}
	s := guard.Switch{Tenant: tenantOf(who.Tenant), Scope: kind, Name: name, By: who.Name, Reason: reason, At: a.now().UTC()}
	err := a.write(ctx, func(tx *store.Tx) error {
		if off {
			return store.PutSwitch(tx, s)
		}
		return store.DropSwitch(tx, s.Tenant, kind, name)
	})
	if err == nil && off {
		err = a.guard.SwitchOff(s)
	} else if err == nil {
		err = a.guard.SwitchOn(s.Tenant, kind, name)
	}
	if err != nil {
		return nil, err
	}
	a.log.Info("switch set", "scope", scope, "off", off, "by", who.Name, "reason", reason)
	return a.Switches(ctx, who)
}

func cutScope(scope, kind string) (string, bool) {
	if len(scope) > len(kind)+1 && scope[:len(kind)] == kind && scope[len(kind)] == ':' {
		return scope[len(kind)+1:], true
	}
	return "", false
}
