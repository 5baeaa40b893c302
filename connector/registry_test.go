package connector

import (
	"testing"
)

func TestBuiltInActionsLoad(t *testing.T) {
	t.Parallel()
	r, err := NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"http.request", "script.starlark", "log.note", "case.note", "case.set", "case.task", "case.close",
		"intel.lookup", "intel.allow_list", "intel.add_indicator", "intel.tag", "intel.untag",
		"list.has", "list.add", "list.remove", "smtp.send",
	} {
		if a, _ := r.Action(name); a == nil {
			t.Errorf("%s is not there", name)
		}
	}
	if got := len(r.Capabilities()); got != 52 {
		t.Errorf("%d capabilities, want 52", got)
	}
}
