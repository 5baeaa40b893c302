package app

import (
	"context"

	"riposte/internal/auth"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// Replay reads the answer that is kept under an idempotency key.
func (a *api) Replay(ctx context.Context, who auth.Caller, key string) (k httpapi.Kept, ok bool, err error) {
	err = a.db.Read(ctx, func(q *store.Reader) error {
		var r store.Replay
		r, ok, err = store.ReplayOf(q, who.Tenant, key, a.now().Add(-store.ReplaysFor))
		k = httpapi.Kept{Sum: r.Sum, Status: r.Status, Header: r.Header, Body: []byte(r.Body)}
		return err
	})
	return k, ok, err
}

// KeepReplay keeps an answer.
func (a *api) KeepReplay(ctx context.Context, who auth.Caller, key string, k httpapi.Kept) error {
	return a.db.Write(ctx, func(tx *store.Tx) error {
		return store.PutReplay(tx, who.Tenant, store.Replay{
			Key: key, Sum: k.Sum, At: utc(a.now()), Status: k.Status, Header: k.Header, Body: string(k.Body),
		})
	})
}

// DropReplay gives a key free.
func (a *api) DropReplay(ctx context.Context, who auth.Caller, key string) error {
	return a.db.Write(ctx, func(tx *store.Tx) error { return store.DropReplay(tx, who.Tenant, key) })
}
