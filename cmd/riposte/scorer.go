package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"riposte/internal/alert"
	"riposte/internal/app"
	"riposte/internal/intel"
	"riposte/internal/observable"
	"riposte/internal/score"
)

// scoring is what every command takes that scores alerts on this machine.
type scoring struct {
	mappingSet
	Score      string `name:"score" placeholder:"FILE" help:"The score file. Default: the one that Riposte ships with."`
	Lists      string `name:"lists" placeholder:"DIR" help:"A folder with the lists that the score file names, such as assets.csv and identities.json: value and note, as riposte lists export writes them."`
	Indicators string `name:"indicators" placeholder:"FILE" help:"What sources say of things: JSON or NDJSON of {type, value, verdict, confidence, source}."`
	History    string `name:"history" placeholder:"FILE" help:"What people decided about detections: JSON or NDJSON of {rule, source, true_positive, benign_positive, false_positive}."`
}

// scorer scores alerts with what files say.
type scorer struct {
	rules              *score.Rules
	mappings           *alert.Mappings
	assets, identities *score.Inventory
	said               map[observable.Observable][]intel.Opinion
	history            map[[2]string]score.History // by source and rule; source "" for any
	now                time.Time
}

func (c *scoring) open(w *world) (*scorer, error) {
	s := &scorer{now: time.Now().UTC(), said: map[observable.Observable][]intel.Opinion{}, history: map[[2]string]score.History{}}
	var err error
	if s.mappings, err = c.mappingSet.open(w); err != nil {
		return nil, err
	}
	if s.rules, err = app.ReadScore(c.Score); err != nil {
		if len(places(err)) == 0 {
			return nil, misusef("--score: %s", pathError(err))
		}
		return nil, w.diagnosed(err)
	}
	if c.Lists != "" {
		if err := s.lists(c.Lists); err != nil {
			return nil, err
		}
	}
	if c.Indicators != "" {
		if err := eachObject(w, c.Indicators, s.indicator); err != nil {
			return nil, err
		}
	}
	if c.History != "" {
		if err := eachObject(w, c.History, s.decided); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// lists reads the inventories of a folder. One of them may be missing, both are a
// mistake.
func (s *scorer) lists(dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return misusef("--lists: %s is not a folder", dir)
	}
	found := false
	for name, into := range map[string]**score.Inventory{s.rules.Lists.Assets: &s.assets, s.rules.Lists.Identities: &s.identities} {
		for _, ext := range []string{".csv", ".json", ".ndjson", ".jsonl"} {
			path := filepath.Join(dir, name+ext)
			if _, err := os.Stat(path); err != nil {
				continue
			}
			rows, err := readEntries(nil, path, "auto", "")
			if err != nil {
				return err
			}
			entries := make([]score.Entry, len(rows))
			for i, r := range rows {
				entries[i] = score.Entry{Value: r.Value, Note: r.Note}
			}
			*into, found = score.NewInventory(entries), true
			break
		}
	}
	if !found {
		return misusef("--lists: %s holds neither %s.csv nor %s.csv (or .json, .ndjson); name the files as the score file names its lists", dir, s.rules.Lists.Assets, s.rules.Lists.Identities)
	}
	return nil
}

// indicator takes one line of --indicators.
func (s *scorer) indicator(raw []byte) error {
	var i struct {
		Type       string        `json:"type"`
		Value      string        `json:"value"`
		Verdict    intel.Verdict `json:"verdict"`
		Confidence *int          `json:"confidence"`
		Source     string        `json:"source"`
	}
	if err := strictObject(raw, &i); err != nil {
		return err
	}
	o, err := observable.Parse(observable.Type(i.Type), i.Value)
	if err != nil {
		return errors.New(plainError(err))
	}
	switch i.Verdict {
	case intel.Malicious, intel.Suspicious, intel.Harmless, intel.Unknown:
	default:
		return fmt.Errorf("verdict is %q; expected malicious, suspicious, harmless or unknown", i.Verdict)
	}
	op := intel.Opinion{Source: i.Source, Verdict: i.Verdict, Confidence: 80, At: s.now}
	if op.Source == "" {
		op.Source = fmt.Sprintf("source-%d", len(s.said[o])+1)
	}
	if i.Confidence != nil {
		if op.Confidence = *i.Confidence; op.Confidence < 0 || op.Confidence > 100 {
			return fmt.Errorf("confidence is %d; expected 0 to 100", op.Confidence)
		}
	}
	s.said[o] = append(s.said[o], op)
	return nil
}

// decided takes one line of --history.
func (s *scorer) decided(raw []byte) error {
	var h struct {
		Rule   string `json:"rule"`
		Source string `json:"source"`
		score.History
	}
	if err := strictObject(raw, &h); err != nil {
		return err
	}
	switch {
	case h.Rule == "":
		return errors.New("rule is missing; expected the product's rule id, or the alert's title where it has none")
	case min(h.TruePositive, h.BenignPositive, h.FalsePositive) < 0:
		return errors.New("a number of decisions is below 0")
	}
	s.history[[2]string{h.Source, h.Rule}] = h.History
	return nil
}

// facts are what the files say of an alert.
func (s *scorer) facts(a *alert.Alert) score.Facts {
	d := score.DetectionOf(a)
	h, ok := s.history[[2]string{d.Source, d.Rule}]
	if !ok {
		h = s.history[[2]string{"", d.Rule}]
	}
	return score.Facts{
		Assets: s.assets.Assets(a), Identities: s.identities.Identities(a), History: h,
		Verdicts: score.JudgeAll(a, func(o observable.Observable) ([]intel.Opinion, string) { return s.said[o], "" }, s.now),
	}
}

// recordKeys are the parts of an alert record that a score rests on.
var recordKeys = []string{
	"source", "identity_key", "group_key", "title", "description", "category", "time", "received", "first_seen", "last_seen", "count",
	"entities", "observables", "techniques", "fields", "link", "mapping", "error",
}

// recordOf takes an alert record, as riposte source map and riposte alert list
// write them. ok is false for anything else.
func recordOf(raw []byte) (a alert.Alert, ok bool, err error) {
	var o map[string]json.RawMessage
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) || json.Unmarshal(raw, &o) != nil {
		return a, false, nil
	}
	_, record := o["identity_key"]
	var id string
	if _ = json.Unmarshal(o["id"], &id); !record && !(strings.HasPrefix(id, "A-") && o["status"] != nil && o["received"] != nil) {
		return a, false, nil
	}
	if o["title"] == nil && o["error"] == nil {
		return a, false, nil
	}
	kept := map[string]json.RawMessage{}
	for _, k := range recordKeys {
		if v := o[k]; v != nil {
			kept[k] = v
		}
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return a, false, err
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, false, fmt.Errorf("not an alert record: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	var severity any
	if v := o["severity"]; v != nil {
		if err := json.Unmarshal(v, &severity); err != nil {
			return a, false, err
		}
	}
	if a.Severity, err = alert.Severity(severity); err != nil {
		return a, false, err
	}
	if a.IdentityKey == "" {
		a.IdentityKey = id
	}
	a.Status, a.Count = alert.New, max(a.Count, 1)
	return a, true, nil
}

// strictObject reads an object that may hold no other fields.
func strictObject(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// eachObject gives the objects of a file to f, of one JSON array or one after
// another, and says at which line one is wrong.
func eachObject(w *world, file string, f func(raw []byte) error) error {
	data, err := eventsFile(w, file)
	if err != nil {
		return err
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	line := func(at int64) int { return 1 + bytes.Count(data[:min(int(at), len(data))], []byte("\n")) }
	dec := json.NewDecoder(bytes.NewReader(data))
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		if _, err := dec.Token(); err != nil {
			return misusef("%s:1: %v", file, err)
		}
	}
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return misusef("%s:%d: this is no JSON: %v; expected one object a line, or one array of objects", file, line(dec.InputOffset()), err)
		}
		if err := f(raw); err != nil {
			return misusef("%s:%d: %v", file, line(dec.InputOffset()-int64(len(raw))), err)
		}
	}
	if _, err := dec.Token(); err != nil && !errors.Is(err, io.EOF) {
		return misusef("%s:%d: %v", file, line(dec.InputOffset()), err)
	}
	return nil
}
