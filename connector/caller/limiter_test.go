package caller_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"riposte/connector"
	"riposte/connector/caller"
)

// credentials is a world with connections to a product that counts by
// credential; each shows the token that stands behind its name.
func credentials(t *testing.T, tokens map[string]string) *world {
	t.Helper()
	w := newWorld(t)
	text := strings.NewReplacer("NAME", "edr", "burst: 50 }", "burst: 50, per: credential }").Replace(edr)
	reg, err := connector.NewRegistry(connector.Folder{FS: fstest.MapFS{"edr/connector.yaml": {Data: []byte(text)}}, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	w.reg, w.Manifests = reg, reg
	for name, token := range tokens {
		w.shelf[name] = &connector.Connection{
			Name: name, Connector: "edr", Revision: 1,
			Config: map[string]any{"base_url": "https://edr.example"}, Secrets: map[string][]byte{"token": []byte(token)},
		}
	}
	return w
}

func TestConnectionsWithOneCredentialShareItsRate(t *testing.T) {
	t.Parallel()
	w := credentials(t, map[string]string{"a": "same", "b": "same", "c": "other"})
	limits := func(tenant, name string) caller.Limits {
		_, l := w.Route(tenant, name, "edr.state")
		return l
	}
	a, b, c := limits("one", "a"), limits("one", "b"), limits("one", "c")
	if a != b || a.Bucket == "" || a.Rate != 100 || a.Burst != 50 {
		t.Errorf("%+v and %+v show one credential", a, b)
	}
	if c.Bucket == a.Bucket || limits("two", "a").Bucket == a.Bucket {
		t.Error("another credential, or another tenant's, counts for itself")
	}
	if strings.Contains(fmt.Sprintf("%+v", a), "same") {
		t.Errorf("%+v tells the credential", a)
	}

	slow := *w.shelf["b"]
	slow.Revision, slow.RatePerSecond, slow.Burst = 2, 5, 2
	w.shelf["b"] = &slow
	if b = limits("one", "b"); b.Rate != 5 || b.Burst != 2 || limits("one", "a") != b {
		t.Errorf("the least that a connection allows holds for all: %+v, %+v", b, limits("one", "a"))
	}

	turned := slow
	turned.Revision, turned.Secrets = 3, map[string][]byte{"token": []byte("other")}
	w.shelf["b"] = &turned
	if limits("one", "b").Bucket != c.Bucket || limits("one", "a").Rate != 100 {
		t.Error("a new credential is another one, and the old one is free of what its connection allowed")
	}
	w.Forget("one", "b")
	if l := limits("one", "c"); l.Rate != 100 {
		t.Errorf("a connection that was removed still counts: %+v", l)
	}
}

func TestARateOfEachConnectionIsNotShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "edr")
	if _, l := w.Route("one", "edr-main", "edr.state"); l.Bucket != "" || l.Rate != 100 {
		t.Errorf("%+v", l)
	}
}

func TestChecksOfConnectionsWithOneCredentialWaitForEachOther(t *testing.T) {
	t.Parallel()
	w := credentials(t, map[string]string{"a": "same", "b": "same"})
	srv := newWorld(t, "edr").shelf["edr-main"].Config["base_url"]
	for _, name := range []string{"a", "b"} {
		c := w.shelf[name]
		c.Config, c.AllowLoopback, c.RatePerSecond, c.Burst = map[string]any{"base_url": srv}, true, 20, 1
	}
	began := time.Now()
	for i := range 4 { // each looks before and after: 8 turns, the first of them free
		res := w.Call(t.Context(), connector.Call{
			Action: w.action(t, "edr.isolate"), Connection: []string{"a", "b"}[i%2], Inputs: map[string]any{"host": fmt.Sprint("ws-", i)}, Key: "k",
		})
		if res.Status != connector.OK {
			t.Fatalf("%+v", res)
		}
	}
	if d := time.Since(began); d < 340*time.Millisecond {
		t.Errorf("8 looks at 20 a second took %s", d)
	}
}
