// Package content holds what Riposte ships as data, inside the binary:
// playbooks, connectors, source mappings, policies, rules and the samples of the demo.
package content

import (
	"embed"
	"io/fs"
)

//go:embed playbooks connectors guard samples sources triage
var files embed.FS

// Files is the whole tree, with the folders playbooks, connectors, guard, samples,
// sources and triage.
func Files() fs.FS { return files }

// Folder is one folder of the tree, such as "playbooks". A name that is not
// there is found out when something is read from it.
func Folder(name string) (fs.FS, error) { return fs.Sub(files, name) }
