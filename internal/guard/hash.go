package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Hash is the identity of what would be done: SHA-256 over the action with its
// connector's version, the connection, the inputs (secrets by reference), the
// targets, the impact and the way back. An approval is bound to it: whatever of
// these changes, people are asked again. Equal requests hash equally, whatever
// the order of their inputs.
func Hash(q *Request, targets []connector.Target) (string, error) {
	var local [768]byte
	h := hasher{buf: local[:0]}
	h.text("riposte guard 1")
	if a := q.Action; a != nil {
		h.text(a.Connector)
		h.text(a.ID)
		h.text(a.Version)
		h.text(a.Digest)
	} else {
		h.text("")
	}
	h.text(q.Connection)
	h.text(q.Impact.String())
	inputs, err := expr.EncodeStored(q.Inputs)
	if err != nil {
		return "", fmt.Errorf("hash the inputs: %w: %w", err, fault.Invalid)
	}
	h.bytes(inputs)
	h.text(strconv.Itoa(len(targets)))
	for _, t := range targets {
		h.text(string(t.Kind))
		h.text(t.Value)
	}
	h.text(q.TakeBack.Action)
	h.text(q.TakeBack.Playbook)
	h.text(q.TakeBack.After.String())
	h.text(q.TakeBack.Text)
	return h.sum(), nil
}

// hasher joins texts so that no two lists of them look the same.
type hasher struct{ buf []byte }

func (h *hasher) text(s string) {
	h.buf = strconv.AppendInt(h.buf, int64(len(s)), 10)
	h.buf = append(h.buf, ':')
	h.buf = append(h.buf, s...)
}

func (h *hasher) sum() string {
	sum := sha256.Sum256(h.buf)
	return hex.EncodeToString(sum[:])
}

func (h *hasher) bytes(b []byte) {
	h.buf = strconv.AppendInt(h.buf, int64(len(b)), 10)
	h.buf = append(h.buf, ':')
	h.buf = append(h.buf, b...)
}
