package app

import (
	"context"

	"riposte/internal/auth"
	"riposte/internal/httpapi"
	"riposte/internal/store"
)

// Alarms lists alarms: the open ones, which are few and come at once, or all,
// page by page.
func (a *api) Alarms(ctx context.Context, who auth.Caller, all bool, p httpapi.Page) (httpapi.Found[httpapi.Alarm], error) {
	if !all {
		return found(store.Page[store.Alarm]{Items: a.alarms.list(who.Tenant)}, nil, wireAlarm)
	}
	page, err := read(ctx, a, func(q *store.Reader) (store.Page[store.Alarm], error) {
		return store.ListAlarms(q, who.Tenant, slice(p))
	})
	return found(page, err, wireAlarm)
}

func wireAlarm(r store.Alarm) httpapi.Alarm {
	w := httpapi.Alarm{
		ID: r.ID.String(), Kind: r.Kind, Subject: r.Subject, Message: r.Message, Since: r.Since, Last: r.Last, Count: r.Times, Ended: r.Ended,
	}
	if r.SeenBy != "" {
		w.Acknowledged = &httpapi.Acknowledged{By: r.SeenBy, At: r.SeenAt, Note: r.SeenNote}
	}
	return w
}

// AcknowledgeAlarm notes that a person has seen an alarm.
func (a *api) AcknowledgeAlarm(ctx context.Context, who auth.Caller, n int64, note string) (httpapi.Alarm, error) {
	var rec store.Alarm
	err := a.db.Write(ctx, func(tx *store.Tx) (err error) {
		if rec, err = store.AcknowledgeAlarm(tx, who.Tenant, store.AlarmID(n), who.Name, note, utc(a.now())); err != nil {
			return err
		}
		return a.acted(tx, who, "alarm.acknowledge", rec.ID.String(), map[string]any{"alarm": rec.Kind, "subject": rec.Subject, "note": note})
	})
	if err != nil {
		return httpapi.Alarm{}, err
	}
	a.alarms.acknowledged(rec)
	return wireAlarm(rec), nil
}
