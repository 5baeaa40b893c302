package score

import (
	"time"

	"riposte/internal/alert"
	"riposte/internal/intel"
	"riposte/internal/observable"
)

// LookedUp tells whether sources know anything of such things; a port or a
// process of our own is none.
func LookedUp(t observable.Type) bool {
	switch t {
	case observable.IP, observable.CIDR, observable.Domain, observable.URL, observable.Email, observable.MD5, observable.SHA1, observable.SHA256, observable.SHA512:
		return true
	default:
		return false
	}
}

// JudgeAll makes a verdict of each thing in an alert that sources can know. said
// gives what sources say of a thing, and the allow list that holds it, "" for
// none.
func JudgeAll(a *alert.Alert, said func(o observable.Observable) (opinions []intel.Opinion, allowed string), at time.Time) []Verdict {
	list := make([]Verdict, 0, len(a.Observables))
	known := map[observable.Observable]bool{}
	for _, o := range a.Observables {
		thing := observable.Observable{Type: observable.Type(o.Type), Value: o.Value}
		if !LookedUp(thing.Type) || known[thing] {
			continue
		}
		known[thing] = true
		opinions, allowed := said(thing)
		v := Judge(o.Type, o.Value, opinions, at)
		v.Allowed = allowed
		list = append(list, v)
	}
	return list
}
