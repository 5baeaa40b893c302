package app

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"riposte/content"
	"riposte/internal/alert"
	"riposte/internal/strictyaml"
)

// mappingSuffix is how a source mapping's file name ends.
const mappingSuffix = ".source.yaml"

// MappingNames are the mappings by which a source may be read: one, several of
// which the one that fits reads, or auto for all.
type MappingNames []string

// auto tells whether any mapping may read.
func (n MappingNames) auto() bool { return len(n) == 0 || slices.Contains(n, "auto") }

// UnmarshalStrict reads a name, or a list of them.
func (n *MappingNames) UnmarshalStrict(node strictyaml.Node) {
	if node.IsList() {
		node.Decode((*[]string)(n))
		if len(*n) == 0 {
			node.Errorf("name a mapping, or auto", "the list of mappings is empty")
		}
		return
	}
	var one string
	node.Decode(&one)
	*n = MappingNames{one}
}

// StrictSchema describes both forms.
func (*MappingNames) StrictSchema() map[string]any {
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string"},
		map[string]any{"type": "array", "minItems": 1, "items": map[string]any{"type": "string"}},
	}}
}

// Mappings are the source mappings that we ship and those of an installation's
// content folder, "" for none; one of the same name takes the place of ours.
func Mappings(folder string) (*alert.Mappings, error) {
	s, err := openShelf(folder)
	if err != nil {
		return nil, err
	}
	return s.all()
}

// shelf holds the source mappings that there are. Those that we ship are read
// when they are wanted: they are many, and an installation uses few.
type shelf struct {
	own     map[string]*alert.Mapping
	shipped fs.FS
	all     func() (*alert.Mappings, error)
}

// openShelf reads an installation's own mappings.
func openShelf(folder string) (*shelf, error) {
	s := &shelf{own: map[string]*alert.Mapping{}}
	s.all = sync.OnceValues(s.readAll)
	var err error
	if s.shipped, err = content.Folder("sources"); err != nil || folder == "" {
		return s, err
	}
	own := filepath.Join(folder, "sources")
	if _, err := os.Stat(own); err == nil {
		return s, readMappings(os.DirFS(own), own, s.own)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("content: %w", err)
	}
	return s, nil
}

func (s *shelf) readAll() (*alert.Mappings, error) {
	byID := map[string]*alert.Mapping{}
	if err := readMappings(s.shipped, shippedSources, byID); err != nil {
		return nil, err
	}
	maps.Copy(byID, s.own)
	return alert.NewMappings(slices.Collect(maps.Values(byID))), nil
}

// set gives the mappings that a source names.
func (s *shelf) set(names MappingNames) (*alert.Mappings, error) {
	if names.auto() {
		return s.all()
	}
	use := make([]*alert.Mapping, len(names))
	for i, name := range names {
		var err error
		if use[i], err = s.one(name); err != nil {
			return nil, err
		}
	}
	return alert.ChosenMappings(use, func() []*alert.Mapping {
		all, err := s.all()
		if err != nil { // ours, and no test would let it through
			return nil
		}
		return all.All()
	}), nil
}

// one reads one mapping: fault.NotFound where there is none.
func (s *shelf) one(name string) (*alert.Mapping, error) {
	if m := s.own[name]; m != nil {
		return m, nil
	}
	src, err := fs.ReadFile(s.shipped, name+mappingSuffix)
	if err != nil {
		all, err := s.all()
		if err != nil {
			return nil, err
		}
		return nil, alert.NoMapping(name, all.IDs())
	}
	return alert.ParseMapping(filepath.Join(shippedSources, name+mappingSuffix), src)
}

// shippedSources is where messages say that our mappings are.
const shippedSources = "content/sources"

// readMappings reads the mappings of one folder. All that is wrong with them is
// one error.
func readMappings(files fs.FS, folder string, byID map[string]*alert.Mapping) error {
	names, err := fs.Glob(files, "*"+mappingSuffix)
	if err != nil {
		return err
	}
	var wrong strictyaml.Errors
	for _, name := range names {
		src, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		m, err := alert.ParseMapping(filepath.Join(folder, name), src)
		var places strictyaml.Errors
		if errors.As(err, &places) {
			wrong = append(wrong, places...)
			continue
		}
		if err != nil {
			return err
		}
		byID[m.ID] = m
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}
