package connector

import (
	"embed"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"riposte/internal/fault"
)

//go:embed builtin/*/connector.yaml
var builtinFiles embed.FS

// Builtins lists the connectors that are part of the program itself: their
// names are reserved.
func Builtins() []string {
	entries, _ := builtinFiles.ReadDir("builtin")
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// Folder is a place that connectors are loaded from: a folder with one folder
// per connector, or the folder of one connector.
type Folder struct {
	FS   fs.FS
	Dir  string // the folder's path on this machine; "" for what is embedded
	Name string // in messages where Dir is ""
}

// Registry holds the manifests of all loaded connectors. It implements Catalog
// and is safe for concurrent use. A connector in a later folder takes the place
// of one with the same name in an earlier one.
type Registry struct {
	folders []Folder
	loading sync.Mutex
	seed    maphash.Seed
	now     atomic.Pointer[registryState]
}

// registryState is what is loaded at one time. It is never changed.
type registryState struct {
	manifests    map[string]loaded
	serving      map[string][]*Action // by capability, in the order of connectors
	capabilities map[string]*Action
	problems     map[string]error // by folder
}

type loaded struct {
	manifest *Manifest
	from     string // the folder, for telling what is replaced
	sum      uint64 // of the file's text
}

// NewRegistry loads the built-in actions and all folders. What is built in (the
// built-in actions and folders without Dir) must load; a broken folder of the
// administrator's is left out and told by Problems.
func NewRegistry(folders ...Folder) (*Registry, error) {
	builtin, err := fs.Sub(builtinFiles, "builtin")
	if err != nil {
		return nil, fmt.Errorf("read the built-in actions: %w", err)
	}
	r := &Registry{folders: append([]Folder{{FS: builtin, Name: "builtin"}}, folders...), seed: maphash.MakeSeed()}
	if _, err := r.Reload(); r.now.Load() == nil {
		return nil, err
	}
	if err := r.builtinProblem(); err != nil {
		return nil, err
	}
	return r, nil
}

// builtinProblem is what is wrong with a folder that is part of the program.
func (r *Registry) builtinProblem() error {
	for from, err := range r.now.Load().problems {
		for _, f := range r.folders {
			if f.Dir == "" && (from == f.Name || strings.HasPrefix(from, f.Name+"/")) {
				return err
			}
		}
	}
	return nil
}

// Reload reads the folders again and takes over what changed, all at once. A
// connector that does not load any more keeps its last good version; the error
// is everything that is broken. changed names the connectors that are new,
// different or gone, sorted.
func (r *Registry) Reload() (changed []string, err error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	before := r.now.Load()
	capabilities, err := capabilityTable()
	if err != nil {
		return nil, err
	}
	next := &registryState{manifests: map[string]loaded{}, capabilities: capabilities, problems: map[string]error{}}
	for i, f := range r.folders {
		r.readFolder(f, i == 0, before, next)
	}
	next.index()
	r.now.Store(next)
	return difference(before, next), next.err()
}

func (s *registryState) err() error {
	var all []error
	for _, from := range sortedKeys(s.problems) {
		all = append(all, s.problems[from])
	}
	return errors.Join(all...)
}

func (s *registryState) index() {
	s.serving = map[string][]*Action{}
	for _, name := range sortedKeys(s.manifests) {
		m := s.manifests[name].manifest
		for _, id := range m.ActionIDs() {
			if a := m.Action(id); a.Capability != "" {
				s.serving[a.Capability] = append(s.serving[a.Capability], a)
			}
		}
	}
}

// readFolder loads every connector of a folder into next.
func (r *Registry) readFolder(f Folder, reserved bool, before, next *registryState) {
	dirs, err := connectorDirs(f.FS)
	if err != nil {
		next.problems[f.label("")] = fmt.Errorf("read connectors in %s: %w", f.label(""), err)
		r.keepFolder(f, before, next)
		return
	}
	for _, dir := range dirs {
		one, err := r.readConnector(f, dir, reserved, before)
		if err != nil {
			next.problems[f.label(dir)] = err
			keep(f.label(dir), before, next)
			continue
		}
		next.manifests[one.manifest.Connector] = one
	}
}

func (r *Registry) keepFolder(f Folder, before, next *registryState) {
	if before == nil {
		return
	}
	for name, one := range before.manifests {
		if one.from == f.label("") || strings.HasPrefix(one.from, f.label("")+"/") {
			next.manifests[name] = one
		}
	}
}

// keep takes over the last good version of a folder that is broken now.
func keep(from string, before, next *registryState) {
	if before == nil {
		return
	}
	for name, one := range before.manifests {
		if one.from == from {
			next.manifests[name] = one
		}
	}
}

// label is the path of a connector's folder in messages.
func (f Folder) label(dir string) string {
	root := f.Dir
	if root == "" {
		root = f.Name
	}
	if dir == "." || dir == "" {
		return root
	}
	return filepath.ToSlash(filepath.Join(root, dir))
}

// parse reads the manifest of one of the folder's connectors, which must be
// called name where that is not "".
func (f Folder) parse(dir, name string, data []byte, reserved bool) (*Manifest, error) {
	files, err := fs.Sub(f.FS, dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.label(dir), err)
	}
	from := origin{file: path.Join(f.label(dir), ManifestFile), files: files, folder: name, reserved: reserved}
	if f.Dir != "" {
		from.home = filepath.Join(f.Dir, dir)
	}
	return parse(data, from)
}

// Checked is one connector of a folder and what is wrong with it: Manifest, or
// Err, which is all of it and a fault.Invalid.
type Checked struct {
	File     string
	Manifest *Manifest
	Err      error
}

// Check loads every connector of the folder as a registry would, which must be
// called as their folders are: fault.NotFound where there is none.
func (f Folder) Check() ([]Checked, error) {
	dirs, err := connectorDirs(f.FS)
	if err != nil {
		return nil, fmt.Errorf("read connectors in %s: %w", f.label(""), err)
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%s: the folder holds no %s, nor does a folder in it: %w", f.label(""), ManifestFile, fault.NotFound)
	}
	all := make([]Checked, len(dirs))
	for i, dir := range dirs {
		all[i].File = path.Join(f.label(dir), ManifestFile)
		data, err := fs.ReadFile(f.FS, path.Join(dir, ManifestFile))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", all[i].File, err)
		}
		name := path.Base(dir)
		if dir == "." {
			name = filepath.Base(f.Dir)
		}
		all[i].Manifest, all[i].Err = f.parse(dir, name, data, true)
	}
	return all, nil
}

// connectorDirs lists the folders that hold a manifest.
func connectorDirs(fsys fs.FS) ([]string, error) {
	if _, err := fs.Stat(fsys, ManifestFile); err == nil {
		return []string{"."}, nil
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		// A link to a folder counts as well, so it is asked for the file itself.
		if _, err := fs.Stat(fsys, path.Join(e.Name(), ManifestFile)); err == nil {
			dirs = append(dirs, e.Name())
		}
	}
	return dirs, nil
}

func (r *Registry) readConnector(f Folder, dir string, ours bool, before *registryState) (loaded, error) {
	from := f.label(dir)
	data, err := fs.ReadFile(f.FS, path.Join(dir, ManifestFile))
	if err != nil {
		return loaded{}, fmt.Errorf("read %s: %w", path.Join(from, ManifestFile), err)
	}
	sum := maphash.Bytes(r.seed, data)
	if before != nil {
		for _, one := range before.manifests {
			if one.from == from && one.sum == sum {
				return one, nil
			}
		}
	}
	name := path.Base(dir)
	if dir == "." { // the folder of one connector may lie under any name
		name = ""
	}
	m, err := f.parse(dir, name, data, !ours)
	if err != nil {
		return loaded{}, err
	}
	return loaded{manifest: m, from: from, sum: sum}, nil
}

func difference(before, next *registryState) []string {
	changed := map[string]bool{}
	for name, one := range next.manifests {
		if before == nil || before.manifests[name] != one {
			changed[name] = true
		}
	}
	if before != nil {
		for name := range before.manifests {
			if _, there := next.manifests[name]; !there {
				changed[name] = true
			}
		}
	}
	return sortedKeys(changed)
}

// Problems gives the errors of the last Reload by folder, empty when all is
// well.
func (r *Registry) Problems() map[string]error { return r.now.Load().problems }

// Manifest finds a connector, nil when it is not loaded.
func (r *Registry) Manifest(name string) *Manifest { return r.now.Load().manifests[name].manifest }

// Action finds "connector.id".
func (r *Registry) Action(name string) (a *Action, connector bool) {
	slug, id, _ := strings.Cut(name, ".")
	m := r.Manifest(slug)
	if m == nil {
		return nil, false
	}
	return m.Action(id), true
}

// Capability finds the signature of a capability.
func (r *Registry) Capability(name string) *Action { return r.now.Load().capabilities[name] }

// Serving lists the actions that serve a capability, by connector.
func (r *Registry) Serving(capability string) []*Action { return r.now.Load().serving[capability] }

// Actions lists the ids of a connector's actions, sorted.
func (r *Registry) Actions(connector string) []string {
	m := r.Manifest(connector)
	if m == nil {
		return nil
	}
	ids := m.ActionIDs()
	slices.Sort(ids)
	return ids
}

// Connectors lists the loaded connectors, sorted.
func (r *Registry) Connectors() []string { return sortedKeys(r.now.Load().manifests) }

// Capabilities lists the capabilities, sorted.
func (r *Registry) Capabilities() []string { return sortedKeys(r.now.Load().capabilities) }
