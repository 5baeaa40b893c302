package guard

import (
	"fmt"
	"strings"
	"testing"

	"riposte/connector"
)

// Somebody who wants a protected object touched writes it in another way.
func TestAProtectedObjectIsFoundHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll), Lists: []List{{
		Name: "ours", Owner: "net team", Reason: "it is ours",
		IPs:       []string{"192.0.2.0/24", "2001:db8::/32"},
		Domains:   []string{"example.org", "bücher.example"},
		Hosts:     []string{"dc01", "web01.corp.example"},
		Users:     []string{"administrator", `CORP\svc-backup`, "ann@corp.example"},
		Mailboxes: []string{"board@example.net"},
		Exact:     map[connector.TargetKind][]string{"url": {"https://ok.example/a"}, "domain": {"shared.example"}},
	}}})
	hidden := map[connector.TargetKind][]string{
		"ip": {"::ffff:192.0.2.7", "::ffff:c000:207", "64:ff9b::192.0.2.7", "::192.0.2.7", "2001:DB8::1"},
		"cidr": {"192.0.2.7/24", "192.0.0.0/16", "::ffff:192.0.2.0/120", "::ffff:c000:0/112", "64:ff9b::c000:0207/128",
			"::192.0.2.0/121", "2001:db8::/40"},
		"domain": {"EXAMPLE.ORG", "example.org.", "www.Example.org.", "BÜCHER.example", "bu\u0308cher.example", "xn--bcher-kva.example",
			"ｅxample.org", "SHARED.example."},
		"url": {"http://EXAMPLE.org./x", "https://good.example@example.org/x", "https://example.org:443/x", "http://[::ffff:192.0.2.7]/x",
			"http://b%C3%BCcher.example/x", "http://shared.example//", "http://shared.example/./", "http://shared.example/?#a",
			"HTTPS://OK.example:443/a", "https://ok.example/b/../%61", "https://ok.example./a#x"},
		"email":   {"a@example.org.", "a@BÜCHER.example", "Board@Example.net", "board+news@example.net"},
		"mailbox": {"BOARD@EXAMPLE.NET", "board@example.net.", "board+x@example.net"},
		"host":    {"DC01", "dc01.corp.example.", "dc01$", `CORP\DC01$`, `\\dc01`, "ＤＣ01", "web01", "WEB01.corp.example."},
		"user": {"Administrator", `corp\administrator`, ".\\administrator", "CORP/administrator", "ａdministrator", "svc-backup@corp", "svc-backup@corp.example",
			`corp\ann`, "CN=Administrator,CN=Users,DC=corp,DC=example", "uid=ann, ou=people, dc=corp, dc=example"},
	}
	for kind, values := range hidden {
		for _, value := range values {
			t.Run(fmt.Sprintf("%s %s", kind, value), func(t *testing.T) {
				t.Parallel()
				d := g.Check(on(kind, value))
				if d.Outcome != Deny || d.By != CheckProtected || d.Rule != "protected ours" {
					t.Errorf("%s by %s: %s", d.Outcome, d.By, d.Message)
				}
			})
		}
	}
}

func TestWhatStandsForMoreThanOneObjectIsRefused(t *testing.T) {
	t.Parallel()
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll)})
	for _, tt := range []struct {
		kind  connector.TargetKind
		value string
		why   string
	}{
		{"cidr", "10.0.0.0/8", "wider than /16"},
		{"cidr", "::ffff:0:0/96", "every IPv4 address"},
		{"cidr", "::ffff:0:0/90", "every IPv4 address"},
		{"cidr", "::/33", "every IPv4 address"},
		{"cidr", "64:ff9b::/96", "every IPv4 address"},
		{"cidr", "::ffff:10.0.0.0/104", "wider than /16"},
		{"cidr", "2001::/16", "wider than /32"},
		{"url", "http://3221225991/x", "address in another form"},
		{"url", "http://0xc0.0x0.0x2.0x7/x", "address in another form"},
		{"url", "http://192.0.519./x", "address in another form"},
		{"url", "http://0300.0.2.7/x", "address in another form"},
		{"domain", "co.uk", "anybody can register"},
	} {
		t.Run(fmt.Sprintf("%s %s", tt.kind, tt.value), func(t *testing.T) {
			t.Parallel()
			d := g.Check(on(tt.kind, tt.value))
			if d.Outcome != Deny || d.By != CheckTargets || !strings.Contains(d.Message, tt.why) {
				t.Errorf("%s by %s: %s", d.Outcome, d.By, d.Message)
			}
		})
	}
}

// A list with one protected object among many is refused whole.
func TestOneProtectedTargetStopsTheWholeList(t *testing.T) {
	t.Parallel()
	g := newGuard(t, tight(t))
	q := block("203.0.113.1")
	q.Inputs["target"] = []any{"203.0.113.1", "203.0.113.2", "::ffff:192.0.2.9", "203.0.113.3"}
	d := g.Check(q)
	if d.Outcome != Deny || d.By != CheckProtected || !strings.Contains(d.Message, "::ffff:192.0.2.9") || d.Reserved != nil {
		t.Errorf("%s by %s: %s", d.Outcome, d.By, d.Message)
	}
}
