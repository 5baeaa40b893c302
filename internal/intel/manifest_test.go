package intel

import (
	"testing"

	"riposte/connector"
)

// manifestAction reads an action of the built-in connector.
func manifestAction(t *testing.T, id string) *connector.Action {
	t.Helper()
	registry, err := connector.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := registry.Action("intel." + id)
	if a == nil {
		t.Fatalf("there is no intel.%s", id)
	}
	return a
}
