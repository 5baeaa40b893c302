package alert

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"riposte/internal/expr"
)

// MaxAhead is how far the clock of a sender may be ahead of ours. An event from
// farther in the future would stay on top of every list: it gets the time when
// it came, and keeps its own under fields.event_time.
const MaxAhead = 5 * time.Minute

// earliest is the first time that is believed: before it stand the zeros of the
// various ways to count time, which products write where they know none.
var earliest = time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)

// reader makes one record.
type reader struct {
	m     *Mapping
	s     *expr.Session
	event map[string]any
	a     Alert
	notes []any
	as    string // the event's time as it was written, where it is not believed
}

// note keeps what could not be worked out.
func (r *reader) note(part string, err error) {
	if len(r.notes) < MaxNotes {
		r.notes = append(r.notes, cut(clean(part+": "+plain(err)), MaxTitle))
	}
}

// value works a part out; nil, and a note, where that fails.
func (r *reader) value(part string, v *expr.Value) any {
	if v == nil {
		return nil
	}
	out, err := r.s.Eval(v)
	if err != nil {
		r.note(part, err)
		return nil
	}
	return out
}

// text works a part out that is a text.
func (r *reader) text(part string, v *expr.Value, most int) string {
	if v == nil {
		return ""
	}
	s, err := r.s.Text(v)
	if err != nil {
		r.note(part, err)
		return ""
	}
	return cut(clean(s), most)
}

// fill works out all parts of the record.
func (r *reader) fill() error {
	p, a := &r.m.parts, &r.a
	key, err := r.key("identity", p.identity)
	a.Title = cut(line(r.text("title", p.title, MaxDescription)), MaxTitle)
	switch {
	case key != "":
	case err == nil && a.Title == "" && r.m.detect == nil:
		return r.m.wrong("identity", errors.New("it is empty, and so is the title: this is no event of the product"))
	default:
		key = keyOf(r.event)
		r.note("identity", errors.New("the event has none of the fields that tell it apart; all that it says does"))
	}
	a.IdentityKey, a.Title = key, cmp.Or(a.Title, cut(r.m.Title, MaxTitle))
	a.GroupKey, _ = r.key("group", p.group)
	a.Description = r.text("description", p.description, MaxDescription)
	a.Category = cut(line(r.text("category", p.category, MaxTitle)), 100)
	a.Link = r.text("link", p.link, 2048)
	if a.Severity, err = Severity(r.value("severity", p.severity)); err != nil {
		r.note("severity", err)
	}
	r.when(r.value("time", p.time))
	a.Techniques = Techniques(r.value("techniques", p.techniques))
	r.entities()
	r.observables()
	r.fields(r.value("fields", p.fields))
	return nil
}

// key makes a short key of any values: their canonical form, hashed.
func (r *reader) key(part string, v *expr.Value) (string, error) {
	if v == nil {
		return "", nil
	}
	x, err := r.s.Eval(v)
	if err != nil {
		r.note(part, err)
		return "", err
	}
	if blank(x) {
		return "", nil
	}
	return keyOf(x), nil
}

func keyOf(v any) string {
	b, err := expr.EncodeJSON(v)
	if err != nil {
		return "" // no value of an expression is so deep or so odd
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// when sets the time of the record: the event's own, where it can be read and
// believed.
func (r *reader) when(v any) {
	r.a.Time = r.a.Received
	if list, ok := v.([]any); ok {
		v = bestTime(list)
	}
	if !expr.Says(v) {
		return
	}
	t, err := Time(v)
	switch {
	case err != nil:
		r.note("time", err)
	case t.After(r.a.Received.Add(MaxAhead)):
		r.note("time", fmt.Errorf("%s is %s in the future; the alert has the time when it came", t.Format(time.RFC3339), t.Sub(r.a.Received).Round(time.Second)))
	case t.Before(earliest):
		r.note("time", fmt.Errorf("%s stands for no time; the alert has the time when it came", t.Format(time.RFC3339)))
	default:
		r.a.Time = t
		return
	}
	if s, err := expr.Show(v); err == nil {
		r.as = cut(clean(s), 100)
	}
}

// bestTime is the first of a list that can be read as a time, else the first
// that says anything.
func bestTime(list []any) any {
	for _, e := range list {
		if t, err := Time(e); err == nil && !t.Before(earliest) {
			return e
		}
	}
	for _, e := range list {
		if expr.Says(e) {
			return e
		}
	}
	return nil
}

func (r *reader) entities() {
	for _, p := range r.m.parts.entities {
		for _, text := range Texts(r.value("entities", p.value)) {
			e := Entity{Kind: p.kind, Value: cut(line(text), MaxTitle), Role: p.role}
			if e.Value != "" && len(r.a.Entities) < MaxEntities && !has(r.a.Entities, e) {
				r.a.Entities = append(r.a.Entities, e)
			}
		}
	}
}

// has tells whether a short list has a value.
func has[T comparable](list []T, v T) bool {
	for _, e := range list {
		if e == v {
			return true
		}
	}
	return false
}

// fields sets what playbooks see beyond the record, and the notes.
func (r *reader) fields(v any) {
	fields, _ := v.(map[string]any)
	if r.m.parts.named {
		maps.DeleteFunc(fields, func(_ string, v any) bool { return v == nil })
	}
	if len(r.notes) > 0 || r.as != "" {
		if fields = maps.Clone(fields); fields == nil { // it may be a part of the event
			fields = map[string]any{}
		}
		fields["unread"] = r.notes
		if r.as != "" {
			fields["event_time"] = r.as
		}
	}
	r.a.Fields = fields
}
