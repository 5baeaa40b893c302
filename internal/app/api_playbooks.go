package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/store"
	"riposte/playbook"
)

// Playbooks lists playbooks by slug.
func (a *api) Playbooks(ctx context.Context, who auth.Caller, p httpapi.Page) (httpapi.Found[httpapi.Playbook], error) {
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[store.Playbook], error) {
		return store.ListPlaybooks(q, who.Tenant, slice(p))
	})
	return found(page, err, func(b store.Playbook) httpapi.Playbook { return a.wirePlaybook(who, b) })
}

// Playbook reads what is known of one.
func (a *api) Playbook(ctx context.Context, who auth.Caller, slug string) (httpapi.Playbook, error) {
	b, err := a.stored(ctx, who, slug)
	if err != nil {
		return httpapi.Playbook{}, err
	}
	return a.wirePlaybook(who, b), nil
}

func (a *api) stored(ctx context.Context, who auth.Caller, slug string) (store.Playbook, error) {
	return read(ctx, a, func(q *store.Reader) (store.Playbook, error) { return store.PlaybookOf(q, who.Tenant, slug) })
}

func (a *api) wirePlaybook(who auth.Caller, b store.Playbook) httpapi.Playbook {
	w := httpapi.Playbook{ID: b.Slug, Title: b.Title, Published: b.Published, Versions: b.Latest, Draft: b.HasDraft}
	if b.HasDraft {
		at := b.DraftAt
		w.DraftAt = &at
	}
	if b.Published == 0 {
		return w
	}
	plan, err := a.plans.Published(tenantOf(who.Tenant), b.Slug, 0)
	if err != nil {
		return w
	}
	w.Impact = plan.Highest.String()
	for _, t := range plan.Triggers {
		word := string(t.Kind)
		if t.Event != "" {
			word += " " + t.Event
		}
		w.Triggers = append(w.Triggers, word)
	}
	return w
}

// Versions lists the published versions.
func (a *api) Versions(ctx context.Context, who auth.Caller, slug string) ([]httpapi.PlaybookVersion, error) {
	b, err := a.stored(ctx, who, slug)
	if err != nil {
		return nil, err
	}
	list, err := read(ctx, a, func(q *store.Reader) ([]store.PlaybookVersion, error) {
		return store.PlaybookVersions(q, who.Tenant, slug)
	})
	var out []httpapi.PlaybookVersion
	for _, v := range list {
		w := wireVersion(v, b.Published)
		w.Text = ""
		out = append(out, w)
	}
	return out, err
}

func wireVersion(v store.PlaybookVersion, published int) httpapi.PlaybookVersion {
	return httpapi.PlaybookVersion{
		Playbook: v.Slug, Version: v.Version, Title: v.Title, Hash: v.Hash, By: v.By, At: v.At, Published: v.Version == published, Text: v.Source,
	}
}

// Version reads one with its text.
func (a *api) Version(ctx context.Context, who auth.Caller, slug string, n int) (httpapi.PlaybookVersion, error) {
	b, err := a.stored(ctx, who, slug)
	if err != nil {
		return httpapi.PlaybookVersion{}, err
	}
	v, err := read(ctx, a, func(q *store.Reader) (store.PlaybookVersion, error) {
		return store.PlaybookVersionOf(q, who.Tenant, slug, n)
	})
	if err != nil {
		return httpapi.PlaybookVersion{}, err
	}
	return wireVersion(v, b.Published), nil
}

func (a *api) wireDraft(who auth.Caller, b store.Playbook) httpapi.Draft {
	return httpapi.Draft{
		Playbook: b.Slug, Text: b.Draft, By: b.DraftBy, At: b.DraftAt, ETag: httpapi.ETag(int64(b.Version)),
		Diagnostics: wireDiagnostics(a.plans.Check(tenantOf(who.Tenant), fileOf(b.Slug), b.Draft)),
	}
}

func fileOf(slug string) string { return slug + ".playbook.yaml" }

func wireDiagnostics(all []playbook.Diagnostic) []httpapi.Diagnostic {
	out := make([]httpapi.Diagnostic, len(all))
	for i, d := range all {
		out[i] = httpapi.Diagnostic{Line: d.Line, Column: d.Column, Severity: string(d.Severity), Code: d.Code, Message: d.Message}
	}
	return out
}

// Draft reads the draft.
func (a *api) Draft(ctx context.Context, who auth.Caller, slug string) (httpapi.Draft, error) {
	b, err := a.stored(ctx, who, slug)
	if err == nil && !b.HasDraft {
		err = fmt.Errorf("playbook %s has no draft: %w", slug, fault.NotFound)
	}
	if err != nil {
		return httpapi.Draft{}, err
	}
	return a.wireDraft(who, b), nil
}

// SaveDraft keeps a text. The ETag is that of the whole playbook record: a draft
// that was published meanwhile has changed, too.
func (a *api) SaveDraft(ctx context.Context, who auth.Caller, slug, text, seen string) (httpapi.Draft, error) {
	title := slug
	if p, _ := playbook.Parse(fileOf(slug), []byte(text)); p != nil && p.Title.Value != "" {
		title = p.Title.Value
	}
	n, err := seenVersion(seen)
	if err != nil {
		return httpapi.Draft{}, err
	}
	var b store.Playbook
	err = a.db.Write(ctx, func(tx *store.Tx) (err error) {
		if b, err = store.SaveDraft(tx, who.Tenant, slug, title, text, who.Name, utc(a.now()), n); err != nil {
			return err
		}
		return a.acted(tx, who, "playbook.draft", "playbook:"+slug, nil)
	})
	if err != nil {
		return httpapi.Draft{}, staleOf(err)
	}
	return a.wireDraft(who, b), nil
}

func seenVersion(etag string) (int, error) {
	if etag == "" {
		return 0, nil
	}
	n, ok := httpapi.ParseETag(etag)
	if !ok {
		return 0, httpapi.ErrStale
	}
	return int(n), nil
}

// DeleteDraft throws the draft away.
func (a *api) DeleteDraft(ctx context.Context, who auth.Caller, slug, seen string) error {
	n, err := seenVersion(seen)
	if err != nil {
		return err
	}
	return staleOf(a.db.Write(ctx, func(tx *store.Tx) error {
		if err := store.DropDraft(tx, who.Tenant, slug, n); err != nil {
			return err
		}
		return a.acted(tx, who, "playbook.draft_dropped", "playbook:"+slug, nil)
	}))
}

// Publish makes a text the published version.
func (a *api) Publish(ctx context.Context, who auth.Caller, slug, text string) (httpapi.PlaybookVersion, error) {
	var v store.PlaybookVersion
	var diagnostics []playbook.Diagnostic
	err := a.audited(ctx, who, "playbook.publish", "playbook:"+slug, nil, func() (err error) {
		v, diagnostics, err = a.plans.Publish(ctx, who.Tenant, slug, text, who.Name)
		return err
	})
	if err != nil {
		return httpapi.PlaybookVersion{}, checkFailed(err)
	}
	w := wireVersion(v, v.Version)
	w.Findings = wireDiagnostics(diagnostics)
	return w, nil
}

// checkFailed tells a failed check in the words of the API.
func checkFailed(err error) error {
	var failed *CheckError
	if errors.As(err, &failed) {
		return &httpapi.CheckFailed{Diagnostics: wireDiagnostics(failed.Diagnostics)}
	}
	return err
}

// Unpublish ends it.
func (a *api) Unpublish(ctx context.Context, who auth.Caller, slug string) error {
	return a.audited(ctx, who, "playbook.unpublish", "playbook:"+slug, nil, func() error {
		return a.plans.Unpublish(ctx, who.Tenant, slug)
	})
}

// Check says what is wrong with a text.
func (a *api) Check(_ context.Context, who auth.Caller, text string) ([]httpapi.Diagnostic, error) {
	file := "playbook"
	if p, _ := playbook.Parse(file, []byte(text)); p != nil && p.ID.Value != "" && !strings.ContainsAny(p.ID.Value, "/\\") {
		file = fileOf(p.ID.Value)
	}
	return wireDiagnostics(a.plans.Check(tenantOf(who.Tenant), file, text)), nil
}
