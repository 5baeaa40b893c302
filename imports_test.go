// Package riposte_test holds the layout to its import rules. The table below is
// the law of docs/architecture.md; everything else in this file reads it.
package riposte_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// kind is what a package may do and whom it may know.
type kind string

const (
	word      kind = "word"      // a leaf: may import words above it in the table
	rule      kind = "rule"      // pure: may import words, and rules above it
	open      kind = "open rule" // pure like a rule, but beside the order: words only; every machine may use it
	machine   kind = "machine"   // does I/O: may import words and rules, never another machine
	product   kind = "connector" // a product's folder: connector, observable and fault only
	data      kind = "data"      // embeds files: imports nothing of ours
	wiring    kind = "wiring"    // sees everything but cmd
	command   kind = "command"   // sees everything
	tool      kind = "tool"      // a program for developers: everything but the wiring
	testSuite kind = "suite"     // a conformance suite: words, rules and the machine whose folder it is in
)

// layout names every package, from the leaves up: words and rules import only
// what stands above them here. A package that is not named belongs to the
// nearest folder above it that is.
var layout = []struct {
	path string
	kind kind
	why  string
}{
	{"internal/fault", word, "the error kinds callers branch on"},
	{"internal/id", word, "how IDs are written"},
	{"internal/strictyaml", word, "YAML as we want it, with places"},
	{"internal/observable", word, "values seen"},
	{"internal/mail", word, "mails as they really are"},
	{"internal/expr", word, "expressions"},
	{"connector", word, "the contract with products"},

	{"internal/auth", open, "people, roles, permissions, tokens"},
	{"internal/audit", open, "the chain of acts"},

	{"internal/event", rule, "decodes events of any usual wire format"},
	{"internal/alert", rule, "alert record, normal form, keys, states"},
	{"internal/intel", rule, "indicators and verdicts"},
	{"internal/rates", rule, "what a source usually sends"},
	{"internal/score", rule, "how much an alert deserves attention, and why"},
	{"internal/triage", rule, "alert to decision"},
	{"playbook", rule, "the language"},
	{"internal/run", rule, "the interpreter"},
	{"internal/rehearse", rule, "a playbook's own tests, in virtual time"},
	{"internal/guard", rule, "what stands before a change"},
	{"internal/cases", rule, "case, tasks, timeline"},
	{"internal/report", rule, "figures from timelines"},

	{"connector/httprt", machine, "calls HTTP actions"},
	{"connector/execrt", machine, "calls programs"},
	{"connector/smtprt", machine, "sends mail"},
	{"connector/connectortest", testSuite, "recorded answers for every connector"},
	{"connector/caller", machine, "finds connections and makes calls"},
	{"internal/secret", machine, "sealed credentials"},
	{"internal/blob", machine, "large values"},
	{"internal/store", machine, "all SQL"},
	{"internal/store/storetest", testSuite, "a PostgreSQL of its own for a test"},
	{"internal/engine", machine, "runs plans durably"},
	{"internal/engine/enginetest", testSuite, "one suite for every engine"},
	{"internal/ingest", machine, "sources at work"},
	{"internal/httpapi", machine, "the HTTP API"},
	{"internal/demo", machine, "plays an attack to a server by its API; products that only exist there"},

	{"connectors", product, "one folder per product"},
	{"content", data, "what we ship as data"},
	{"web", data, "the built UI"},

	{"internal/app", wiring, "New, Run, Stop"},
	{"cmd", command, "the program"},

	{"internal/tools", tool, "programs for the build"},
	{"bench", tool, "benchmarks"},
	{"lab", tool, "real servers to test against"},
	{"", tool, "the root holds tests only"},
}

// closedToPure are imports that words and rules cannot have: what they need
// from the world comes as an argument. A path that ends in / closes all below.
var closedToPure = map[string]string{
	"net":                         "no network; net/netip and net/url are fine",
	"net/http":                    "no network",
	"net/http/":                   "no network",
	"net/smtp":                    "no network",
	"net/rpc":                     "no network",
	"net/rpc/":                    "no network",
	"crypto/tls":                  "no network",
	"golang.org/x/net/http2":      "no network",
	"golang.org/x/net/http2/":     "no network",
	"golang.org/x/net/proxy":      "no network",
	"golang.org/x/net/websocket":  "no network",
	"io/ioutil":                   "no files: take bytes or an fs.FS",
	"plugin":                      "no files: take bytes or an fs.FS",
	"log/syslog":                  "no network",
	"golang.org/x/time/":          "no clock: time arrives as an argument",
	"golang.org/x/sync/":          "no goroutines",
	"os":                          "no files, no environment: take bytes or an fs.FS",
	"os/":                         "no processes, no signals",
	"syscall":                     "no system calls",
	"golang.org/x/sys/":           "no system calls",
	"database/sql":                "no SQL: it lives in internal/store",
	"database/sql/":               "no SQL: it lives in internal/store",
	"math/rand":                   "no randomness: a random value arrives as data",
	"math/rand/v2":                "no randomness: a random value arrives as data",
	"log/slog":                    "no logging: return an error or a record, the caller logs",
	"log":                         "no logging: return an error or a record, the caller logs",
	"modernc.org/sqlite":          "no SQL: it lives in internal/store",
	"github.com/jackc/pgx/v5":     "no SQL: it lives in internal/store",
	"github.com/jackc/pgx/v5/":    "no SQL: it lives in internal/store",
	"github.com/pressly/goose/v3": "no SQL: it lives in internal/store",
}

// closedToRules are imports that rules cannot have and words can.
var closedToRules = map[string]string{
	"crypto/rand": "no randomness: a random value arrives as data",
}

// worldly are the functions by which packages that are fine otherwise read or
// wait on a clock, or look at the disk.
var worldly = map[string][]string{
	"time":          {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"context":       {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"},
	"path/filepath": {"Glob", "Walk", "WalkDir", "EvalSymlinks", "Abs"},
}

// onlyInStore is SQL, which has one home.
var onlyInStore = []string{"database/sql", "modernc.org/sqlite", "github.com/pressly/goose/v3", "github.com/jackc/pgx/v5", "github.com/jackc/pgx/v5/stdlib"}

const module = "riposte"

// pkg is what the go command tells of one package, test files left out.
type pkg struct {
	ImportPath, Dir string
	GoFiles         []string
	CgoFiles        []string
	IgnoredGoFiles  []string // for other systems, or left out by a build tag: held to the same rules
	Imports         []string
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from := place(p.ImportPath)
		for _, imported := range p.Imports {
			if imported != module && !strings.HasPrefix(imported, module+"/") {
				if !inStoreOrTool(from) && slices.Contains(onlyInStore, imported) {
					t.Errorf("%s imports %s: all SQL lives in internal/store; declare what you need as an interface here and let internal/app hand in the store", rel(p.ImportPath), imported)
				}
				continue
			}
			to := place(imported)
			if why := refusal(from, to); why != "" {
				t.Errorf("%s (%s) imports %s (%s): %s.\nThe order is the table at the top of imports_test.go; docs/architecture.md says why.",
					rel(p.ImportPath), layout[from].kind, rel(imported), layout[to].kind, why)
			}
		}
	}
}

func TestEveryPackageHasAPlaceInTheLayout(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if rel(p.ImportPath) != "." && layout[place(p.ImportPath)].path == "" {
			t.Errorf("%s has no place in the layout: decide whether it is a word, a rule or a machine (docs/architecture.md) and add one line to the table at the top of imports_test.go", rel(p.ImportPath))
		}
	}
}

func TestRulesArePure(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		k := layout[place(p.ImportPath)].kind
		if k != word && k != rule && k != open {
			continue
		}
		for _, imported := range p.Imports {
			why := closed(closedToPure, imported)
			if why == "" && k != word {
				why = closed(closedToRules, imported)
			}
			if why != "" {
				t.Errorf("%s is a %s and imports %s: %s.\nLet the machine that calls it do the I/O and pass the result in.", rel(p.ImportPath), k, imported, why)
			}
		}
		for _, file := range p.GoFiles {
			source := filepath.Join(p.Dir, file)
			for _, f := range impurities(t, parse(t, source)) {
				t.Errorf("%s: a %s reads no clock and no disk, and starts no goroutine: %s.\nTime and text arrive as arguments, so that a replay gives the same result.", f.place, k, f.what)
			}
		}
	}
}

// refusal says why a package in row from may not import one in row to, or
// nothing when it may.
func refusal(from, to int) string {
	a, b := layout[from], layout[to]
	if from == to {
		return "" // one folder and what is below it
	}
	switch a.kind {
	case word:
		if b.kind != word || to > from {
			return "a word is a leaf and knows only the words above it"
		}
	case open:
		if b.kind != word {
			return "it is open to everybody and therefore knows only words"
		}
	case rule:
		switch {
		case b.kind == rule && to > from:
			return "a rule knows only the rules above it; what it must know of a later one comes to it as data"
		case b.kind != word && b.kind != rule:
			return "a rule is pure and knows only words and the rules above it; take a value, or declare the one or two methods you need as an interface in the caller"
		}
	case product:
		if !slices.Contains([]string{"connector", "internal/observable", "internal/fault"}, b.path) {
			return "a product's folder knows only connector, internal/observable and internal/fault; everything else reaches it through connector.Env"
		}
	case data:
		return "it only embeds files"
	case machine:
		if b.kind != word && b.kind != rule && b.kind != open {
			return "machines never know each other; declare what you need as an interface where you use it and let internal/app pass the other one in"
		}
	case testSuite:
		if b.kind != word && b.kind != rule && b.kind != open && !strings.HasPrefix(a.path, b.path+"/") {
			return "a suite knows words, rules and the machine whose folder it is in; whoever runs it hands in the rest"
		}
	case command: // sees everything
	case wiring:
		if b.kind == command || b.kind == tool {
			return "the wiring is used by commands, not the other way round"
		}
	case tool:
		if b.kind == wiring || b.kind == command {
			return "nothing but cmd imports internal/app; start the program bin/riposte instead"
		}
	}
	if b.kind == wiring && a.kind != command {
		return "nothing but cmd imports internal/app"
	}
	if b.kind == command && a.kind != command {
		return "nothing imports a command"
	}
	return ""
}

// place finds a package's row: the longest path that is it or stands above it.
func place(importPath string) int {
	best, name := len(layout)-1, rel(importPath)
	for i, row := range layout {
		if (name == row.path || strings.HasPrefix(name, row.path+"/")) && len(row.path) > len(layout[best].path) {
			best = i
		}
	}
	return best
}

func inStoreOrTool(row int) bool {
	return layout[row].path == "internal/store" || layout[row].path == "internal/store/storetest" || layout[row].kind == tool
}

func closed(list map[string]string, imported string) string {
	if why := list[imported]; why != "" {
		return why
	}
	for path, why := range list {
		if strings.HasSuffix(path, "/") && strings.HasPrefix(imported, path) {
			return why
		}
	}
	return ""
}

func rel(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

type impurity struct{ place, what string }

// source is a parsed file.
type source struct {
	files *token.FileSet
	*ast.File
}

func parse(t *testing.T, path string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{fset, file}
}

// impurities finds calls that read a clock or look at the disk, and statements
// that start a goroutine.
func impurities(t *testing.T, file source) []impurity {
	t.Helper()
	var found []impurity
	known := map[string][]string{} // the worldly functions, by the name that the file has for their package
	for _, imp := range file.Imports {
		path, _ := strconv.Unquote(imp.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if imp.Name != nil {
			name = imp.Name.Name
		}
		if worldly[path] != nil && name == "." {
			found = append(found, impurity{file.files.Position(imp.Pos()).String(), "dot import of " + path})
		}
		known[name] = worldly[path]
	}
	ast.Inspect(file.File, func(n ast.Node) bool {
		at := func() string { return file.files.Position(n.Pos()).String() }
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, impurity{at(), "go statement"})
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && slices.Contains(known[x.Name], n.Sel.Name) {
				found = append(found, impurity{at(), x.Name + "." + n.Sel.Name})
			}
		}
		return true
	})
	return found
}

// packages asks the go command for every package of the module.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,CgoFiles,IgnoredGoFiles,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(fmt.Errorf("read go list: %w", err))
		}
		all = append(all, p.whole(t))
	}
	if len(all) == 0 {
		t.Fatal("go list names no package")
	}
	return all
}

// whole adds what the go command leaves out on this system.
func (p pkg) whole(t *testing.T) pkg {
	t.Helper()
	for _, name := range slices.Concat(p.CgoFiles, p.IgnoredGoFiles) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		p.GoFiles = append(p.GoFiles, name)
		for _, imp := range parse(t, filepath.Join(p.Dir, name)).Imports {
			if path, err := strconv.Unquote(imp.Path.Value); err == nil && !slices.Contains(p.Imports, path) {
				p.Imports = append(p.Imports, path)
			}
		}
	}
	return p
}

func TestImpurities(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"a clock", `import "time"; var _ = time.Now()`, "time.Now"},
		{"a clock by another name", `import t "time"; var _ = t.Now`, "t.Now"},
		{"a clock without a name", `import . "time"; var _ = Now()`, "dot import of time"},
		{"a deadline", `import "context"; func f(c context.Context) { context.WithTimeout(c, 1) }`, "context.WithTimeout"},
		{"a look at the disk", `import "path/filepath"; func f() { filepath.Glob("*") }`, "filepath.Glob"},
		{"a goroutine", `func f() { go f() }`, "go statement"},
		{"a duration", `import "time"; const _ = time.Second`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, "x.go", "package x; "+tt.text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			var what string
			for _, f := range impurities(t, source{fset, file}) {
				what += f.what
			}
			if what != tt.want {
				t.Errorf("found %q, want %q", what, tt.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		allowed  bool
	}{
		{"internal/observable", "internal/fault", true},
		{"internal/fault", "internal/observable", false},
		{"internal/expr", "internal/alert", false},
		{"internal/triage", "internal/alert", true},
		{"internal/alert", "internal/triage", false},
		{"internal/run", "playbook", true},
		{"playbook", "internal/run", false},
		{"playbook/cacao", "playbook", true},
		{"internal/guard", "internal/store", false},
		{"internal/engine", "internal/run", true},
		{"internal/engine", "internal/store", false},
		{"internal/engine/enginetest", "internal/engine", true},
		{"internal/engine/enginetest", "internal/store", false},
		{"connector/httprt", "connector", true},
		{"connector/httprt", "internal/secret", false},
		{"connector", "connector/httprt", false},
		{"connectors/imap", "connector", true},
		{"connectors/imap", "internal/observable", true},
		{"connectors/imap", "internal/alert", false},
		{"internal/app", "internal/engine", true},
		{"internal/engine", "internal/app", false},
		{"cmd/riposte", "internal/app", true},
		{"bench/drive", "internal/app", false},
		{"internal/auth", "internal/cases", false},
		{"internal/httpapi", "internal/auth", true},
		{"internal/cases", "internal/auth", false},
		{"content", "internal/fault", false},
		{"internal/engine/temporal", "internal/engine", true},
	}
	for _, tt := range tests {
		t.Run(tt.from+" imports "+tt.to, func(t *testing.T) {
			t.Parallel()
			why := refusal(place(module+"/"+tt.from), place(module+"/"+tt.to))
			if (why == "") != tt.allowed {
				t.Errorf("allowed is %v, want %v (%q)", why == "", tt.allowed, why)
			}
		})
	}
}
