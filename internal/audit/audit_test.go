package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"riposte/internal/fault"
)

func chain(t *testing.T, n int) (links []Link, head Head) {
	t.Helper()
	for i := range n {
		l, err := Next(head, Entry{At: time.Unix(int64(i+1), 0), Who: "ana", Act: "case.close", Object: fmt.Sprint("C-", i), Outcome: Done,
			Detail: json.RawMessage(`{"reason":"done"}`)})
		if err != nil {
			t.Fatal(err)
		}
		links, head = append(links, l), Head{Seq: l.Seq, Hash: l.Hash}
	}
	return links, head
}

func verify(links []Link, kept Head) error {
	var v Verifier
	for _, l := range links {
		if err := v.Add(l); err != nil {
			return err
		}
		if err := v.Passes(kept, false); err != nil {
			return err
		}
	}
	return v.Passes(kept, true)
}

func TestAChainThatNobodyTouchedHolds(t *testing.T) {
	t.Parallel()
	links, head := chain(t, 20)
	if err := verify(links, head); err != nil {
		t.Error(err)
	}
	if err := verify(nil, Head{}); err != nil {
		t.Errorf("an empty chain: %v", err)
	}
	e, err := links[3].Entry()
	if err != nil || e.Object != "C-3" {
		t.Errorf("entry 4 is %+v, %v", e, err)
	}
}

func TestWhateverIsDoneToAChainShows(t *testing.T) {
	t.Parallel()
	tests := map[string]func(l []Link) []Link{
		"an entry changed":              func(l []Link) []Link { l[5].Body = []byte(`{"who":"bob"}`); return l },
		"an entry and its hash changed": func(l []Link) []Link { l[5].Body[10] ^= 1; l[5].Hash = sum(l[4].Hash, 6, l[5].Body); return l },
		"an entry taken out":            func(l []Link) []Link { return slices.Delete(l, 5, 6) },
		"one taken out, the rest moved": func(l []Link) []Link {
			l = slices.Delete(l, 5, 6)
			for i := range l {
				l[i].Seq = int64(i + 1)
			}
			return l
		},
		"two exchanged":                  func(l []Link) []Link { l[5], l[6] = l[6], l[5]; return l },
		"one written twice":              func(l []Link) []Link { return slices.Insert(l, 5, l[5]) },
		"the first taken out":            func(l []Link) []Link { return l[1:] },
		"the newest cut off":             func(l []Link) []Link { return l[:19] },
		"all gone":                       func([]Link) []Link { return nil },
		"another chain of the same size": func(l []Link) []Link { var h Head; return rebuilt(l, h, 7) },
		"another end":                    func(l []Link) []Link { return rebuilt(l, Head{Seq: 18, Hash: l[17].Hash}, 19) },
	}
	for name, touch := range tests {
		links, head := chain(t, 20)
		if err := verify(touch(links), head); !errors.Is(err, fault.Conflict) {
			t.Errorf("%s: %v, want fault.Conflict", name, err)
		}
	}
}

// rebuilt forges the chain from one entry on, with hashes that fit.
func rebuilt(l []Link, head Head, from int) []Link {
	for i := range l {
		if int64(i) < head.Seq {
			continue
		}
		if i+1 >= from {
			l[i].Body = []byte(`{"who":"nobody"}`)
		}
		l[i].Hash = sum(head.Hash, l[i].Seq, l[i].Body)
		head = Head{Seq: l[i].Seq, Hash: l[i].Hash}
	}
	return l
}

func TestHeadsAreWrittenAndRead(t *testing.T) {
	t.Parallel()
	_, head := chain(t, 3)
	got, err := ParseHead(head.String())
	if err != nil || got != head {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "3", "3:", "x:" + head.String()[2:], "-1:" + head.String()[2:], head.String() + "00"} {
		if _, err := ParseHead(bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q is taken for a head", bad)
		}
	}
}

func TestAnEntrySaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	whole := Entry{At: time.Unix(1, 0), Who: "ana", Act: "x", Outcome: Done}
	for name, e := range map[string]func(*Entry){
		"no time":    func(e *Entry) { e.At = time.Time{} },
		"nobody":     func(e *Entry) { e.Who = "" },
		"no act":     func(e *Entry) { e.Act = "" },
		"no outcome": func(e *Entry) { e.Outcome = "" },
	} {
		bad := whole
		e(&bad)
		if _, err := Next(Head{}, bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
