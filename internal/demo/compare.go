package demo

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// blocked is what the firewall must have blocked once and let through again: the
// attackers of the samples, of whom the reputation service thinks badly, and the
// domain of the phishing mail.
var blocked = []string{
	"198.51.100.23", "198.51.100.77", "198.51.100.88", "203.0.113.45", "203.0.113.66",
	"198.51.100.131", "198.51.100.132", "198.51.100.133", "198.51.100.134", "198.51.100.135", "198.51.100.136", "198.51.100.137",
	"login.invoice-update.example",
}

// expected is, for each product, every change that it must have been asked for,
// and how often it was made. Anything else is wrong.
func expected() map[string]map[string]int {
	firewall := map[string]int{}
	for _, b := range blocked {
		firewall["block "+b], firewall["unblock "+b] = 1, 1
	}
	return map[string]map[string]int{
		"firewall":   firewall,
		"edr":        {"isolate ws-17": 1, "collect ws-17": 1},
		"directory":  {"disable alice": 1, "enable alice": 1, "revoke alice": 1, "revoke bob": 1},
		"reputation": {},
	}
}

// done is what a product says that was done to it: GET /log.
type done struct {
	Entries []struct {
		Changed        bool
		Change, Object string
		Method, Path   string
		Status         int
	}
}

// state is what a product says of itself: GET /state.
type state struct {
	Reads, Refused int
	State          struct {
		Blocked  []struct{ Value string }
		Isolated []struct{ Hostname string }
		Disabled []struct{ Login string }
		Lookups  map[string]int
	}
}

// compare asks the products what happened, and notes what should not have, or
// did not.
func (d *Demo) compare(ctx context.Context, s *Summary) error {
	for _, p := range d.Products.All() {
		var log done
		if err := d.Client.send(ctx, http.MethodGet, p.URL+"/log", "", "", nil, &log); err != nil {
			return err
		}
		var now state
		if err := d.Client.send(ctx, http.MethodGet, p.URL+"/state", "", "", nil, &now); err != nil {
			return err
		}
		made := log.made()
		compareChanges(s, p.Name, made, expected()[p.Name])
		s.check(now.Refused == 0, "%s refused %d calls", p.Name, now.Refused)
		s.check(now.Reads > 0, "%s was never asked anything", p.Name)
		switch p.Name {
		case "firewall":
			for change, n := range made {
				switch {
				case strings.HasPrefix(change, "block "):
					s.BlocksMade += n
				case strings.HasPrefix(change, "unblock "):
					s.BlocksTakenBack += n
				}
			}
			s.check(len(now.State.Blocked) == 0, "firewall still blocks %v", now.State.Blocked)
		case "edr":
			isolated := now.State.Isolated
			s.check(len(isolated) == 1 && isolated[0].Hostname == "ws-17", "edr has %v isolated, not only ws-17", isolated)
		case "directory":
			s.check(len(now.State.Disabled) == 0, "directory has %v disabled; all were given back", now.State.Disabled)
		case "reputation":
			for _, b := range blocked {
				s.check(now.State.Lookups[b] > 0, "reputation was not asked about %s", b)
			}
		}
	}
	return nil
}

// made counts the changes that were really made.
func (d done) made() map[string]int {
	counts := map[string]int{}
	for _, e := range d.Entries {
		if e.Changed {
			counts[e.Change+" "+e.Object]++
		}
	}
	return counts
}

// compareChanges notes each change that was not made exactly as often as it
// should, the protected and the refused among them: those are not expected.
func compareChanges(s *Summary, product string, made, want map[string]int) {
	for _, change := range slices.Sorted(maps.Keys(want)) {
		s.check(made[change] == want[change], "%s: %s was done %d times, not %d", product, change, made[change], want[change])
	}
	for _, change := range slices.Sorted(maps.Keys(made)) {
		if _, ok := want[change]; !ok {
			s.check(false, "%s: %s should not have been done", product, change)
		}
	}
}
