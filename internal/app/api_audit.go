package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/audit"
	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/guard"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// AuditLog lists who did what, the newest first.
func (a *api) AuditLog(ctx context.Context, who auth.Caller, f httpapi.AuditFilter, p httpapi.Page) (httpapi.Found[httpapi.AuditEntry], error) {
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[audit.Link], error) {
		return store.ListAudit(q, who.Tenant, store.AuditFilter{Who: f.Who, Act: f.Act, Object: f.Object}, slice(p))
	})
	return found(page, err, func(l audit.Link) httpapi.AuditEntry {
		w := httpapi.AuditEntry{Seq: l.Seq, Hash: fmt.Sprintf("%x", l.Hash)}
		e, err := l.Entry()
		if err != nil { // somebody wrote into it: it is shown as what it is, verify tells
			w.Outcome = err.Error()
			return w
		}
		w.At, w.Who, w.From, w.Act, w.Object, w.Outcome, w.Detail = e.At, e.Who, e.From, e.Act, e.Object, e.Outcome, e.Detail
		return w
	})
}

// VerifyAudit goes through the whole log. kept is a head that the caller kept, ""
// for none.
func (a *api) VerifyAudit(ctx context.Context, _ auth.Caller, kept string) (httpapi.AuditHead, error) {
	var head audit.Head
	if kept != "" {
		var err error
		if head, err = audit.ParseHead(kept); err != nil {
			return httpapi.AuditHead{}, err
		}
	}
	end, err := a.db.VerifyAudit(ctx, head)
	return httpapi.AuditHead{Entries: end.Seq, Head: end.String()}, err
}

// Overrides lists the protections that are set aside and not used yet.
func (a *api) Overrides(_ context.Context, who auth.Caller) ([]httpapi.Override, error) {
	out := []httpapi.Override{}
	for _, o := range a.guard.Overrides(utc(a.now())) {
		if tenantOf(o.Tenant) == tenantOf(who.Tenant) {
			out = append(out, wireOverride(o))
		}
	}
	return out, nil
}

func wireOverride(o guard.Override) httpapi.Override {
	return httpapi.Override{Action: o.Action, Target: httpapi.Target{Kind: string(o.Target.Kind), Value: o.Target.Value}, By: o.By, Reason: o.Reason, Until: o.Until}
}

// Override sets a protection aside, for one action on one target, once.
func (a *api) Override(ctx context.Context, who auth.Caller, n httpapi.Override) (httpapi.Override, error) {
	o := guard.Override{
		Tenant: tenantOf(who.Tenant), Action: n.Action, By: who.Name, Reason: n.Reason, Until: utc(n.Until),
		Target: connector.Target{Kind: connector.TargetKind(n.Target.Kind), Value: n.Target.Value},
	}
	action, _ := a.registry.Action(n.Action)
	if action == nil {
		return n, httpapi.WrongField("/action", fmt.Sprintf("there is no action %q", n.Action))
	}
	if err := fits(action, o.Target); err != nil {
		return n, err
	}
	if strings.TrimSpace(n.Reason) == "" {
		return n, httpapi.WrongField("/reason", "say why; others will read it")
	}
	now := utc(a.now())
	if until := o.Until.Sub(now); until <= 0 || until > 24*time.Hour {
		return n, httpapi.WrongField("/until", "it must lie within the next 24 hours")
	}
	err := a.db.Write(ctx, func(tx *store.Tx) error {
		if err := store.PutOverride(tx, &o, now); err != nil {
			return err
		}
		return a.acted(tx, who, "protected.override", o.Action, map[string]any{"kind": o.Target.Kind, "value": o.Target.Value, "reason": o.Reason, "until": o.Until})
	})
	if err == nil {
		err = a.guard.Override(o, now)
	}
	if err != nil {
		return n, fmt.Errorf("override for %s: %w", o.Action, err)
	}
	return wireOverride(o), nil
}

// fits refuses a target that no call of the action can have: an override for it
// would never be used, and whoever gave it would not learn why.
func fits(a *connector.Action, t connector.Target) error {
	var kinds []string
	for _, spec := range a.Targets {
		if spec.Kind != t.Kind {
			kinds = append(kinds, string(spec.Kind))
			continue
		}
		if _, err := connector.Targets(a, map[string]any{spec.Input: t.Value}); err != nil {
			return httpapi.WrongField("/target/value", strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()))
		}
		return nil
	}
	if len(kinds) == 0 {
		return httpapi.WrongField("/action", a.Name()+" acts on nothing that is protected")
	}
	return httpapi.WrongField("/target/kind", fmt.Sprintf("%s acts on %s, not on %q", a.Name(), strings.Join(kinds, " or "), t.Kind))
}
