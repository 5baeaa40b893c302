package app

import (
	"context"
	"fmt"
	"slices"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// importChunk is how many values are written in one transaction: the writer
// serves others in between.
const importChunk = 500

// Lists tells what lists there are.
func (a *api) Lists(ctx context.Context, who auth.Caller) ([]httpapi.ListInfo, error) {
	list, err := read(ctx, a, func(q *store.Reader) ([]store.ListInfo, error) { return store.Lists(q, who.Tenant, utc(a.now())) })
	out := make([]httpapi.ListInfo, len(list))
	for i, l := range list {
		out[i] = httpapi.ListInfo{Name: l.Name, Entries: l.Entries}
	}
	return out, err
}

// ListEntries lists what is in one. A list is there while it holds values; the
// one that intel.allow_list looks into always is.
func (a *api) ListEntries(ctx context.Context, who auth.Caller, list string, p httpapi.Page) (httpapi.Found[httpapi.ListEntry], error) {
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[store.ListEntry], error) {
		page, err := store.ListEntries(q, who.Tenant, list, utc(a.now()), slice(p))
		if err == nil && len(page.Items) == 0 && p.Cursor == "" && list != AllowList {
			err = fmt.Errorf("there is no list %s, or nothing is left in it: %w", list, fault.NotFound)
		}
		return page, err
	})
	return found(page, err, func(e store.ListEntry) httpapi.ListEntry {
		return httpapi.ListEntry{Value: e.Value, Note: e.Note, Expires: e.Expires, Added: e.Added, By: e.By}
	})
}

// Import puts values into a list: first what is new, then out what shall not be
// there any more, so that nothing that belongs there is ever missing.
func (a *api) Import(ctx context.Context, who auth.Caller, list string, entries []httpapi.ListEntry, replace bool) (out httpapi.Imported, err error) {
	keep := map[string]bool{}
	for chunk := range slices.Chunk(entries, importChunk) {
		added := 0
		err := a.db.Write(ctx, func(tx *store.Tx) error {
			added = 0 // the job may be done twice
			for _, e := range chunk {
				fresh, err := store.PutInList(tx, who.Tenant, list, store.ListEntry{
					Value: e.Value, Note: e.Note, Expires: utc(e.Expires), Added: utc(a.now()), By: who.Name})
				if err != nil {
					return err
				}
				if fresh {
					added++
				}
			}
			return nil
		})
		if err != nil {
			return out, err
		}
		out.Added += added
		out.Kept += len(chunk) - added
		for _, e := range chunk {
			keep[e.Value] = true
		}
	}
	if replace {
		if out.Removed, err = a.removeOthers(ctx, who, list, keep); err != nil {
			return out, err
		}
	}
	return out, a.audited(ctx, who, "list.import", "list:"+list, map[string]any{"added": out.Added, "removed": out.Removed, "replace": replace},
		func() error { return a.listChanged(ctx, who.Tenant, list) })
}

// removeOthers takes out all values that are not to be kept.
func (a *api) removeOthers(ctx context.Context, who auth.Caller, list string, keep map[string]bool) (int, error) {
	var drop []string
	for next := (store.Slice{Limit: 1000}); ; {
		page, err := read(ctx, a, func(q *store.Reader) (store.Page[store.ListEntry], error) {
			return store.ListEntries(q, who.Tenant, list, utc(a.now()), next)
		})
		if err != nil {
			return 0, err
		}
		for _, e := range page.Items {
			if !keep[e.Value] {
				drop = append(drop, e.Value)
			}
		}
		if next.Cursor = page.Next; next.Cursor == "" {
			break
		}
	}
	return a.take(ctx, who, list, drop)
}

// take takes values out and counts those that were there.
func (a *api) take(ctx context.Context, who auth.Caller, list string, values []string) (int, error) {
	total := 0
	for chunk := range slices.Chunk(values, importChunk) {
		n := 0
		err := a.db.Write(ctx, func(tx *store.Tx) error {
			n = 0 // the job may be done twice
			for _, v := range chunk {
				there, err := store.TakeFromList(tx, who.Tenant, list, v)
				if err != nil {
					return err
				}
				if there {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// Remove takes values out.
func (a *api) Remove(ctx context.Context, who auth.Caller, list string, values []string) (n int, err error) {
	err = a.audited(ctx, who, "list.remove", "list:"+list, map[string]any{"values": len(values)}, func() error {
		if n, err = a.take(ctx, who, list, values); err != nil {
			return err
		}
		return a.listChanged(ctx, who.Tenant, list)
	})
	return n, err
}
