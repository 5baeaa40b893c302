package alert

import (
	"time"

	"riposte/internal/expr"
)

// Object is the alert as playbooks and rules see it, under the root alert: the
// record's fields, the first host, user and so on under their own names, and
// everything else that the mapping made under fields.
func (a *Alert) Object() map[string]any {
	o := map[string]any{
		"id": a.ID.String(), "source": a.Source, "title": a.Title, "description": some(a.Description), "severity": a.Severity,
		"category": some(a.Category), "status": string(a.Status), "time": moment(a.Time), "received": moment(a.Received),
		"first_seen": moment(a.FirstSeen), "last_seen": moment(a.LastSeen), "count": a.Count, "key": a.IdentityKey,
		"group": some(a.GroupKey), "url": some(a.Link), "techniques": list(a.Techniques), "technique": nil, "fields": a.Fields,
		"tags": list(a.Tags), "mapping": some(a.Mapping), "error": some(a.Error),
	}
	if a.Band != "" {
		o["score"], o["band"] = a.Score, string(a.Band)
	}
	if len(a.Techniques) > 0 {
		o["technique"] = a.Techniques[0]
	}
	if a.Fields == nil {
		o["fields"] = map[string]any{}
	}
	observables := make([]any, len(a.Observables))
	for i, x := range a.Observables {
		observables[i] = map[string]any{"type": x.Type, "value": x.Value, "role": some(x.Role)}
		first(o, byRole(x.Type, x.Role), x.Value)
		first(o, byType(x.Type), x.Value)
	}
	o["observables"] = observables
	for _, e := range a.Entities {
		switch e.Kind {
		case "host", "user", "process", "file":
			first(o, e.Kind, e.Value)
		case "mailbox", "email":
			first(o, "email", e.Value)
		}
	}
	for _, name := range []string{"src_port", "dst_port", "protocol", "rule", "rule_id", "type", "external_id"} {
		if v, ok := a.Fields[name]; ok {
			o[name] = v
		}
	}
	return o
}

// ObservableType is the type of something seen: {type, value}, with a verdict
// once it was looked up.
func ObservableType() expr.Type {
	return expr.Object(map[string]expr.Type{
		"type": expr.Text(), "value": expr.Text(), "role": expr.Text().Nullable(),
		"verdict": expr.Text().Nullable(), "score": expr.Number().Nullable(), "labels": expr.List(expr.Text()).Nullable(),
	}, true)
}

// Type is the type of the root alert, for all that is checked before there is an
// alert. Everything that a source sends beyond the normal form is in fields,
// which is open.
func Type() expr.Type {
	text, texts := expr.Text().Nullable(), expr.List(expr.Text()).Nullable()
	return expr.Object(map[string]expr.Type{
		"id": expr.Text(), "source": expr.Text(), "connection": text, "external_id": text, "url": text,
		"title": text, "description": text, "category": text, "type": text, "rule": text, "rule_id": text,
		"technique": text, "techniques": texts, "tags": texts, "labels": texts,
		"severity": expr.Int(), "confidence": expr.Number().Nullable(), "score": expr.Number().Nullable(), "band": text,
		"status": text, "verdict": text, "tlp": text, "pap": text,
		"time": expr.Time().Nullable(), "received": expr.Time().Nullable(), "first_seen": expr.Time().Nullable(), "last_seen": expr.Time().Nullable(),
		"count": expr.Int().Nullable(), "key": text, "group": text, "case": text, "mapping": text, "error": text,
		"host": text, "user": text, "process": text, "file": text, "sha256": text, "hash": text, "domain": text, "email": text,
		"ip": text, "src_ip": text, "dst_ip": text, "src_port": expr.Int().Nullable(), "dst_port": expr.Int().Nullable(), "protocol": text,
		"observables": expr.List(ObservableType()).Nullable(), "fields": expr.Object(nil, true).Nullable(),
	}, false)
}

// first sets a field unless it is set already or has no name.
func first(o map[string]any, name, value string) {
	if _, ok := o[name]; !ok && name != "" {
		o[name] = value
	}
}

func byRole(typ, role string) string {
	if typ != "ip" {
		return ""
	}
	switch role {
	case "source":
		return "src_ip"
	case "destination", "target":
		return "dst_ip"
	}
	return ""
}

func byType(typ string) string {
	switch typ {
	case "ip", "domain", "email", "sha256", "host", "user", "process", "file":
		return typ
	case "md5", "sha1", "sha512":
		return "hash"
	}
	return ""
}

func some(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func list(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}
