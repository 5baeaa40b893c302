package simulated_test

import (
	"os"
	"testing"

	"riposte/connector"
)

// names are the connectors that speak to the simulated products.
var names = []string{"edr-sim", "firewall-sim", "directory-sim", "reputation-sim"}

func TestManifestsOfTheDemoLoad(t *testing.T) {
	t.Parallel()
	folder := os.DirFS("../../../content/connectors")
	for _, name := range names {
		if _, err := connector.Load(folder, name); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}
