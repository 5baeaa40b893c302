package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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
	byID := map[string]*alert.Mapping{}
	shipped, err := content.Folder("sources")
	if err != nil {
		return nil, err
	}
	if err := readMappings(shipped, "content/sources", byID); err != nil {
		return nil, err
	}
	if folder != "" {
		own := filepath.Join(folder, "sources")
		if _, err := os.Stat(own); err == nil {
			if err := readMappings(os.DirFS(own), own, byID); err != nil {
				return nil, err
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("content: %w", err)
		}
	}
	all := make([]*alert.Mapping, 0, len(byID))
	for _, m := range byID {
		all = append(all, m)
	}
	return alert.NewMappings(all), nil
}

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
