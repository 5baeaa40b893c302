package score

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"riposte/internal/alert"
)

// Level says how much a machine or an account matters.
type Level int

// The levels. A list's entry that says none is Medium: somebody found it worth
// listing.
const (
	NotListed Level = iota
	Low
	Medium
	High
	Critical
)

var levelWords = [5]string{"", "low", "medium", "high", "critical"}

func (l Level) String() string { return levelWords[l] }

// Listed is an entry of an inventory.
type Listed struct {
	Value      string // as the alert has it
	Level      Level
	Privileged bool
	Note       string
}

// Found are the entries that an alert's values have in a list.
type Found struct{ All []Listed }

// object is what conditions see.
func (f Found) object(accounts bool) map[string]any {
	highest, privileged := NotListed, false
	all := make([]any, len(f.All))
	var names []string
	for i, x := range f.All {
		highest, privileged = max(highest, x.Level), privileged || x.Privileged
		one := map[string]any{"value": x.Value, "criticality": some(x.Level.String()), "note": some(x.Note)}
		if accounts {
			one["privileged"] = x.Privileged
		}
		all[i] = one
	}
	for _, x := range f.All {
		if x.Level == highest {
			names = append(names, x.Value)
		}
	}
	o := map[string]any{"count": len(f.All), "highest": some(highest.String()), "level": int(highest), "names": few(names), "all": all}
	if accounts {
		o["privileged"] = privileged
	}
	return o
}

// Inventory finds how much machines or accounts matter. The zero value knows
// none. It is not changed once it is made.
type Inventory struct {
	exact map[string]Listed
	nets  map[netip.Prefix]Listed
	bits  []int // the lengths of networks, the longest first
}

// Entry is an entry of a list of the installation.
type Entry struct{ Value, Note string }

// NewInventory reads a list. An entry's value is a host's name, an address, a
// network or an account's name; its note holds words between commas: low, medium,
// high or critical, and privileged. Other words are kept for people.
func NewInventory(entries []Entry) *Inventory {
	v := &Inventory{exact: map[string]Listed{}, nets: map[netip.Prefix]Listed{}}
	for _, e := range entries {
		l := Listed{Level: Medium, Note: e.Note}
		for _, word := range strings.FieldsFunc(strings.ToLower(e.Note), func(r rune) bool { return r == ',' || r == ';' }) {
			if _, after, ok := strings.Cut(word, "="); ok && strings.TrimSpace(word[:len(word)-len(after)-1]) == "criticality" {
				word = after
			}
			word = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(word), "criticality:"))
			if n := slices.Index(levelWords[:], word); n > 0 {
				l.Level = Level(n)
			}
			l.Privileged = l.Privileged || word == "privileged" || word == "admin" || word == "administrator"
		}
		value := normal(e.Value)
		if net, err := netip.ParsePrefix(value); err == nil {
			net = net.Masked()
			v.nets[net] = l
			if !slices.Contains(v.bits, net.Bits()) {
				v.bits = append(v.bits, net.Bits())
			}
			continue
		}
		v.exact[value] = l
	}
	slices.SortFunc(v.bits, func(a, b int) int { return cmp.Compare(b, a) })
	return v
}

func normal(s string) string {
	s = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), ".")
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return s
}

// Empty tells whether the list holds nothing.
func (v *Inventory) Empty() bool { return v == nil || len(v.exact)+len(v.nets) == 0 }

// Find looks a value up: itself, else the smallest network around an address, the
// first part of a host's name, or an account without its domain.
func (v *Inventory) Find(value string) (l Listed, ok bool) {
	if v.Empty() {
		return l, false
	}
	key := normal(value)
	if l, ok = v.exact[key]; !ok {
		if a, err := netip.ParseAddr(key); err == nil {
			l, ok = v.around(a)
		} else {
			l, ok = v.bare(key)
		}
	}
	l.Value = value
	return l, ok
}

func (v *Inventory) around(a netip.Addr) (l Listed, ok bool) {
	for _, bits := range v.bits {
		if net, err := a.Prefix(bits); err == nil {
			if l, ok = v.nets[net]; ok {
				return l, true
			}
		}
	}
	return l, false
}

// bare looks for ws-07 of ws-07.example.org, and for alice of EXAMPLE\alice and
// of alice@example.org.
func (v *Inventory) bare(key string) (l Listed, ok bool) {
	name := key[strings.LastIndexByte(key, '\\')+1:]
	for _, cut := range []string{"@", "."} {
		if l, ok = v.exact[name]; ok {
			return l, true
		}
		name, _, _ = strings.Cut(name, cut)
	}
	l, ok = v.exact[name]
	return l, ok
}

// Assets finds the machines of an alert in an inventory, each once.
func (v *Inventory) Assets(a *alert.Alert) Found {
	return v.find(a, func(kind string) bool { return kind == "host" || kind == "ip" || kind == "cloud_resource" })
}

// Identities finds the accounts of an alert in an inventory, each once.
func (v *Inventory) Identities(a *alert.Alert) Found {
	return v.find(a, func(kind string) bool { return kind == "user" || kind == "mailbox" || kind == "email" })
}

func (v *Inventory) find(a *alert.Alert, is func(kind string) bool) (f Found) {
	if v.Empty() {
		return f
	}
	seen := map[string]bool{}
	add := func(kind, value string) {
		if !is(kind) || seen[value] {
			return
		}
		seen[value] = true
		if l, ok := v.Find(value); ok {
			f.All = append(f.All, l)
		}
	}
	for _, e := range a.Entities {
		add(e.Kind, e.Value)
	}
	for _, o := range a.Observables {
		add(o.Type, o.Value)
	}
	slices.SortFunc(f.All, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), cmp.Compare(a.Value, b.Value))
	})
	return f
}
