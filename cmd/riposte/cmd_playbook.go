package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"riposte/playbook"
	"riposte/playbook/draw"
)

type playbookCmd struct {
	Check     playbookCheckCmd     `cmd:"" help:"Tell what is wrong with playbooks, and what a reviewer would ask."`
	Fmt       playbookFmtCmd       `cmd:"" help:"Write playbooks in their one canonical form; comments stay."`
	Test      playbookTestCmd      `cmd:"" help:"Run the tests of playbooks, in virtual time and against mocks only."`
	Graph     playbookGraphCmd     `cmd:"" help:"Draw playbooks as SVG and Mermaid."`
	Run       playbookRunCmd       `cmd:"" help:"Execute a playbook once, against mocks or configured connections."`
	List      playbookListCmd      `cmd:"" help:"List the playbooks of a server."`
	Versions  playbookVersionsCmd  `cmd:"" help:"List the published versions of a playbook."`
	Publish   playbookPublishCmd   `cmd:"" help:"Publish playbooks to a server."`
	Unpublish playbookUnpublishCmd `cmd:"" help:"Let nothing start a playbook any more; its runs go on."`
}

type playbookCheckCmd struct {
	checking
	Strict bool `name:"strict" help:"Findings fail the check, too."`
}

// Examples leads the command's help.
func (*playbookCheckCmd) Examples() string {
	return "riposte playbook check block-bad-ip.playbook.yaml\nriposte playbook check --strict --config riposte.yaml playbooks/\nriposte playbook check playbooks/ --json"
}

// Run checks playbooks: one line for each thing, as other tools write it.
func (c *playbookCheckCmd) Run(w *world) error {
	b, err := c.open(w)
	if err != nil {
		return err
	}
	r := b.report()
	if w.json {
		if err := w.printJSON(r); err != nil {
			return err
		}
	} else {
		for _, f := range r.Files {
			for _, d := range f.Diagnostics {
				fmt.Fprintln(w.out, d.String())
			}
		}
		fmt.Fprintf(w.err, "%s: %s, %s\n", count(len(r.Files), "playbook"), count(r.Errors, "error"), count(r.Findings, "finding"))
	}
	if r.Errors > 0 || (c.Strict && r.Findings > 0) {
		return silent{exitMisused}
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type playbookFmtCmd struct {
	Paths  []string `arg:"" name:"path" help:"Playbook files or folders; - reads standard input and writes standard output."`
	Check  bool     `name:"check" help:"Change nothing; exit with 1 where something would change."`
	Stdout bool     `name:"stdout" help:"Write the canonical form to standard output and leave the files alone."`
}

// Examples leads the command's help.
func (*playbookFmtCmd) Examples() string {
	return "riposte playbook fmt block-bad-ip.playbook.yaml\nriposte playbook fmt --check playbooks/\nriposte playbook fmt - <draft.yaml >block-bad-ip.playbook.yaml"
}

// formatted is what fmt did with a file, as --json writes it.
type formatted struct {
	File    string `json:"file"`
	Changed bool   `json:"changed"`
	// Diagnostics say why it could not be formatted.
	Diagnostics []playbook.Diagnostic `json:"diagnostics,omitempty"`
}

// Run formats playbooks. Nothing is written before every file can be.
func (c *playbookFmtCmd) Run(w *world) error {
	if len(c.Paths) == 1 && c.Paths[0] == "-" {
		return formatStream(w)
	}
	files, err := playbookFiles(c.Paths)
	if err != nil {
		return err
	}
	done := make([]formatted, len(files))
	texts := make([][]byte, len(files))
	bad := false
	for i, f := range files {
		text, err := readPlaybook(f)
		if err != nil {
			return err
		}
		done[i].File = f
		if texts[i], err = playbook.Format(text); err != nil {
			done[i].Diagnostics = unformatted(f, err)
			bad = true
			continue
		}
		done[i].Changed = !bytes.Equal(text, texts[i])
	}
	if bad {
		return refuseFormat(w, done)
	}
	return c.finish(w, done, texts)
}

// unformatted is why a file could not be formatted.
func unformatted(file string, err error) []playbook.Diagnostic {
	var u *playbook.Unformatted
	if errors.As(err, &u) {
		return u.In(file)
	}
	return []playbook.Diagnostic{{File: file, Line: 1, Column: 1, Severity: playbook.SeverityError, Message: plainError(err)}}
}

// refuseFormat tells why nothing was written.
func refuseFormat(w *world, done []formatted) error {
	if w.json {
		for i := range done { // the others would change, and were left alone
			done[i].Changed = false
		}
		return errors.Join(w.printJSON(map[string]any{"files": done}), silent{exitMisused})
	}
	for _, f := range done {
		for _, d := range f.Diagnostics {
			fmt.Fprintln(w.err, d.String())
		}
	}
	return silent{exitMisused}
}

func (c *playbookFmtCmd) finish(w *world, done []formatted, texts [][]byte) error {
	differ := false
	for i, d := range done {
		differ = differ || d.Changed
		switch {
		case c.Stdout:
			_, _ = w.out.Write(texts[i]) // a closed pipe is nobody's loss
		case d.Changed && !c.Check:
			if err := replaceFile(d.File, texts[i]); err != nil {
				return err
			}
			fallthrough
		case d.Changed:
			if !w.json {
				fmt.Fprintln(w.out, d.File)
			}
		}
	}
	if w.json && !c.Stdout {
		if err := w.printJSON(map[string]any{"files": done}); err != nil {
			return err
		}
	}
	if c.Check && differ {
		return silent{exitFailed}
	}
	return nil
}

// streamName stands where the name of a file would.
const streamName = "standard input"

func formatStream(w *world) error {
	text, err := io.ReadAll(io.LimitReader(w.in, playbook.MaxFileSize+1))
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	out, err := playbook.Format(text)
	if err != nil {
		return refuseFormat(w, []formatted{{File: streamName, Diagnostics: unformatted(streamName, err)}})
	}
	_, err = w.out.Write(out)
	return err
}

// replaceFile puts a text in a file's place at once: a crash leaves the old one
// or the new one.
func replaceFile(file string, text []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".fmt-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // it is worth nothing
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

type playbookGraphCmd struct {
	checking
	Format string `name:"format" enum:"both,svg,mermaid" default:"both" help:"svg, mermaid or both."`
	Out    string `name:"out" short:"o" default:"." placeholder:"DIR" help:"The folder to write ID.svg and ID.mmd to; - is standard output, for one playbook in one format."`
}

// Examples leads the command's help.
func (*playbookGraphCmd) Examples() string {
	return "riposte playbook graph playbooks/ --out pictures\nriposte playbook graph block-bad-ip.playbook.yaml --format mermaid --out -"
}

type picture struct {
	Playbook string `json:"playbook"`
	SVG      string `json:"svg,omitempty"`
	Mermaid  string `json:"mermaid,omitempty"`
}

// Run draws playbooks.
func (c *playbookGraphCmd) Run(w *world) error {
	b, err := c.open(w)
	if err != nil {
		return err
	}
	if c.Out == "-" && (len(b.sheets) > 1 || c.Format == "both") {
		return misusef("--out -: only one playbook in one format goes to standard output; say --format svg or --format mermaid")
	}
	if err := b.refuse(w); err != nil {
		return err
	}
	if c.Out == "-" {
		out := []byte(draw.Mermaid(b.sheets[0].checked))
		if c.Format == "svg" {
			out = draw.SVG(b.sheets[0].checked)
		}
		_, err := w.out.Write(out)
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return misusef("--out: %s", pathError(err))
	}
	var all []picture
	for _, s := range b.sheets {
		p, err := c.draw(s)
		if err != nil {
			return err
		}
		all = append(all, p)
		if !w.json {
			for _, f := range []string{p.SVG, p.Mermaid} {
				if f != "" {
					fmt.Fprintln(w.out, f)
				}
			}
		}
	}
	if w.json {
		return w.printJSON(map[string]any{"items": all})
	}
	return nil
}

func (c *playbookGraphCmd) draw(s *sheet) (picture, error) {
	p := picture{Playbook: s.id()}
	write := func(ending string, text []byte) (string, error) {
		f := filepath.Join(c.Out, s.id()+ending)
		if err := os.WriteFile(f, text, 0o644); err != nil {
			return "", fmt.Errorf("write the picture: %s", pathError(err))
		}
		return f, nil
	}
	var err error
	if c.Format != "mermaid" {
		if p.SVG, err = write(".svg", draw.SVG(s.checked)); err != nil {
			return p, err
		}
	}
	if c.Format != "svg" {
		p.Mermaid, err = write(".mmd", []byte(draw.Mermaid(s.checked)))
	}
	return p, err
}
