package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/fault"
	"riposte/internal/ingest"
	"riposte/internal/store"
)

// openSources reads the mappings that the configured sources name.
func (c *core) openSources() error {
	c.sources = map[string]ingest.Source{}
	for name, s := range c.cfg.Sources {
		m, err := c.mapping(s.Mapping)
		if err != nil {
			return fmt.Errorf("source %s: %w", name, err)
		}
		c.sources[name] = ingest.Source{Name: name, Mapping: m}
	}
	c.webhook = &ingest.Webhook{Sink: (*intake)(c)}
	return nil
}

// mapping finds a source mapping: the installation's own, else one we ship.
func (c *core) mapping(name string) (*alert.Mapping, error) {
	file := name + ".source.yaml"
	if c.cfg.Content != "" {
		path := filepath.Join(c.cfg.Content, "sources", file)
		src, err := os.ReadFile(path)
		if err == nil {
			return alert.ParseMapping(path, src)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	src, err := fs.ReadFile(content.Files(), "sources/"+file)
	if err != nil {
		return nil, fmt.Errorf("there is no mapping %s; there are %s: %w", name, strings.Join(shippedMappings(), ", "), fault.NotFound)
	}
	return alert.ParseMapping("sources/"+file, src)
}

func shippedMappings() (names []string) {
	files, err := fs.Glob(content.Files(), "sources/*.source.yaml")
	if err != nil {
		return nil
	}
	for _, f := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(f, "sources/"), ".source.yaml"))
	}
	return names
}

// followSources follows the files among the sources until ctx ends.
func (c *core) followSources(ctx context.Context) {
	for name, s := range c.cfg.Sources {
		if s.Type != "file" {
			continue
		}
		var cursor []byte
		err := c.db.Read(ctx, func(q *store.Reader) (err error) {
			cursor, err = store.Cursor(q, "", name)
			return err
		})
		if err != nil {
			c.log.Error("file source not followed", "source", name, "error", err)
			continue
		}
		tail := &ingest.Tail{Path: s.Path, Source: c.sources[name], Sink: (*intake)(c), Cursor: cursor, Log: c.log}
		c.running.Go(func() {
			if err := tail.Run(ctx); err != nil {
				c.log.Error("file source stopped", "source", name, "error", err)
			}
		})
	}
}

// intake stores alerts and starts what they start.
type intake core

// Take stores a batch in one transaction, the first records of the runs that it
// starts included.
func (k *intake) Take(ctx context.Context, b ingest.Batch) ([]ingest.Taken, error) {
	c := (*core)(k)
	var taken []ingest.Taken
	var begin []func()
	err := c.db.Write(ctx, func(tx *store.Tx) error {
		taken, begin = make([]ingest.Taken, len(b.Alerts)), nil // the job may be done twice
		for i := range b.Alerts {
			a := b.Alerts[i]
			fresh, err := store.InsertAlert(tx, &a)
			if err != nil {
				return err
			}
			taken[i] = ingest.Taken{ID: a.ID, Duplicate: !fresh}
			if !fresh {
				if err := tellCasesOfRepeated(tx, &a, c.now().UTC()); err != nil {
					return err
				}
			}
			if !fresh || a.Error != "" {
				continue
			}
			began, err := c.alertCame(tx, &a)
			if err != nil {
				return err
			}
			begin = append(begin, began...)
		}
		if b.Cursor != nil {
			return store.SaveCursor(tx, "", b.Source, b.Cursor, c.now().UTC())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, f := range begin {
		f()
	}
	return taken, nil
}
