// Package audit keeps the record of who did what in a form that shows when it
// was touched: each entry carries a hash over itself and the hash of the entry
// before, so that one that is changed, taken out or put in breaks the chain. It
// is pure; the store keeps the links.
//
// A chain alone does not show that its newest entries were cut off. Whoever
// wants to see that keeps a Head outside of the database and has it checked.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"riposte/internal/fault"
)

// Entry is one act.
type Entry struct {
	At      time.Time       `json:"at"`               // UTC, whole microseconds
	Tenant  string          `json:"tenant,omitempty"` // "": the default tenant
	Who     string          `json:"who"`              // a user, playbook:slug, timer, system
	From    string          `json:"from,omitempty"`   // the address, and the token's name
	Act     string          `json:"act"`              // approval.give, playbook.publish, connection.change …
	Object  string          `json:"object,omitempty"` // what it was done to: AP-12, playbook:block-ip …
	Outcome string          `json:"outcome"`          // done, denied, failed
	Detail  json.RawMessage `json:"detail,omitempty"` // what else matters; never a secret
}

// The outcomes.
const (
	Done   = "done"
	Denied = "denied"
	Failed = "failed"
)

// Hash is what a link is known by.
type Hash [sha256.Size]byte

// Link is an entry in its place in the chain.
type Link struct {
	Seq  int64  // from 1, without a gap
	Body []byte // the entry in JSON: exactly the bytes that were hashed
	Hash Hash
}

// Entry reads what the link holds.
func (l Link) Entry() (e Entry, err error) {
	if err := json.Unmarshal(l.Body, &e); err != nil {
		return e, fmt.Errorf("audit entry %d holds no entry: %w", l.Seq, err)
	}
	return e, nil
}

// Head is the end of a chain. The zero value is the end of an empty one.
type Head struct {
	Seq  int64
	Hash Hash
}

// String writes a head so that it can be kept elsewhere: 17:9f86d081…
func (h Head) String() string {
	return strconv.FormatInt(h.Seq, 10) + ":" + hex.EncodeToString(h.Hash[:])
}

// ParseHead reads what String wrote: fault.Invalid for anything else.
func ParseHead(s string) (h Head, err error) {
	seq, sum, ok := strings.Cut(s, ":")
	raw, errSum := hex.DecodeString(sum)
	h.Seq, err = strconv.ParseInt(seq, 10, 64)
	if !ok || err != nil || errSum != nil || len(raw) != len(h.Hash) || h.Seq < 0 {
		return Head{}, fmt.Errorf("%q is no head of an audit log; it looks like 17:9f86d081… with 64 hexadecimal digits: %w", s, fault.Invalid)
	}
	copy(h.Hash[:], raw)
	return h, nil
}

// Next puts an entry behind the head of a chain. It returns fault.Invalid for an
// entry that does not say who did what.
func Next(h Head, e Entry) (Link, error) {
	if e.Who == "" || e.Act == "" || e.Outcome == "" || e.At.IsZero() {
		return Link{}, fmt.Errorf("an audit entry says when, who, what and how it ended; got %+v: %w", e, fault.Invalid)
	}
	e.At = e.At.UTC().Truncate(time.Microsecond)
	body, err := json.Marshal(e)
	if err != nil {
		return Link{}, fmt.Errorf("write audit entry %s: %w", e.Act, err)
	}
	seq := h.Seq + 1
	return Link{Seq: seq, Body: body, Hash: sum(h.Hash, seq, body)}, nil
}

// sum is SHA-256 over the hash before, the number and the body, in this order.
func sum(prev Hash, seq int64, body []byte) Hash {
	b := make([]byte, 0, len(prev)+8+len(body))
	b = append(b, prev[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	return sha256.Sum256(append(b, body...))
}

// Verifier goes through a chain, link by link. The zero value begins at the
// start of a chain.
type Verifier struct{ Head Head }

// Add checks the next link. It returns fault.Conflict where the chain is broken,
// and says at which entry.
func (v *Verifier) Add(l Link) error {
	switch want := sum(v.Head.Hash, l.Seq, l.Body); {
	case l.Seq != v.Head.Seq+1:
		return fmt.Errorf("the audit log is broken: entry %d follows entry %d; entries between them are gone: %w", l.Seq, v.Head.Seq, fault.Conflict)
	case !bytes.Equal(want[:], l.Hash[:]):
		return fmt.Errorf("the audit log is broken at entry %d: it, or one before it, is not what was written: %w", l.Seq, fault.Conflict)
	}
	v.Head = Head{Seq: l.Seq, Hash: l.Hash}
	return nil
}

// Passes checks that the chain holds a head that was kept elsewhere; called
// whenever the verifier stands at or before it, and once at the end. It returns
// fault.Conflict where the chain is another one or shorter.
func (v *Verifier) Passes(kept Head, end bool) error {
	switch {
	case v.Head.Seq == kept.Seq && v.Head.Hash != kept.Hash:
		return fmt.Errorf("the audit log is not the one that was kept: entry %d has another hash: %w", kept.Seq, fault.Conflict)
	case end && v.Head.Seq < kept.Seq:
		return fmt.Errorf("the audit log ends at entry %d, but entry %d was there when its head was kept: the newest entries are gone: %w",
			v.Head.Seq, kept.Seq, fault.Conflict)
	}
	return nil
}
