package main

import (
	"fmt"
	"net/http"
	"strings"

	"riposte/internal/httpapi"
	"riposte/playbook"
)

type playbookListCmd struct{ paging }

// Examples leads the command's help.
func (*playbookListCmd) Examples() string {
	return "riposte playbook list\nriposte playbook list --json"
}

// Run lists the playbooks of a server.
func (c *playbookListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.Playbook](s, "/api/playbooks", nil, c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "no playbooks", []string{"id", "title", "published", "versions", "impact", "draft", "starts on"}, func(p httpapi.Playbook) []string {
		published, draft := "", ""
		if p.Published > 0 {
			published = fmt.Sprintf("v%d", p.Published)
		}
		if p.Draft {
			draft = "yes"
		}
		return []string{p.ID, clip(p.Title, 50), published, fmt.Sprint(p.Versions), p.Impact, draft, strings.Join(p.Triggers, ", ")}
	})
}

type playbookVersionsCmd struct {
	ID string `arg:"" help:"The playbook."`
}

// Examples leads the command's help.
func (*playbookVersionsCmd) Examples() string { return "riposte playbook versions block-indicator" }

// Run lists versions.
func (c *playbookVersionsCmd) Run(w *world) error {
	path, err := slugPath(c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[httpapi.List[httpapi.PlaybookVersion]](s, path+"/versions", nil)
	if err != nil {
		return err
	}
	return printList(w, l.Items, "it was never published", []string{"version", "published", "at", "by", "hash"}, func(v httpapi.PlaybookVersion) []string {
		now := ""
		if v.Published {
			now = "now"
		}
		return []string{fmt.Sprintf("v%d", v.Version), now, stamp(v.At), v.By, clip(v.Hash, 13)}
	})
}

// slugPath checks a slug before it becomes a part of a path.
func slugPath(slug string) (string, error) {
	if slug == "" || strings.Trim(slug, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", misusef("%q is not a playbook's id; small letters, digits and hyphens", slug)
	}
	return "/api/playbooks/" + slug, nil
}

type playbookPublishCmd struct {
	Paths []string `arg:"" name:"path" help:"Playbook files or folders."`
}

// Examples leads the command's help.
func (*playbookPublishCmd) Examples() string {
	return "riposte playbook publish block-bad-ip.playbook.yaml\nriposte playbook publish playbooks/"
}

// Run publishes. The server checks against its own connectors and people; here
// only what no server could read is refused, before anything is sent.
func (c *playbookPublishCmd) Run(w *world) error {
	files, err := playbookFiles(c.Paths)
	if err != nil {
		return err
	}
	type one struct{ file, path, text string }
	var all []one
	for _, f := range files {
		text, err := readPlaybook(f)
		if err != nil {
			return err
		}
		p, diagnostics := playbook.Parse(f, text)
		if playbook.HasErrors(diagnostics) || p == nil {
			for _, d := range diagnostics {
				fmt.Fprintln(w.err, d.String())
			}
			return silent{exitMisused}
		}
		path, err := slugPath(p.ID.Value)
		if err != nil {
			return err
		}
		all = append(all, one{f, path, string(text)})
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	var published []httpapi.PlaybookVersion
	for _, x := range all {
		var v httpapi.PlaybookVersion
		if _, err := s.do(request{method: http.MethodPost, path: x.path + "/publish", body: map[string]string{"text": x.text}}, &v); err != nil {
			return fmt.Errorf("%s: %w", x.file, err)
		}
		v.Text = ""
		published = append(published, v)
		if !w.json {
			fmt.Fprintf(w.out, "%s v%d published\n", v.Playbook, v.Version)
		}
	}
	if w.json {
		return w.printJSON(map[string]any{"items": published})
	}
	return nil
}

type playbookUnpublishCmd struct {
	ID string `arg:"" help:"The playbook."`
	sure
}

// Examples leads the command's help.
func (*playbookUnpublishCmd) Examples() string { return "riposte playbook unpublish block-indicator" }

// Run unpublishes.
func (c *playbookUnpublishCmd) Run(w *world) error {
	path, err := slugPath(c.ID)
	if err != nil {
		return err
	}
	s, err := w.connect()
	if err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Let nothing start "+c.ID+" any more?"); err != nil {
		return err
	}
	if _, err := s.do(request{method: http.MethodPost, path: path + "/unpublish"}, nil); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(map[string]string{"unpublished": c.ID})
	}
	fmt.Fprintf(w.out, "%s unpublished\n", c.ID)
	return nil
}
