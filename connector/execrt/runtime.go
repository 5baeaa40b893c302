package execrt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"riposte/connector"
	"riposte/internal/expr"
)

const (
	defaultMemory    = 256 << 20
	defaultOutput    = 10 << 20
	defaultProcesses = 16
	keptStderr       = 4 << 10
)

// Runtime runs programs. The zero Runtime is ready; it is safe for concurrent
// use.
type Runtime struct {
	// Self is how this binary is started again, before the hidden command; nil
	// means the binary itself.
	Self []string
	// TempDir is where the programs' own folders are made; "" means the system's.
	TempDir string
}

// Request is what a program reads from its standard input.
type Request struct {
	Contract  int               `json:"contract"`
	Connector string            `json:"connector"`
	Action    string            `json:"action"`
	Inputs    map[string]any    `json:"inputs"`
	Config    map[string]any    `json:"config"`
	Secrets   map[string]string `json:"secrets"`
	Key       string            `json:"key"`
	Deadline  time.Time         `json:"deadline,omitzero"`
}

// Response is what a program writes to its standard output. Status is ok,
// already, partial, failed, denied or unknown; "" means ok without a class and
// failed with one.
type Response struct {
	Status     connector.Status `json:"status"`
	Output     json.RawMessage  `json:"output"`
	Class      connector.Class  `json:"class"`
	Message    string           `json:"message"`
	External   string           `json:"external"`
	Before     json.RawMessage  `json:"before"`
	After      json.RawMessage  `json:"after"`
	RetryAfter float64          `json:"retry_after"` // seconds
}

// Run makes one call. The time limit is ctx's.
func (r *Runtime) Run(ctx context.Context, in *connector.Invocation) (connector.Result, any) {
	var spec connector.ExecCall
	if err := json.Unmarshal(in.Call.Action.Runtime, &spec); err != nil {
		return connector.Fail(connector.Permanent, in.Call.Action.Name()+": its exec section cannot be read"), nil
	}
	command, err := resolve(spec)
	if err != nil {
		return connector.Fail(connector.Permanent, err.Error()), nil
	}
	request, err := makeRequest(ctx, in)
	if err != nil {
		return connector.Fail(connector.Invalid, err.Error()), nil
	}
	done, err := r.start(ctx, job{
		command: command, stdin: request, memory: orDefault(int64(spec.Memory), defaultMemory),
		processes: int(orDefault(int64(spec.Processes), defaultProcesses)),
		maxOutput: orDefault(int64(spec.MaxOutput), defaultOutput),
	})
	if err != nil {
		return connector.Fail(connector.Permanent, fmt.Sprintf("%s: %v", in.Call.Action.Name(), err)), nil
	}
	return judge(done, in)
}

func orDefault(n, fallback int64) int64 {
	if n > 0 {
		return n
	}
	return fallback
}

func makeRequest(ctx context.Context, in *connector.Invocation) ([]byte, error) {
	a := in.Call.Action
	req := Request{
		Contract: connector.ContractVersion, Connector: a.Connector, Action: a.ID,
		Inputs: in.Call.Inputs, Config: in.Config, Secrets: in.Secrets, Key: in.Call.Key,
	}
	if end, ok := ctx.Deadline(); ok {
		req.Deadline = end.UTC()
	}
	b, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return append(b, '\n'), nil
}

// searched is where programs without a slash are looked for: a fixed list, so
// that the server's own environment decides nothing.
var searched = []string{"/usr/local/bin", "/usr/bin", "/bin"}

// resolve finds the program. Words that begin with ./ are files of the
// connector's folder, since the program runs in a folder of its own.
func resolve(spec connector.ExecCall) ([]string, error) {
	if spec.Dir == "" {
		return nil, errors.New("a program runs only from a folder of --connectors, not from inside the binary")
	}
	home, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the connector's folder: %w", err)
	}
	command := make([]string, len(spec.Command))
	for i, word := range spec.Command {
		command[i] = word
		if strings.HasPrefix(word, "./") || i == 0 && strings.Contains(word, "/") && !strings.HasPrefix(word, "/") {
			command[i] = filepath.Join(home, word)
		}
	}
	if !strings.Contains(command[0], "/") {
		for _, dir := range searched {
			if runnable(filepath.Join(dir, command[0])) == nil {
				command[0] = filepath.Join(dir, command[0])
				return command, nil
			}
		}
		return nil, fmt.Errorf("there is no program %s in %s", command[0], strings.Join(searched, ", "))
	}
	if err := runnable(command[0]); err != nil {
		return nil, err
	}
	return command, nil
}

func runnable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no program %s", path)
	case err != nil:
		return fmt.Errorf("look for the program: %w", err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is no program; run chmod +x on it", path)
	}
	return nil
}

// judge says what the end of a program means.
func judge(done outcome, in *connector.Invocation) (connector.Result, any) {
	lost := func(class connector.Class, what string) (connector.Result, any) {
		res := connector.Fail(class, what+done.stderrText())
		if in.Impact >= connector.Change {
			res.Status = connector.Unknown // it ran, and what it did is not known
		}
		return res, nil
	}
	switch done.reason {
	case endTimeout:
		return lost(connector.Timeout, "the program did not end in time and was ended with all that it started")
	case endCancelled:
		return lost(connector.Cancelled, "the call was cancelled and the program ended")
	case endOutput:
		return lost(connector.BadAnswer, fmt.Sprintf("the program wrote more than %s and was ended", sizeText(done.limit)))
	case endMemory:
		return lost(connector.Permanent, fmt.Sprintf("the program used more than %s of memory and was ended", sizeText(done.limit)))
	case endProcesses:
		return lost(connector.Permanent, fmt.Sprintf("the program started more than %d processes and was ended", done.limit))
	case endStart:
		return connector.Fail(connector.Permanent, "the program could not be started: "+done.detail), nil
	default: // nothing to do for the others
	}
	text := bytes.TrimSpace(done.stdout)
	if done.code != 0 && len(text) == 0 {
		return connector.Fail(connector.Permanent, "the program ended with "+done.ending()+done.stderrText()), nil
	}
	var resp Response
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&resp)
	switch {
	case len(text) == 0:
		return lost(connector.BadAnswer, "the program wrote no result")
	case err != nil && done.code != 0:
		return connector.Fail(connector.Permanent, "the program ended with "+done.ending()+done.stderrText()), nil
	case err != nil:
		return lost(connector.BadAnswer, fmt.Sprintf("the program's result cannot be read: %v", err))
	case len(bytes.TrimSpace(text[d.InputOffset():])) > 0:
		return lost(connector.BadAnswer, "the program wrote more than one result")
	}
	return resp.result(lost)
}

func (r *Response) result(lost func(connector.Class, string) (connector.Result, any)) (connector.Result, any) {
	res := connector.Result{
		Status: r.Status, Class: r.Class, Message: r.Message, External: r.External,
		RetryAfter: time.Duration(min(max(r.RetryAfter, 0), 86400) * float64(time.Second)),
		Before:     r.Before, After: r.After,
	}
	switch r.Status {
	case "":
		if res.Status = connector.OK; r.Class != "" {
			res.Status = connector.Failed
		}
	case connector.OK, connector.Already, connector.Partial, connector.Failed, connector.Denied, connector.Unknown:
	default:
		return lost(connector.BadAnswer, fmt.Sprintf("the program's result has the status %q; expected ok, already, partial, failed, denied or unknown", r.Status))
	}
	if !knownClass(r.Class) {
		return lost(connector.BadAnswer, fmt.Sprintf("the program's result has the class %q, which does not exist", r.Class))
	}
	switch {
	case res.Status == connector.OK || res.Status == connector.Already:
		res.Class = ""
	case res.Class == "" && res.Status == connector.Partial:
		res.Class = connector.PartialError
	case res.Class == "" && res.Status == connector.Unknown:
		res.Class = connector.UnknownOutcome
	case res.Class == "":
		res.Class = connector.Permanent
	}
	if len(r.Output) == 0 {
		return res, nil
	}
	output, err := expr.DecodeJSON(r.Output)
	if err != nil {
		return lost(connector.BadAnswer, "the program's output cannot be read: "+err.Error())
	}
	return res, output
}

func knownClass(c connector.Class) bool {
	switch c {
	case "", connector.Auth, connector.Permission, connector.NotFound, connector.Invalid, connector.RateLimited,
		connector.Conflict, connector.Transient, connector.Permanent, connector.PartialError, connector.UnknownOutcome,
		connector.Timeout, connector.BadAnswer:
		return true
	case connector.Cancelled, connector.Protected, connector.Policy, connector.KillSwitch:
		return false // these are the platform's to give
	}
	return false
}

func sizeText(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d KB", n>>10)
}
