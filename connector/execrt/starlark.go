package execrt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
	"riposte/internal/fault"
)

// Starlark runs script.starlark: reviewed files of the content folder, each in a
// process of its own that can reach nothing. A script defines main, which gets
// with and returns the output.
type Starlark struct {
	// Scripts is the folder of reviewed files. For a folder on disk take
	// os.Root.FS, which no link leaves.
	Scripts fs.FS
	// Self is how this binary is started again, before the hidden command; nil
	// means the binary itself.
	Self []string
	// MemoryBytes is what one script may use; 0 means 128 MB.
	MemoryBytes int64
	// Steps is how many steps of computation one script may take; 0 means 50
	// million, about a second.
	Steps uint64
}

const (
	defaultScriptMemory = 128 << 20
	defaultScriptSteps  = 50_000_000
	maxScript           = 1 << 20
	maxScriptOutput     = 4 << 20
)

// scriptJob is what the child reads.
type scriptJob struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	With   any    `json:"with"`
	Steps  uint64 `json:"steps"`
	Memory int64  `json:"memory"`
}

// scriptDone is what the child writes.
type scriptDone struct {
	Output json.RawMessage `json:"output,omitempty"`
	Error  string          `json:"error,omitempty"`
	Limit  bool            `json:"limit,omitempty"` // a limit was passed
}

// Run is the handler of script.starlark.
func (s *Starlark) Run(ctx context.Context, in *connector.Invocation) (connector.Result, any) {
	name, _ := in.Call.Inputs["script"].(string)
	source, err := s.source(name)
	if err != nil {
		return connector.Fail(connector.Invalid, plainText(err)), nil
	}
	j := scriptJob{Name: name, Source: source, With: in.Call.Inputs["with"], Steps: s.Steps, Memory: orDefault(s.MemoryBytes, defaultScriptMemory)}
	if j.Steps == 0 {
		j.Steps = defaultScriptSteps
	}
	text, err := json.Marshal(j)
	if err != nil {
		return connector.Fail(connector.Invalid, fmt.Sprintf("script %s: with cannot be written as JSON: %v", name, err)), nil
	}
	return s.child(ctx, name, text, j)
}

// source reads a script by its name, which must be one of the folder.
func (s *Starlark) source(name string) (string, error) {
	if !fs.ValidPath(name) || path.Ext(name) != ".star" || strings.HasPrefix(path.Base(name), ".") {
		return "", fmt.Errorf("script %q: expected the name of a file in the content folder's scripts that ends in .star: %w", name, fault.Invalid)
	}
	if s.Scripts == nil {
		return "", fmt.Errorf("script %q: there is no folder of scripts: %w", name, fault.NotFound)
	}
	f, err := s.Scripts.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("script %q: there is no such file in the content folder's scripts: %w", name, fault.NotFound)
		}
		return "", fmt.Errorf("script %q: it cannot be read: %w", name, fault.Invalid)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("script %q: it is no regular file: %w", name, fault.Invalid)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("script %q: it cannot be read: %w", name, fault.Invalid)
	case len(b) > maxScript:
		return "", fmt.Errorf("script %q: it is larger than %s: %w", name, sizeText(maxScript), fault.Invalid)
	}
	return string(b), nil
}

func plainText(err error) string {
	text := err.Error()
	for _, kind := range []error{fault.Invalid, fault.NotFound} {
		text = strings.TrimSuffix(text, ": "+kind.Error())
	}
	return text
}

func (s *Starlark) child(ctx context.Context, name string, job []byte, j scriptJob) (connector.Result, any) {
	self, err := (&Runtime{Self: s.Self}).self()
	if err != nil {
		return connector.Fail(connector.Permanent, err.Error()), nil
	}
	cmd := exec.CommandContext(ctx, self[0], append(self[1:len(self):len(self)], starlarkCommand)...)
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.Stdin = bytes.NewReader(job)
	cmd.WaitDelay = time.Second
	out := &bounded{max: maxScriptOutput + 1<<10}
	cmd.Stdout = out // standard error holds only what the runtime of Go says when it breaks down
	err = cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return connector.Fail(connector.Timeout, fmt.Sprintf("script %s did not end in time", name)), nil
	case ctx.Err() != nil:
		return connector.Fail(connector.Cancelled, fmt.Sprintf("script %s was cancelled", name)), nil
	case out.over:
		return connector.Fail(connector.Permanent, fmt.Sprintf("script %s returns more than %s", name, sizeText(maxScriptOutput))), nil
	}
	var done scriptDone
	if json.Unmarshal(out.Bytes(), &done) != nil {
		return connector.Fail(connector.Permanent, fmt.Sprintf("script %s ended without a result; most likely it needs more than %s of memory (%v)", name, sizeText(j.Memory), err)), nil
	}
	if done.Error != "" {
		class := connector.Invalid
		if done.Limit {
			class = connector.Permanent
		}
		return connector.Fail(class, done.Error), nil
	}
	output, err := expr.DecodeJSON(done.Output)
	if err != nil {
		return connector.Fail(connector.BadAnswer, fmt.Sprintf("script %s: its result cannot be read: %v", name, err)), nil
	}
	return connector.Result{Status: connector.OK}, output
}

// bounded is a buffer that takes no more than max bytes.
type bounded struct {
	bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		b.over = true
		return 0, io.ErrShortWrite
	}
	return b.Buffer.Write(p)
}
