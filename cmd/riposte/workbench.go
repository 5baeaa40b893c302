package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"riposte/connector"
	"riposte/content"
	"riposte/internal/app"
	"riposte/playbook"
)

// suffix is how a playbook's file name ends.
const suffix = ".playbook.yaml"

// checking is what every command takes that looks at playbooks on this machine.
type checking struct {
	Paths      []string `arg:"" name:"path" help:"Playbook files, or folders with files named *.playbook.yaml."`
	Connectors string   `name:"connectors" placeholder:"DIR" env:"RIPOSTE_CONNECTORS" help:"More connectors to check against."`
	Config     string   `name:"config" short:"c" placeholder:"FILE" help:"A configuration whose people and connectors to check against."`
}

// sheet is one playbook on the workbench.
type sheet struct {
	file        string
	text        []byte
	checked     *playbook.Checked
	diagnostics []playbook.Diagnostic
}

func (s *sheet) wrong() bool { return playbook.HasErrors(s.diagnostics) }

// id is the playbook's slug, else its file.
func (s *sheet) id() string {
	if s.checked != nil && s.checked.Playbook.ID.Value != "" {
		return s.checked.Playbook.ID.Value
	}
	return s.file
}

// workbench is everything that a check may know here: connectors, people and
// the playbooks that call each other.
type workbench struct {
	sheets []*sheet
	opt    playbook.Options
}

// open reads and checks all files.
func (c *checking) open(w *world) (*workbench, error) {
	files, err := playbookFiles(c.Paths)
	if err != nil {
		return nil, err
	}
	b := &workbench{}
	if err := c.know(w, b); err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := readPlaybook(f)
		if err != nil {
			return nil, err
		}
		b.sheets = append(b.sheets, &sheet{file: f, text: text})
	}
	b.opt.Playbooks = b.callable()
	for _, s := range b.sheets {
		s.checked, s.diagnostics = playbook.Check(s.file, s.text, b.opt)
	}
	return b, nil
}

// know finds connectors and people.
func (c *checking) know(w *world, b *workbench) error {
	folder := c.Connectors
	if c.Config != "" {
		cfg, _, err := (&settings{Config: c.Config}).load(w)
		if err != nil {
			return w.diagnosed(err)
		}
		folder = cmp.Or(folder, cfg.Connectors)
		if b.opt.People, err = peopleOf(cfg); err != nil {
			return err
		}
	}
	if folder != "" {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return misusef("--connectors: %s is not a folder", folder)
		}
	}
	registry, err := openConnectors(folder)
	if err != nil {
		return err
	}
	for from, err := range registry.Problems() {
		fmt.Fprintf(w.err, "riposte: connector not loaded: %s: %s\n", from, plainError(err))
	}
	b.opt.Catalog = registry
	return nil
}

// openConnectors loads the connectors that we ship and those of a folder.
func openConnectors(folder string) (*connector.Registry, error) {
	shipped, err := content.Folder("connectors")
	if err != nil {
		return nil, err
	}
	folders := []connector.Folder{{FS: shipped, Name: "content/connectors"}}
	if folder != "" {
		folders = append(folders, connector.Folder{FS: os.DirFS(folder), Dir: folder})
	}
	return connector.NewRegistry(folders...)
}

// peopleOf answers who stands behind a name.
func peopleOf(cfg app.Config) (func(string) ([]string, bool), error) {
	d, err := cfg.Directory()
	if err != nil {
		return nil, err
	}
	return func(name string) ([]string, bool) {
		if who := d.Ever([]string{name}); len(who) > 0 {
			return who, true
		}
		return nil, !strings.HasPrefix(d.Problem(name), "there is no ")
	}, nil
}

// callable finds playbooks that others call: those on the workbench, those that
// lie beside them, and those that we ship.
func (b *workbench) callable() func(string, int) *playbook.Signature {
	known := map[string]*playbook.Signature{}
	learn := func(file string, text []byte) {
		if p, _ := playbook.Parse(file, text); p != nil && p.ID.Value != "" && known[p.ID.Value] == nil {
			known[p.ID.Value] = p.Signature()
		}
	}
	for _, s := range b.sheets {
		learn(s.file, s.text)
	}
	for _, s := range b.sheets {
		beside, _ := filepath.Glob(filepath.Join(filepath.Dir(s.file), "*"+suffix)) // the pattern is good
		for _, f := range beside {
			if text, err := readPlaybook(f); err == nil {
				learn(f, text)
			}
		}
	}
	shipped, _ := fs.Glob(content.Files(), "playbooks/*"+suffix) // the pattern is good
	for _, f := range shipped {
		if text, err := fs.ReadFile(content.Files(), f); err == nil {
			learn(f, text)
		}
	}
	return func(slug string, version int) *playbook.Signature {
		if s := known[slug]; s != nil && (version == 0 || version == s.Version) {
			return s
		}
		return nil
	}
}

// playbookFiles finds the files that paths name, each once.
func playbookFiles(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		before := len(files)
		err = filepath.WalkDir(p, func(f string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(f, suffix) {
				files = append(files, f)
			}
			return err
		})
		if err != nil {
			return nil, misusef("%s", pathError(err))
		}
		if len(files) == before {
			return nil, misusef("%s: the folder holds no file named *%s", p, suffix)
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(files, func(f string) bool {
		twice := seen[filepath.Clean(f)]
		seen[filepath.Clean(f)] = true
		return twice
	}), nil
}

// readPlaybook reads a file, but no more of it than a playbook may have.
func readPlaybook(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, misusef("%s", pathError(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, playbook.MaxFileSize+1))
	if err != nil {
		return nil, misusef("%s", pathError(err))
	}
	return text, nil
}

// plainError is an error's text without its kind.
func plainError(err error) string {
	return strings.TrimSuffix(err.Error(), ": invalid")
}

// report is what a check says, as --json writes it.
type report struct {
	Files    []fileReport `json:"files"`
	Errors   int          `json:"errors"`
	Findings int          `json:"findings"`
}

type fileReport struct {
	File        string                `json:"file"`
	Playbook    string                `json:"playbook,omitempty"`
	Valid       bool                  `json:"valid"`
	Diagnostics []playbook.Diagnostic `json:"diagnostics"`
}

func (b *workbench) report() report {
	r := report{Files: []fileReport{}}
	for _, s := range b.sheets {
		f := fileReport{File: s.file, Valid: !s.wrong(), Diagnostics: s.diagnostics}
		if f.Diagnostics == nil {
			f.Diagnostics = []playbook.Diagnostic{}
		}
		if s.checked != nil {
			f.Playbook = s.checked.Playbook.ID.Value
		}
		for _, d := range s.diagnostics {
			if d.Severity == playbook.SeverityError {
				r.Errors++
			} else {
				r.Findings++
			}
		}
		r.Files = append(r.Files, f)
	}
	return r
}

// refuse prints the errors of a workbench that something else than a check needs
// to be right. nil: there are none.
func (b *workbench) refuse(w *world) error {
	r := b.report()
	if r.Errors == 0 {
		return nil
	}
	if w.json {
		return errors.Join(w.printJSON(r), silent{exitMisused})
	}
	for _, f := range r.Files {
		for _, d := range f.Diagnostics {
			if d.Severity == playbook.SeverityError {
				fmt.Fprintln(w.err, d.String())
			}
		}
	}
	return silent{exitMisused}
}
