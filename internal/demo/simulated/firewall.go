package simulated

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// block is one line of the firewall's list.
type block struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // address, network, domain
	Value   string    `json:"value"`
	Comment string    `json:"comment,omitempty"`
	Created time.Time `json:"created"`
}

// firewall keeps a list of what it does not let through: an API key in the
// header X-Api-Key, paths below /api/v2.
type firewall struct {
	blocks []block
	last   int
}

func newFirewall() *Product {
	return newProduct("firewall", auth{kind: "header", name: "X-Api-Key"}, "", "firewall-demo-key", &firewall{})
}

func (f *firewall) reset() { *f = firewall{last: 1000} }

func (f *firewall) routes() map[string]handler {
	return map[string]handler{
		"GET /api/v2/system":             f.system,
		"GET /api/v2/blocks":             f.list,
		"POST /api/v2/blocks":            f.add,
		"GET /api/v2/blocks/{id}":        f.get,
		"DELETE /api/v2/blocks/{id}":     f.remove,
		"DELETE /api/v2/blocks":          f.removeByValue,
		"POST /api/v2/blocks/lookup":     f.lookup,
		"GET /api/v2/check/{address...}": f.check,
	}
}

func (f *firewall) snapshot() any {
	return map[string]any{"blocked": append([]block{}, f.blocks...)}
}

func (f *firewall) system(*call) reply {
	return ok(map[string]any{"name": "fw1", "version": "9.1.4", "scopes": []string{"blocks:read", "blocks:write"}, "blocks": len(f.blocks)})
}

// kindOf says what a value is, in its canonical form.
func kindOf(value string) (kind, canonical string, err error) {
	if a, err := netip.ParseAddr(value); err == nil {
		return "address", a.Unmap().String(), nil
	}
	if n, err := netip.ParsePrefix(value); err == nil {
		return "network", n.Masked().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(value, "."))
	if strings.Contains(name, ".") && !strings.ContainsAny(name, " /:@?#") {
		return "domain", name, nil
	}
	return "", "", errors.New("expected an address, a network or a domain")
}

// list takes ?value=, ?kind=, ?limit=, ?cursor=.
func (f *firewall) list(c *call) reply {
	query := c.URL.Query()
	value := query.Get("value")
	if _, canonical, err := kindOf(value); err == nil {
		value = canonical
	}
	found := []block{}
	for _, b := range f.blocks {
		if (value == "" || b.Value == value) && (query.Get("kind") == "" || b.Kind == query.Get("kind")) {
			found = append(found, b)
		}
	}
	items, next, err := page(c, found)
	if err != nil {
		return invalid(err)
	}
	return ok(map[string]any{"blocks": items, "total": len(found), "next_cursor": next})
}

func (f *firewall) find(value string) (int, bool) {
	_, canonical, _ := kindOf(value)
	i := slices.IndexFunc(f.blocks, func(b block) bool { return b.Value == canonical })
	return i, i >= 0
}

// add is the one call that honours an idempotency key.
func (f *firewall) add(c *call) reply {
	var in struct {
		Value   string `json:"value"`
		Comment string `json:"comment"`
	}
	if err := c.decode(&in); err != nil {
		return invalid(err)
	}
	kind, canonical, err := kindOf(in.Value)
	if err != nil {
		return invalid(err)
	}
	if n, err := netip.ParsePrefix(canonical); err == nil && n.Bits() < 8 {
		return failure(http.StatusUnprocessableEntity, "too_wide", "networks wider than /8 are not blocked")
	}
	if i, there := f.find(canonical); there {
		answer := failure(http.StatusConflict, "exists", canonical+" is blocked already")
		answer.body.(map[string]any)["block"] = f.blocks[i]
		return answer
	}
	f.last++
	b := block{ID: fmt.Sprintf("b-%d", f.last), Kind: kind, Value: canonical, Comment: in.Comment, Created: c.now}
	f.blocks = append(f.blocks, b)
	return did(http.StatusCreated, b, "block", canonical)
}

func (f *firewall) byID(id string) int {
	return slices.IndexFunc(f.blocks, func(b block) bool { return b.ID == id })
}

func (f *firewall) get(c *call) reply {
	i := f.byID(c.PathValue("id"))
	if i < 0 {
		return notFound("block", c.PathValue("id"))
	}
	return ok(f.blocks[i])
}

func (f *firewall) remove(c *call) reply {
	return f.removeAt(f.byID(c.PathValue("id")), c.PathValue("id"))
}

// removeByValue needs ?value=: without it it would mean everything.
func (f *firewall) removeByValue(c *call) reply {
	value := c.URL.Query().Get("value")
	if value == "" {
		return failure(http.StatusBadRequest, "invalid", "value is missing")
	}
	i, _ := f.find(value)
	return f.removeAt(i, value)
}

func (f *firewall) removeAt(i int, name string) reply {
	if i < 0 {
		return notFound("block", name)
	}
	b := f.blocks[i]
	f.blocks = slices.Delete(f.blocks, i, i+1)
	return did(http.StatusOK, map[string]any{"removed": b}, "unblock", b.Value)
}

// lookup is a POST that only looks: it tells of many values at once.
func (f *firewall) lookup(c *call) reply {
	var in struct {
		Values []string `json:"values"`
	}
	if err := c.decode(&in); err != nil {
		return invalid(err)
	}
	found := []block{}
	for _, v := range in.Values {
		if i, there := f.find(v); there {
			found = append(found, f.blocks[i])
		}
	}
	return ok(map[string]any{"blocks": found})
}

// check tells whether an address gets through, also by the networks it is in.
func (f *firewall) check(c *call) reply {
	address, err := netip.ParseAddr(c.PathValue("address"))
	if err != nil {
		return failure(http.StatusBadRequest, "invalid", "expected an address")
	}
	for _, b := range f.blocks {
		n, err := netip.ParsePrefix(b.Value)
		if b.Value == address.Unmap().String() || err == nil && n.Contains(address.Unmap()) {
			return ok(map[string]any{"address": address, "allowed": false, "block": b})
		}
	}
	return ok(map[string]any{"address": address, "allowed": true})
}
