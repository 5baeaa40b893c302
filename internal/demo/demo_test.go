package demo

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"riposte/content"
	"riposte/internal/demo/simulated"
)

func TestTheFirstMinuteShowsOneEventOfEachKindAndOneThatComesTwice(t *testing.T) {
	t.Parallel()
	d := &Demo{Content: content.Files()}
	all, err := d.events()
	if err != nil {
		t.Fatal(err)
	}
	first, rest := firstOfEachKind(all)
	if len(first) > 60 || len(first)+len(rest) != len(all) {
		t.Errorf("%d events come first, %d after them, of %d", len(first), len(rest), len(all))
	}
	times := map[string]int{}
	for _, e := range first {
		times[e.title]++
	}
	for _, title := range []string{"LAB SCAN Many ports of one host refused", "crowdsecurity/ssh-bf", "message with a link to a known bad host delivered"} {
		if times[title] != 1 {
			t.Errorf("%q comes %d times, want once", title, times[title])
		}
	}
	for _, title := range []string{"malware found and still running", "log-in from an address never seen for this user"} {
		if times[title] != 2 {
			t.Errorf("%q comes %d times, want by both relays", title, times[title])
		}
	}
}

func TestWhatProductsDoNotConfirmIsNamed(t *testing.T) {
	t.Parallel()
	products, err := simulated.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := products.Stop(); err != nil {
			t.Error(err)
		}
	})
	d := &Demo{Client: &Client{HTTP: &http.Client{Timeout: 10 * time.Second}}, Products: products}
	// One block that should be, for ever, and one that should not.
	for _, ip := range []string{"198.51.100.23", "192.0.2.10"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, products.Firewall.URL+"/api/v2/blocks", strings.NewReader(`{"value":"`+ip+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-API-Key", products.Firewall.Secret)
		req.Header.Set("Content-Type", "application/json")
		res, err := d.Client.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode >= 300 {
			t.Fatal(res.Status)
		}
	}
	var s Summary
	if err := d.compare(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"firewall: unblock 198.51.100.23 was done 0 times, not 1", "firewall: block 192.0.2.10 should not have been done",
		"directory: disable alice was done 0 times, not 1", "edr has [] isolated, not only ws-17", "reputation was never asked anything",
	} {
		if !slices.Contains(s.Problems, want) {
			t.Errorf("no word of %q in %q", want, s.Problems)
		}
	}
	if slices.Contains(s.Problems, "firewall: block 198.51.100.23 was done 0 times, not 1") {
		t.Error("a block that was made is said to be missing")
	}
}
