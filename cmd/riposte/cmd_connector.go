package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"riposte/connector"
	"riposte/internal/fault"
)

type connectorCmd struct {
	Check connectorCheckCmd `cmd:"" help:"Tell what is wrong with connectors."`
}

type connectorCheckCmd struct {
	Paths []string `arg:"" name:"path" help:"Manifests, folders of connectors, or folders that hold such folders."`
}

// Examples leads the command's help.
func (*connectorCheckCmd) Examples() string {
	return "riposte connector check acme-dns/\nriposte connector check /etc/riposte/connectors\nriposte connector check draft.yaml --json"
}

// connectorReport is what a check says, as --json writes it.
type connectorReport struct {
	Files  []manifestReport `json:"files"`
	Errors int              `json:"errors"`
}

type manifestReport struct {
	File      string         `json:"file"`
	Connector string         `json:"connector,omitempty"`
	Version   string         `json:"version,omitempty"`
	Valid     bool           `json:"valid"`
	Problems  []place        `json:"problems"`
	Actions   []actionReport `json:"actions,omitempty"`
}

// actionReport is what a reviewer of a connector looks at first.
type actionReport struct {
	ID          string                `json:"id"`
	Capability  string                `json:"capability,omitempty"`
	Impact      connector.Impact      `json:"impact"`
	Idempotency connector.Idempotency `json:"idempotency"`
	Targets     []string              `json:"targets,omitempty"`
}

// Run checks connectors as the server loads them: one line for each thing that
// is wrong, as other tools write it.
func (c *connectorCheckCmd) Run(w *world) error {
	r := connectorReport{Files: []manifestReport{}}
	for _, p := range c.Paths {
		checked, err := checkConnectors(p)
		if err != nil {
			return err
		}
		for _, one := range checked {
			f, err := manifestReportOf(one)
			if err != nil {
				return err
			}
			r.Files = append(r.Files, f)
			r.Errors += len(f.Problems)
		}
	}
	if w.json {
		if err := w.printJSON(r); err != nil {
			return err
		}
	} else {
		for _, f := range r.Files {
			for _, p := range f.Problems {
				fmt.Fprintln(w.out, p.String())
			}
		}
		fmt.Fprintf(w.err, "%s: %s\n", count(len(r.Files), "connector"), count(r.Errors, "error"))
	}
	if r.Errors > 0 {
		return silent{exitMisused}
	}
	return nil
}

// checkConnectors checks what a path names. A manifest under its own name is
// checked with its folder; another file, such as a draft, by itself.
func checkConnectors(name string) ([]connector.Checked, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, misusef("%s", pathError(err))
	}
	if !info.IsDir() && filepath.Base(name) != connector.ManifestFile {
		text, err := readManifest(name)
		if err != nil {
			return nil, err
		}
		m, err := connector.Parse(name, text)
		return []connector.Checked{{File: name, Manifest: m, Err: err}}, nil
	}
	if !info.IsDir() {
		name = filepath.Dir(name)
	}
	checked, err := connector.Folder{FS: os.DirFS(name), Dir: named(name)}.Check()
	if errors.Is(err, fault.NotFound) {
		return nil, misusef("%s: the folder holds no %s, nor does a folder in it", name, connector.ManifestFile)
	}
	return checked, err
}

// readManifest reads a file, but no more of it than a manifest may have.
func readManifest(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, misusef("%s", pathError(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, connector.MaxManifestSize+1))
	if err != nil {
		return nil, misusef("%s", pathError(err))
	}
	return text, nil
}

// manifestReportOf makes the report of one connector; its error is one that is
// at no place in the manifest.
func manifestReportOf(c connector.Checked) (manifestReport, error) {
	f := manifestReport{File: c.File, Valid: c.Err == nil, Problems: places(c.Err)}
	if c.Err != nil {
		if len(f.Problems) == 0 {
			return f, c.Err
		}
		return f, nil
	}
	f.Problems = []place{}
	f.Connector, f.Version = c.Manifest.Connector, c.Manifest.Version
	for _, id := range c.Manifest.ActionIDs() {
		a := c.Manifest.Action(id)
		one := actionReport{ID: id, Capability: a.Capability, Impact: a.Impact, Idempotency: a.Idempotency}
		for _, t := range a.Targets {
			one.Targets = append(one.Targets, t.Input)
		}
		f.Actions = append(f.Actions, one)
	}
	return f, nil
}

// named is the path of a folder with the folder's name at its end: a manifest must
// have the name of its folder, and . and .. have none.
func named(folder string) string {
	if base := filepath.Base(folder); base == "." || base == ".." {
		if full, err := filepath.Abs(folder); err == nil {
			return full
		}
	}
	return folder
}
