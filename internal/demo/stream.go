package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"
)

// event is one line of a sample.
type event struct {
	source string
	at     string // as the event says; sorts
	title  string
	kind   string // what events of one kind share: how they came, and what they say
	raw    []byte
}

// record is what the demo reads of a line, whoever wrote it.
type record struct {
	Timestamp string                     `json:"timestamp"`
	CreatedAt string                     `json:"created_at"`
	Alert     struct{ Signature string } `json:"alert"`
	Scenario  string                     `json:"scenario"`
	Message   string                     `json:"message"`
	Input     string                     `json:"input"` // how the message came
}

func (r record) title() string {
	if cef := strings.Split(r.Message, "|"); len(cef) > 5 && strings.HasPrefix(r.Message, "CEF:") {
		return cef[5]
	}
	return cmp.Or(r.Alert.Signature, r.Scenario, r.Message)
}

// firstOfEachKind parts the first event of each kind from the others, so that who
// looks on sees within a minute all that there is. The order stays otherwise.
func firstOfEachKind(all []event) (first, rest []event) {
	seen := map[string]bool{}
	for _, e := range all {
		if seen[e.kind] {
			rest = append(rest, e)
			continue
		}
		seen[e.kind] = true
		first = append(first, e)
	}
	return first, rest
}

// counts is what the server says about a batch of events.
type counts struct {
	Received, Accepted, Duplicates, Skipped, Unread int
}

func (c *counts) add(o counts) {
	c.Received += o.Received
	c.Accepted += o.Accepted
	c.Duplicates += o.Duplicates
	c.Skipped += o.Skipped
	c.Unread += o.Unread
}

// events reads all samples, in the order in which their sources wrote them and
// mixed by time.
func (d *Demo) events() ([]event, error) {
	var all []event
	for _, s := range samples {
		raw, err := fs.ReadFile(d.Content, "samples/"+s.file)
		if err != nil {
			return nil, err
		}
		latest := ""
		for line := range bytes.Lines(raw) {
			line = bytes.TrimSpace(line)
			if len(line) == 0 {
				continue
			}
			var r record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("sample %s: %w", s.file, err)
			}
			// A repeated event comes when it came, not when it was first seen.
			latest = max(latest, r.Timestamp, r.CreatedAt)
			all = append(all, event{s.source, latest, r.title(), s.source + r.Input + r.title(), line})
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return strings.Compare(a.at, b.at) })
	return all, nil
}

// post sends events to a source of the server, one a line.
func (d *Demo) post(ctx context.Context, source string, lines [][]byte) (counts, error) {
	var got counts
	err := d.Client.send(ctx, http.MethodPost, d.Client.Base+"/api/ingest/"+source, d.Sources[source], "application/x-ndjson", bytes.Join(lines, []byte("\n")), &got)
	if err == nil && got.Unread > 0 {
		err = fmt.Errorf("source %s: %d of %d events could not be read", source, got.Unread, got.Received)
	}
	return got, err
}

// burst is how many events of the samples go into one request when all are sent.
const burst = 12

// sendAll sends all samples at once, in small batches, as shippers do.
func (d *Demo) sendAll(ctx context.Context) (counts, error) {
	var total counts
	all, err := d.events()
	if err != nil {
		return total, err
	}
	waiting := map[string][][]byte{}
	flush := func(source string) error {
		got, err := d.post(ctx, source, waiting[source])
		total.add(got)
		delete(waiting, source)
		return err
	}
	for _, e := range all {
		if waiting[e.source] = append(waiting[e.source], e.raw); len(waiting[e.source]) == burst {
			if err := flush(e.source); err != nil {
				return total, err
			}
		}
	}
	for _, s := range samples {
		if len(waiting[s.source]) > 0 {
			if err := flush(s.source); err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

// Slower is how many times as long the demo waits for an alert once it has shown
// the first of each kind: then it is time to look around.
const Slower = 5

// stream sends the samples one by one until ctx ends, every so often one, the
// first of each kind before the others. After the last it begins again, with the
// events made new: the attackers come back.
func (d *Demo) stream(ctx context.Context, every time.Duration) error {
	all, err := d.events()
	if err != nil {
		return err
	}
	first, rest := firstOfEachKind(all)
	if err := d.play(ctx, first, 0, every); err != nil {
		return err
	}
	for round := 0; ctx.Err() == nil; round++ {
		if err := d.play(ctx, rest, round, Slower*every); err != nil {
			return err
		}
		rest = all
		if ctx.Err() == nil {
			d.tell("demo", "All samples have been sent; they begin again as new events.")
		}
	}
	return nil
}

// play sends events one by one, every so often one, and tells of each. In a later
// round they are made new first.
func (d *Demo) play(ctx context.Context, events []event, round int, every time.Duration) (err error) {
	for _, e := range events {
		if !pace(ctx, every) {
			return nil
		}
		raw := e.raw
		if round > 0 {
			if raw, err = renew(e, round, time.Now().UTC()); err != nil {
				return err
			}
		}
		got, err := d.post(ctx, e.source, [][]byte{raw})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case got.Duplicates > 0:
			d.tell(e.source, "%s, reported again: a duplicate", e.title)
		default:
			d.tell(e.source, "%s", e.title)
		}
	}
	return nil
}

// renew makes another event of one that was sent: same attack, other number.
func renew(e event, round int, now time.Time) ([]byte, error) {
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(e.raw))
	dec.UseNumber()
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	mark := fmt.Sprintf("-r%d", round)
	stamp := now.Format("2006-01-02T15:04:05.000000-0700")
	switch e.source {
	case "sagan":
		m["timestamp"], m["id"] = stamp, fmt.Sprint(m["timestamp"], mark)
	case "crowdsec":
		m["start_at"], m["id"] = stamp, fmt.Sprint(m["id"], mark)
	case "rsyslog":
		m["timestamp"] = stamp
		if sd, ok := m["sd"].(map[string]any); ok {
			if data, ok := sd["event@32473"].(map[string]any); ok {
				data["id"] = fmt.Sprint(data["id"], mark)
			}
		}
		if text, ok := m["message"].(string); ok && strings.HasPrefix(text, "CEF:") {
			m["message"] = text + mark // the number stands at the end
		}
	}
	return json.Marshal(m)
}
