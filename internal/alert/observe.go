package alert

import (
	"net/netip"
	"strings"

	"riposte/internal/observable"
)

// maxObserved is how much text of one event is looked through for observables.
const maxObserved = 64 << 10

// observables collects the observables of the record, each once. A value that is
// none of its type is left out: a sensor that writes "-" for an address is no
// reason to refuse its alert.
func (r *reader) observables() {
	left := maxObserved
	for _, p := range r.m.parts.observables {
		v := r.value("observables", p.value)
		switch {
		case v == nil:
		case p.kind == "any":
			w := anyWalk{r: r, left: left, role: p.role}
			w.value(v, nil, 0)
			left = w.left
		case p.kind == "text":
			for _, text := range Texts(v) {
				text = validPrefix(text, left)
				left -= len(text)
				r.extract(text, p.role)
			}
		default:
			for _, text := range Texts(v) {
				r.observe(observable.Type(p.kind), text, p.role)
			}
		}
	}
}

// extract adds what a text holds.
func (r *reader) extract(text, role string) { r.extractFrom(text, role, true) }

// extractFrom adds what a text holds. One word is often the name or the number
// of something, such as process.name or finding/0123…, that only looks like a
// domain or a hash: named says whether they count.
func (r *reader) extractFrom(text, role string, named bool) {
	for _, f := range observable.Extract(text) {
		switch f.Type {
		case observable.Domain, observable.MD5, observable.SHA1, observable.SHA256, observable.SHA512:
			if !named {
				continue
			}
		default: // an address, a link or a CVE is one wherever it stands
		}
		r.add(observable.Observable{Type: f.Type, Value: f.Value}, role)
	}
}

// add adds one; what is there with a role already is not added without one.
func (r *reader) add(o observable.Observable, role string) bool {
	if worthless(o) {
		return false
	}
	one := Observable{Type: string(o.Type), Value: o.Value, Role: role}
	for i, have := range r.a.Observables {
		if have.Type == one.Type && have.Value == one.Value {
			if role == "" || have.Role == role {
				return true
			}
			if have.Role == "" {
				r.a.Observables[i].Role = role
				return true
			}
		}
	}
	if len(r.a.Observables) < MaxObservables {
		r.a.Observables = append(r.a.Observables, one)
	}
	return true
}

// worthless tells what products write where they have nothing: a hash of zeros,
// the address of no machine.
func worthless(o observable.Observable) bool {
	switch o.Type {
	case observable.MD5, observable.SHA1, observable.SHA256, observable.SHA512:
		return strings.Trim(o.Value, "0") == ""
	case observable.IP:
		return o.Value == "0.0.0.0" || o.Value == "::"
	case observable.MAC:
		return strings.Trim(o.Value, "0:") == ""
	default:
		return false
	}
}

// observe adds a value that should be of a type; an address may come with a port
// or as one of a list.
func (r *reader) observe(t observable.Type, text, role string) bool {
	if o, err := observable.Parse(t, text); err == nil {
		return r.add(o, role)
	}
	if t != observable.IP || len(text) > 1000 {
		return false
	}
	found := false
	for _, part := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == ';' }) {
		if o, err := observable.Parse(observable.IP, address(part)); err == nil {
			found = r.add(o, role) || found
		}
	}
	return found
}

// address takes the port or the length of the prefix from an address.
func address(s string) string {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().String()
	}
	if p, err := netip.ParsePrefix(s); err == nil && p.IsSingleIP() {
		return p.Addr().String()
	}
	return strings.Trim(s, "[]")
}
