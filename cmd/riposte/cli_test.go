package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"riposte/internal/httpapi"
)

// outcome is what a command did.
type outcome struct {
	code     int
	out, err string
}

// command runs the program without a terminal.
func command(t *testing.T, env map[string]string, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	w := &world{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(k string) string { return env[k] }}
	code := execute(t.Context(), args, w)
	return outcome{code, out.String(), errs.String()}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const good = `playbook: hello
title: Say hello
on:
  - manual: true
steps:
  - id: look
    action: intel.lookup
    with: { type: ip, value: 203.0.113.9 }
  - action: log.note
    with: { text: "${{ steps.look.output.verdict }}" }
tests:
  - name: it says hello
    mock:
      look: { output: { known: false, verdict: unknown } }
      log.note: { output: {} }
    expect: { status: succeeded }
`

func TestBadInputGetsOneMessageWithItsRemedy(t *testing.T) {
	t.Parallel()
	signedIn := map[string]string{"RIPOSTE_TOKEN": "rip_x", "RIPOSTE_URL": "http://127.0.0.1:1"}
	args := func(list ...string) func(t *testing.T) []string {
		return func(*testing.T) []string { return list }
	}
	config := func(text string) func(t *testing.T) []string {
		return func(t *testing.T) []string { return []string{"config", "check", file(t, "r.yaml", text)} }
	}
	// with puts a playbook between the words of a command.
	with := func(text string, before []string, after ...string) func(t *testing.T) []string {
		return func(t *testing.T) []string {
			return append(append(append([]string{}, before...), file(t, "hello.playbook.yaml", text)), after...)
		}
	}
	run := []string{"playbook", "run"}
	tests := []struct {
		name string
		args func(t *testing.T) []string
		env  map[string]string
		want string
	}{
		{"unknown command", args("serv"), nil, `unexpected argument serv, did you mean "serve"?; see riposte --help`},
		{"unknown flag", args("run", "list", "--stat", "failed"), nil, `unknown flag --stat, did you mean "--status"?; see riposte run list --help`},
		{"wrong word", args("run", "list", "--status", "broken"), nil, `--status must be one of`},
		{"missing argument", args("run", "show"), nil, `expected "<id>"; see riposte run show --help`},
		{"an ID of another kind", args("run", "show", "C-1"), signedIn, `"C-1" is not an ID of the form R-123`},
		{"no token", args("run", "list"), nil, "RIPOSTE_TOKEN is not set; riposte token create makes a token"},
		{"a token with a line break", args("run", "list"), map[string]string{"RIPOSTE_TOKEN": "a\nb"}, "holds blanks or line breaks"},
		{"no address", args("run", "list"), map[string]string{"RIPOSTE_TOKEN": "x", "RIPOSTE_URL": "localhost"}, `RIPOSTE_URL: "localhost" is not the address of a server`},
		{"nobody to ask", args("run", "cancel", "R-1"), signedIn, "say --yes"},
		{"undo without a reason", args("ledger", "undo", "L-1"), nil, "missing flags: --reason"},
		{"undo of two things", args("ledger", "undo", "L-1", "--run", "R-1", "--reason", "wrong"), signedIn, "name one thing to take back"},
		{"no duration", args("token", "create", "x", "--expires", "soon"), signedIn, `--expires: "soon" is no duration; expected a whole number and a unit`},
		{"unknown key", config("listen: 127.0.0.1:1\npeeple: {}\n"), nil, `r.yaml:2:1: unknown key "peeple"; did you mean "people"?`},
		{"no address to listen on", config("listen: here\n"), nil, `r.yaml:1:9: "here" is not an address; expected host:port`},
		{"unknown role", config("people:\n  ana: { roles: [analist] }\n"), nil, `there is no role "analist"; did you mean "analyst"?`},
		{"a source without a token", config("sources:\n  eve: { type: webhook, mapping: suricata-eve }\n"), nil, "nothing says who may send to this webhook; give token_file, token_hash, key_file, certificate or from"},
		{"half of tls", config("tls: { certificate: a.pem }\n"), nil, "tls has only one of certificate and key; give both or neither"},
		{"a key twice", config("listen: :1\nlisten: :2\n"), nil, "r.yaml:2:1:"},
		{"wrong environment", args("config", "check"), map[string]string{"RIPOSTE_LISTEN": "x"}, `RIPOSTE_LISTEN: "x" is not an address`},
		{"wrong flag value", args("config", "check", "--log-level", "loud"), nil, `--log-level: "loud" is not one of debug, info, warn, error`},
		{"no configuration there", args("config", "check", "--config", "/nowhere.yaml"), nil, "--config: /nowhere.yaml: no such file or directory"},
		{"a short password", args("config", "password"), nil, "too short; use at least 12 characters"},
		{"no playbook there", args("playbook", "test", "/nowhere"), nil, "/nowhere: no such file or directory"},
		{"a playbook that is wrong", with(good+"extra: 1\n", []string{"playbook", "test"}), nil, `hello.playbook.yaml:17:1: unknown key "extra"`},
		{"no YAML to format", with("a: [", []string{"playbook", "fmt"}), nil, "hello.playbook.yaml:2:1: not YAML"},
		{"no such test", with(good, run, "--test", "x"), nil, `there is no test "x"; it has "it says hello"`},
		{"mocks of nothing", func(t *testing.T) []string {
			return with(good, run, "--mocks", file(t, "m.yaml", "mock: { loook: { output: 1 } }\n"))(t)
		}, nil, `nothing in the playbook is called "loook"`},
		{"an alert that is no JSON", func(t *testing.T) []string {
			return with(good, run, "--alert", file(t, "a.json", "{\n\"a\": }"))(t)
		}, nil, "at line 2"},
		{"an unknown mapping", func(t *testing.T) []string {
			return with(good, run, "--alert", file(t, "a.json", "{}"), "--mapping", "eve")(t)
		}, nil, `there is no file and no mapping "eve"; we ship `},
		{"a list with a wrong line", func(t *testing.T) []string {
			return []string{"lists", "import", "own", file(t, "l.txt", "a.example\n{\"valu\": 1}\n")}
		}, signedIn, "l.txt:2:1: not an entry"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := command(t, tt.env, "short\n", tt.args(t)...)
			if got.code != exitMisused || !strings.Contains(got.err, tt.want) || got.out != "" {
				t.Errorf("exit %d, stdout %q, stderr %q; want exit 2 and %q", got.code, got.out, got.err, tt.want)
			}
			if strings.Count(strings.TrimSpace(got.err), "\n") > 0 {
				t.Errorf("more than one line:\n%s", got.err)
			}
		})
	}
}

func TestPlaybooksAreCheckedTestedFormattedDrawnAndRun(t *testing.T) {
	t.Parallel()
	path := file(t, "hello.playbook.yaml", good)
	dir := filepath.Dir(path)
	if got := command(t, nil, "", "playbook", "check", path); got.code != 0 || got.err != "1 playbook: 0 errors, 0 findings\n" {
		t.Errorf("check: %+v", got)
	}
	var tested testReport
	got := command(t, nil, "", "playbook", "test", path, "--junit", filepath.Join(dir, "j.xml"), "--json")
	if err := json.Unmarshal([]byte(got.out), &tested); err != nil || got.code != 0 || !tested.Passed || tested.Tests != 1 {
		t.Errorf("test: %v %+v", err, got)
	}
	if xml, err := os.ReadFile(filepath.Join(dir, "j.xml")); err != nil || !strings.Contains(string(xml), "it says hello") {
		t.Errorf("junit: %v %s", err, xml)
	}
	if got := command(t, nil, "", "playbook", "fmt", path); got.code != 0 {
		t.Errorf("fmt: %+v", got)
	}
	if got := command(t, nil, "", "playbook", "fmt", "--check", path); got.code != 0 || got.out != "" {
		t.Errorf("formatting twice changes something: %+v", got)
	}
	bad := file(t, "bad.playbook.yaml", "playbook: x-y\ntitle: &t T\n")
	if got := command(t, nil, "", "playbook", "fmt", "--json", bad); got.code != exitMisused || got.err != "" ||
		!strings.Contains(got.out, `"changed":false,"diagnostics":[{"file":"`+bad+`","line":2,"column":8,"severity":"error","message":"an anchor (&t)`) {
		t.Errorf("fmt of an anchor as JSON: %+v", got)
	}
	if got := command(t, nil, "a: [", "playbook", "fmt", "-", "--json"); got.code != exitMisused || !strings.HasPrefix(got.out, `{"files":[{"file":"standard input","changed":false,"diagnostics":[{`) {
		t.Errorf("fmt of standard input as JSON: %+v", got)
	}
	if got := command(t, nil, "", "playbook", "graph", path, "--out", dir); got.code != 0 || strings.Count(got.out, "\n") != 2 {
		t.Errorf("graph: %+v", got)
	}
	if got := command(t, nil, "", "playbook", "run", path, "--test", "it says hello", "--json"); got.code != 0 || !strings.Contains(got.out, `"status":"succeeded"`) {
		t.Errorf("run: %+v", got)
	}
}

func TestAPlaybookRunsOnceOnAnInstallationOfItsOwn(t *testing.T) {
	t.Parallel()
	path := file(t, "hello.playbook.yaml", good)
	got := command(t, nil, "", "playbook", "run", path, "--data", filepath.Join(t.TempDir(), "data"))
	if got.code != 0 || !strings.Contains(got.out, "succeeded") {
		t.Errorf("%+v", got)
	}
}

func TestATestThatFailsExitsWithOne(t *testing.T) {
	t.Parallel()
	path := file(t, "hello.playbook.yaml", strings.Replace(good, "status: succeeded", "status: failed", 1))
	got := command(t, nil, "", "playbook", "test", path)
	if got.code != exitFailed || !strings.Contains(got.out, "FAILED") {
		t.Errorf("%+v", got)
	}
	found := file(t, "other.playbook.yaml", good) // another file name than its id is a finding
	if got := command(t, nil, "", "playbook", "check", "--strict", found); got.code != exitMisused {
		t.Errorf("a finding under --strict: %+v", got)
	}
	if got := command(t, nil, "", "playbook", "check", found); got.code != exitDone {
		t.Errorf("a finding: %+v", got)
	}
}

func TestWhatTheServerRefusesIsToldInOneLine(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/runs/R-1":
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"type":"urn:riposte:problem:not-found","title":"There is no such thing","status":404,"detail":"there is no R-1"}`))
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(`{"status":422,"detail":"inputs of playbook x: ip is missing"}`))
		default:
			_, _ = w.Write([]byte(`<html>`))
		}
	}))
	t.Cleanup(srv.Close)
	env := map[string]string{"RIPOSTE_URL": srv.URL, "RIPOSTE_TOKEN": "rip_x"}
	if got := command(t, env, "", "run", "show", "R-1"); got.code != exitFailed || got.err != "riposte: there is no R-1\n" {
		t.Errorf("%+v", got)
	}
	if got := command(t, env, "", "run", "start", "x"); got.code != exitMisused || !strings.Contains(got.err, "ip is missing") {
		t.Errorf("%+v", got)
	}
	if got := command(t, env, "", "run", "list"); got.code != exitFailed || !strings.Contains(got.err, "not what a Riposte server gives") {
		t.Errorf("%+v", got)
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	got := command(t, map[string]string{"RIPOSTE_URL": "http://127.0.0.1:1", "RIPOSTE_TOKEN": "x"}, "", "run", "list")
	if got.code != exitFailed || !strings.Contains(got.err, "cannot reach a server at http://127.0.0.1:1") {
		t.Errorf("%+v", got)
	}
}

func TestHelpLeadsWithExamples(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"run", "list", "--help"}, {"playbook", "test", "--help"}, {"serve", "--help"}, {"connection", "add", "--help"}} {
		if got := command(t, nil, "", args...); got.code != 0 || !strings.HasPrefix(got.out, "Examples:\n  riposte ") {
			t.Errorf("%v: exit %d, %.60q", args, got.code, got.out)
		}
	}
}

func TestTextsFromOutsideCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	if got := oneLine("a\x1b[31mb\r\nc\u009bd"); got != "a[31mb  cd" {
		t.Errorf("%q", got)
	}
}

func TestSecretsComeByPromptFileOrEnvironmentOnly(t *testing.T) {
	t.Parallel()
	var sent []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			var b bytes.Buffer
			_, _ = b.ReadFrom(r.Body)
			sent = b.Bytes()
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"name":"edr"}`))
			return
		}
		_, _ = w.Write([]byte(`{"items":[{"name":"acme","config":{"required":["token"],"properties":{"token":{"type":"string","secret":true},"port":{"type":"integer"}}},"secrets":["token"]}]}`))
	}))
	t.Cleanup(srv.Close)
	env := map[string]string{"RIPOSTE_URL": srv.URL, "RIPOSTE_TOKEN": "x", "EDR": "s3cret"}
	if got := command(t, env, "", "connection", "add", "edr", "acme", "--set", "token=s3cret"); got.code != exitMisused || strings.Contains(got.err, "s3cret") {
		t.Errorf("a secret by flag: %+v", got)
	}
	for _, args := range [][]string{
		{"connection", "add", "edr", "acme", "--set", "port=443", "--secret-env", "token=EDR"},
		{"connection", "add", "edr", "acme", "--set", "port=443", "--secret-file", "token=" + file(t, "s", "s3cret\n")},
		{"connection", "add", "edr", "acme", "--set", "port=443"}, // from standard input
	} {
		got := command(t, env, "s3cret\n", args...)
		if got.code != 0 || !bytes.Contains(sent, []byte(`"token":"s3cret"`)) || !bytes.Contains(sent, []byte(`"port":443`)) {
			t.Errorf("%v: %+v sent %s", args, got, sent)
		}
	}
}

// full is a disk that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestDataThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"config", "show"}, {"config", "show", "--json"}, {"version"}} {
		var talk bytes.Buffer
		w := &world{in: strings.NewReader(""), out: full{}, err: &talk, getenv: func(string) string { return "" }}
		if code := execute(t.Context(), args, w); code != exitFailed || !strings.Contains(talk.String(), "no space left") {
			t.Errorf("%v: exit %d, %q", args, code, talk.String())
		}
	}
}

func TestATokenThatLetsNobodyInIsNotCalledGood(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, token := range map[string]httpapi.Token{
		"good": {Expires: now.Add(time.Second)}, "expired": {Expires: now}, "revoked": {Revoked: true, Expires: now},
	} {
		if got := tokenState(token, now); got != want {
			t.Errorf("%+v is %s, want %s", token, got, want)
		}
	}
}
