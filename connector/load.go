package connector

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"riposte/internal/fault"
	"riposte/internal/strictyaml"
)

// DefaultTimeout is the time limit of one attempt when the manifest has none.
const DefaultTimeout = 60 * time.Second

// Load reads the manifest of the connector whose folder is dir. The error is
// all that is wrong with it, one line each, FILE:LINE:COLUMN: what is wrong;
// what was expected, and is a fault.Invalid.
func Load(fsys fs.FS, dir string) (*Manifest, error) {
	file := path.Join(dir, ManifestFile)
	data, err := fs.ReadFile(fsys, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file: %w", file, fault.NotFound)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	files, err := fs.Sub(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return parse(data, origin{file: file, files: files})
}

// Parse reads a manifest's text; file is its name in messages.
func Parse(file string, data []byte) (*Manifest, error) {
	return parse(data, origin{file: file})
}

// origin says where a manifest comes from, as far as it is known.
type origin struct {
	file     string // its name in messages
	files    fs.FS  // the connector's folder
	home     string // where that is on this machine; "" for what is part of the program
	folder   string // what the folder is called, and so the connector; "" if that does not matter
	reserved bool   // the names of the built-in actions are taken
}

func parse(data []byte, from origin) (*Manifest, error) {
	capabilities, err := capabilityTable()
	if err != nil {
		return nil, err
	}
	doc, err := strictyaml.Parse(from.file, data)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Dir: from.home, Files: from.files, actions: map[string]*Action{}}
	doc.Decode(m)
	c := checker{doc: doc, m: m, from: from, capabilities: capabilities}
	c.manifest()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	for i := range m.Actions {
		a, err := m.build(&m.Actions[i])
		if err != nil {
			return nil, err
		}
		m.actions[a.ID] = a
	}
	return m, nil
}

// build makes the action that plans and runtimes use.
func (m *Manifest) build(s *ActionSpec) (*Action, error) {
	a := &Action{
		Connector: m.Connector, Version: m.Version, ID: s.ID, Title: s.Title, Description: s.Description,
		Capability: s.Capability, Impact: s.Impact.Max, ImpactBy: s.Impact.By, Targets: s.Targets,
		Undo: s.Undo, TTL: s.TTL, Idempotency: s.idempotency(), Precheck: s.Precheck, Postcheck: s.Postcheck,
		Timeout: s.Timeout, Poll: s.Poll, Serialize: s.Serialize, Inputs: closed(s.Inputs), Outputs: s.Outputs,
		Scopes: s.Scopes, Saves: s.Saves, Verdict: s.Verdict, Batch: s.Batch, Deprecated: s.Deprecated.text(),
	}
	if a.Verdict != nil {
		a.Outputs = withVerdict(a.Outputs)
	}
	if a.Deprecated == "" {
		a.Deprecated = m.Deprecated.text()
	}
	if a.Timeout == 0 {
		a.Timeout = DefaultTimeout
	}
	if a.Poll != nil && a.Poll.Every == 0 {
		a.Poll.Every = 10 * time.Second
	}
	a.Retry = s.retry(a)
	var err error
	if a.Runtime, err = m.runtime(s); err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name(), err)
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name(), err)
	}
	sum := sha256.Sum256(text)
	a.Digest = hex.EncodeToString(sum[:])
	return a, nil
}

// withVerdict adds to an output what the platform works out from verdict.
func withVerdict(outputs Schema) Schema {
	out := Schema{"type": "object"}
	for k, v := range outputs {
		out[k] = v
	}
	properties := map[string]any{}
	for k, v := range outputs.Properties() {
		properties[k] = v
	}
	properties["verdict"] = map[string]any{
		"type": "object", "required": []any{"score", "label", "reliability"},
		"properties": map[string]any{
			"score":       map[string]any{"type": []any{"number", "null"}, "minimum": 0, "maximum": 100},
			"label":       map[string]any{"type": "string"},
			"reliability": map[string]any{"type": "string"},
		},
	}
	out["properties"] = properties
	return out
}

// closed makes inputs refuse fields that they do not declare.
func closed(inputs Schema) Schema {
	out := Schema{"type": "object", "additionalProperties": false}
	for k, v := range inputs {
		out[k] = v
	}
	return out
}

func (s *ActionSpec) idempotency() Idempotency {
	switch {
	case s.Idempotency != "":
		return s.Idempotency
	case s.Impact.Max == Read:
		return Natural
	}
	return None
}

// retry fills in which classes are temporary. A lost answer is one only where
// doing it twice does no harm.
func (s *ActionSpec) retry(a *Action) RetrySpec {
	r := RetrySpec{}
	if s.Retry != nil {
		r = *s.Retry
	}
	if r.Every == 0 {
		r.Every = 5 * time.Second
	}
	if r.Backoff == 0 {
		r.Backoff = 2
	}
	switch {
	case r.On != nil:
	case a.Idempotency == None && a.Impact != Read:
	case a.Impact != Read && (a.Idempotency == Natural || a.Idempotency == Key):
		r.On = []Class{Transient, RateLimited, UnknownOutcome}
	default:
		r.On = []Class{Transient, RateLimited}
	}
	return r
}

func (d *Deprecated) text() string {
	if d == nil {
		return ""
	}
	text := "deprecated"
	if d.Since != "" {
		text += " since " + d.Since
	}
	if d.ReplacedBy != "" {
		text += ", use " + d.ReplacedBy + " instead"
	}
	if d.Until != "" {
		text += ", stops working on " + d.Until
	}
	return text
}

// runtime makes the part that only the runtime reads, whole in itself: a plan
// that holds the action needs no manifest.
func (m *Manifest) runtime(s *ActionSpec) (json.RawMessage, error) {
	switch m.Runtime {
	case "http":
		return json.Marshal(m.httpCall(s))
	case "exec":
		return json.Marshal(m.execCall(s))
	}
	handler := s.ID
	if s.Go != nil && s.Go.Handler != "" {
		handler = s.Go.Handler
	}
	return json.Marshal(GoSpec{Handler: handler})
}

func (m *Manifest) httpCall(s *ActionSpec) HTTPCall {
	common := m.HTTP
	if common == nil {
		common = &HTTPCommon{}
	}
	call := HTTPCall{
		HTTPSpec: *s.HTTP, Base: common.Base, Auth: m.Auth, Egress: m.Egress, Config: m.Config,
		RetryAfter: common.RetryAfter,
	}
	call.Errors = append(call.Errors, s.Errors...)
	call.Errors = append(call.Errors, m.Errors...)
	call.Headers = merged(common.Headers, s.HTTP.Headers, sameHeader)
	call.Query = merged(common.Query, s.HTTP.Query, func(a, b string) bool { return a == b })
	if call.Method == "" {
		call.Method = "GET"
	}
	if call.Success == nil {
		call.Success = common.Success
	}
	if call.Answer == "" {
		call.Answer = common.Answer
	}
	if call.MaxAnswer == 0 {
		call.MaxAnswer = common.MaxAnswer
	}
	if call.Redirects == nil {
		call.Redirects = common.Redirects
	}
	return call
}

func (m *Manifest) execCall(s *ActionSpec) ExecCall {
	call := ExecCall{ExecSpec: *s.Exec, Dir: m.Dir, Config: m.Config}
	if m.Exec == nil {
		return call
	}
	if call.Memory == 0 {
		call.Memory = m.Exec.Memory
	}
	if call.MaxOutput == 0 {
		call.MaxOutput = m.Exec.MaxOutput
	}
	if call.Processes == 0 {
		call.Processes = m.Exec.Processes
	}
	return call
}

// merged adds to common what is the action's own, which wins.
func merged[V any](common, own map[string]V, same func(a, b string) bool) map[string]V {
	if len(common) == 0 {
		return own
	}
	out := make(map[string]V, len(common)+len(own))
	for c, v := range common {
		overridden := false
		for k := range own {
			overridden = overridden || same(c, k)
		}
		if !overridden {
			out[c] = v
		}
	}
	for k, v := range own {
		out[k] = v
	}
	return out
}
