package engine

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"time"

	"riposte/connector"
	"riposte/internal/fault"
	"riposte/internal/run"
)

// A record is framed: a version, a checksum of what follows, the number of
// events, the events. Integers are varints, texts and values carry their
// length. A value that is kept as a blob is replaced by its hash.
const recordVersion = 1

// largeValue is the size from which a value goes to the blob store.
const largeValue = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// event is an event on its way into the journal. refs holds the hashes of
// values that were put into the blob store, by their place in values.
type event struct {
	run.Event
	refs []ref
}

type ref struct {
	place int
	hash  string
}

func (e *event) ref(place int) string {
	for _, r := range e.refs {
		if r.place == place {
			return r.hash
		}
	}
	return ""
}

type rawValue = json.RawMessage

// values lists the places of an event where large values may stand, always in
// the same order.
func values(e *run.Event, visit func(v *rawValue)) {
	visit(&e.Case)
	if r := e.Result; r != nil {
		visit(&r.Output)
		visit(&r.Before)
		visit(&r.After)
	}
	if s := e.Start; s != nil {
		for _, v := range []*json.RawMessage{&s.Inputs, &s.Alert, &s.Case, &s.Indicator, &s.Body} {
			visit(v)
		}
		for i := range s.Given {
			visit(&s.Given[i].Output)
		}
	}
	if a := e.Answer; a != nil {
		visit(&a.Value)
	}
	if c := e.Child; c != nil {
		visit(&c.Outputs)
	}
}

// offload puts large values into the blob store. One that cannot be put there
// travels in the record instead.
func offload(ctx context.Context, blobs Blobs, e *event) {
	place := -1
	values(&e.Event, func(v *rawValue) {
		place++
		if len(*v) <= largeValue || blobs == nil {
			return
		}
		if hash, err := blobs.Put(ctx, *v); err == nil {
			e.refs = append(e.refs, ref{place, hash})
		}
	})
}

// kinds numbers the event kinds. The numbers are stored: append only.
var kinds = [...]run.EventKind{
	run.Started, run.Checked, run.Began, run.Finished, run.Fired, run.Answered, run.Ended, run.Undone,
	run.Cancel, run.Pause, run.Resume,
}

func kindNumber(k run.EventKind) byte {
	for i := range kinds {
		if kinds[i] == k {
			return byte(i)
		}
	}
	return 0xff
}

// Which parts an event has.
const (
	hasBy = 1 << iota
	hasReason
	hasStart
	hasCheck
	hasResult
	hasAnswer
	hasChild
	hasCase
)

// encodeRecord writes a framed record of events.
func encodeRecord(events ...*event) ([]byte, error) {
	size := 32
	for i := range events {
		size += sizeOf(&events[i].Event)
	}
	w := encoder{b: make([]byte, 5, size)}
	w.b[0] = recordVersion
	w.uint(uint64(len(events)))
	for i := range events {
		w.event(events[i])
	}
	binary.LittleEndian.PutUint32(w.b[1:], crc32.Checksum(w.b[5:], castagnoli))
	return w.b, w.err
}

// encoder appends; err is the first error.
type encoder struct {
	b     []byte
	e     *event // the one being written
	place int    // of the next value
	err   error
}

func (w *encoder) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *encoder) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }

func (w *encoder) text(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

// value writes a value, or the hash of its blob.
func (w *encoder) value(v []byte) {
	hash := w.e.ref(w.place)
	w.place++
	if hash != "" {
		w.uint(uint64(len(hash))<<1 | 1)
		w.b = append(w.b, hash...)
		return
	}
	w.uint(uint64(len(v)) << 1)
	w.b = append(w.b, v...)
}

func (w *encoder) json(v any) {
	j, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode an event: %w", err)
	}
	w.uint(uint64(len(j)))
	w.b = append(w.b, j...)
}

// event writes the parts in the order of values.
func (w *encoder) event(e *event) {
	w.e, w.place = e, 0
	w.b = append(w.b, kindNumber(e.Kind))
	w.int(e.At.UnixMicro())
	w.uint(uint64(e.Act))
	w.uint(uint64(e.N))
	w.uint(parts(&e.Event))
	if e.By != "" {
		w.text(e.By)
	}
	if e.Reason != "" {
		w.text(e.Reason)
	}
	if e.Case != nil {
		w.value(e.Case)
	}
	w.place = 1
	if e.Result != nil {
		w.result(e.Result)
	}
	if e.Start != nil {
		w.start(e.Start)
	}
	if e.Answer != nil {
		a := *e.Answer
		a.Value = nil
		w.json(&a)
		w.value(e.Answer.Value)
	}
	if e.Child != nil {
		c := *e.Child
		c.Outputs = nil
		w.json(&c)
		w.value(e.Child.Outputs)
	}
	if e.Check != nil {
		w.json(e.Check)
	}
}

func parts(e *run.Event) (p uint64) {
	for _, has := range [...]struct {
		yes bool
		bit uint64
	}{
		{e.By != "", hasBy}, {e.Reason != "", hasReason}, {e.Start != nil, hasStart}, {e.Check != nil, hasCheck},
		{e.Result != nil, hasResult}, {e.Answer != nil, hasAnswer}, {e.Child != nil, hasChild}, {e.Case != nil, hasCase},
	} {
		if has.yes {
			p |= has.bit
		}
	}
	return p
}

// Which parts a result has beyond status and values.
const (
	resultTemporary = 1 << iota
	resultMore
)

func (w *encoder) result(r *connector.Result) {
	flags := uint64(0)
	if r.Temporary {
		flags |= resultTemporary
	}
	if len(r.Results) > 0 {
		flags |= resultMore
	}
	w.text(string(r.Status))
	w.uint(flags)
	for _, s := range [...]string{string(r.Class), r.Message, r.External, r.Drift, r.Connection} {
		w.text(s)
	}
	w.int(int64(r.RetryAfter))
	w.value(r.Output)
	w.value(r.Before)
	w.value(r.After)
	if flags&resultMore != 0 {
		w.json(r.Results)
	}
}

func (w *encoder) start(s *run.Start) {
	c := *s
	c.Inputs, c.Alert, c.Case, c.Indicator, c.Body = nil, nil, nil, nil, nil
	c.Given = append([]run.Given(nil), s.Given...)
	for i := range c.Given {
		c.Given[i].Output = nil
	}
	w.json(&c)
	for _, v := range []json.RawMessage{s.Inputs, s.Alert, s.Case, s.Indicator, s.Body} {
		w.value(v)
	}
	for i := range s.Given {
		w.value(s.Given[i].Output)
	}
}

// blobReader fetches a blob by its hash.
type blobReader func(hash string) ([]byte, error)

// decodeRecord reads the events of a record. What it returns lies in data, which
// must not change afterwards.
func decodeRecord(data []byte, blobs blobReader) ([]run.Event, error) {
	if len(data) < 6 || data[0] != recordVersion {
		return nil, fmt.Errorf("a record of the journal has an unknown form: %w", fault.Invalid)
	}
	body := data[5:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[1:]) {
		return nil, fmt.Errorf("a record of the journal is damaged: %w", fault.Invalid)
	}
	d := &decoder{b: body, blobs: blobs}
	n := d.uint()
	if n > uint64(len(body)) {
		return nil, errShort
	}
	events := make([]run.Event, 0, n)
	for range n {
		events = append(events, d.event())
		if d.err != nil {
			return nil, d.err
		}
	}
	return events, nil
}

var errShort = fmt.Errorf("a record of the journal is cut short: %w", fault.Invalid)

// decoder reads what the append functions wrote; err is the first error.
type decoder struct {
	b     []byte
	blobs blobReader
	err   error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail(errShort)
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) text() string { return string(d.bytes(d.uint())) }

func (d *decoder) value() json.RawMessage {
	n := d.uint()
	v := d.bytes(n >> 1)
	if n&1 == 0 || d.err != nil {
		if len(v) == 0 {
			return nil
		}
		return v
	}
	if d.blobs == nil {
		d.fail(fmt.Errorf("a record refers to the blob %s and there is no blob store: %w", v, fault.NotFound))
		return nil
	}
	blob, err := d.blobs(string(v))
	if err != nil {
		d.fail(fmt.Errorf("read the value %s of a record: %w", v, err))
	}
	return blob
}

func (d *decoder) json(into any) {
	b := d.bytes(d.uint())
	if d.err != nil {
		return
	}
	if err := json.Unmarshal(b, into); err != nil {
		d.fail(fmt.Errorf("decode an event: %w: %w", err, fault.Invalid))
	}
}

func (d *decoder) event() (e run.Event) {
	k := d.bytes(1)
	if len(k) == 0 || int(k[0]) >= len(kinds) {
		d.fail(fmt.Errorf("a record holds an unknown event: %w", fault.Invalid))
		return e
	}
	e.Kind = kinds[k[0]]
	e.At = time.UnixMicro(d.int()).UTC()
	e.Act = run.Act(d.uint())
	e.N = int(d.uint())
	p := d.uint()
	if p&hasBy != 0 {
		e.By = d.text()
	}
	if p&hasReason != 0 {
		e.Reason = d.text()
	}
	if p&hasCase != 0 {
		e.Case = d.value()
	}
	if p&hasResult != 0 {
		e.Result = d.result()
	}
	if p&hasStart != 0 {
		e.Start = d.start()
	}
	if p&hasAnswer != 0 {
		e.Answer = &run.Answer{}
		d.json(e.Answer)
		e.Answer.Value = d.value()
	}
	if p&hasChild != 0 {
		e.Child = &run.ChildResult{}
		d.json(e.Child)
		e.Child.Outputs = d.value()
	}
	if p&hasCheck != 0 {
		e.Check = &run.CheckResult{}
		d.json(e.Check)
	}
	return e
}

func (d *decoder) result() *connector.Result {
	r := &connector.Result{Status: connector.Status(d.text())}
	flags := d.uint()
	r.Temporary = flags&resultTemporary != 0
	r.Class = connector.Class(d.text())
	r.Message, r.External, r.Drift, r.Connection = d.text(), d.text(), d.text(), d.text()
	r.RetryAfter = time.Duration(d.int())
	r.Output, r.Before, r.After = d.value(), d.value(), d.value()
	if flags&resultMore != 0 {
		d.json(&r.Results)
	}
	return r
}

func (d *decoder) start() *run.Start {
	s := &run.Start{}
	d.json(s)
	s.Inputs, s.Alert, s.Case, s.Indicator, s.Body = d.value(), d.value(), d.value(), d.value(), d.value()
	for i := range s.Given {
		s.Given[i].Output = d.value()
	}
	return s
}

// snapHead is what is needed to read a snapshot and to go on from it.
type snapHead struct {
	plan  string
	at    time.Time // of the last event
	bytes int64     // of all results so far
}

// sealSnapshot frames an encoded state with what is needed to read it. A large
// one becomes a blob.
func sealSnapshot(ctx context.Context, blobs Blobs, h snapHead, state []byte) []byte {
	flag := uint64(0)
	if len(state) > largeValue && blobs != nil {
		if hash, err := blobs.Put(ctx, state); err == nil {
			state, flag = []byte(hash), 1
		}
	}
	w := encoder{b: make([]byte, 5, 32+len(h.plan)+len(state))}
	w.b[0] = recordVersion
	w.uint(flag)
	w.int(h.at.UnixMicro())
	w.int(h.bytes)
	w.text(h.plan)
	w.b = append(w.b, state...)
	binary.LittleEndian.PutUint32(w.b[1:], crc32.Checksum(w.b[5:], castagnoli))
	return w.b
}

// openSnapshot is the reverse of sealSnapshot.
func openSnapshot(b []byte, blobs blobReader) (h snapHead, state []byte, err error) {
	if len(b) < 8 || b[0] != recordVersion || crc32.Checksum(b[5:], castagnoli) != binary.LittleEndian.Uint32(b[1:]) {
		return h, nil, fmt.Errorf("a snapshot is damaged or of another version: %w", fault.Invalid)
	}
	d := &decoder{b: b[5:]}
	flag := d.uint()
	h.at = time.UnixMicro(d.int()).UTC()
	h.bytes = d.int()
	h.plan = d.text()
	state = d.b
	switch {
	case d.err != nil:
		return h, nil, d.err
	case flag == 1 && blobs == nil:
		return h, nil, fmt.Errorf("a snapshot is a blob and there is no blob store: %w", fault.NotFound)
	case flag == 1:
		state, err = blobs(string(state))
	}
	return h, state, err
}
