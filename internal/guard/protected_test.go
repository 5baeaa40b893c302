package guard

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"riposte/connector"
)

func protect(t testing.TB, lists string) *index {
	t.Helper()
	l, err := ParseProtected("protected.yaml", []byte(lists))
	if err != nil {
		t.Fatal(err)
	}
	return newIndex(l, noon)
}

func TestWhatAListProtects(t *testing.T) {
	t.Parallel()
	x := protect(t, `
lists:
  - list: all-sorts
    owner: net team
    reason: for the test
    ips: [192.0.2.0/24, 198.51.100.7, "2001:db8::/32"]
    domains: [example.org, deep.down.example.com, bücher.example]
    hosts: [dc01, web01.corp.example]
    users: [administrator, 'CORP\svc-backup', ann@corp.example]
    mailboxes: [board@example.net]
    exact: { domain: [shared.example], hash: [D41D8CD98F00B204E9800998ECF8427E], ip: [203.0.113.9], rule: [keep-me], url: ['https://ok.example/a'] }
    patterns: { host: ['plc-[0-9]+'], file: ['/etc/.*'] }
    labels: [break-glass]
`)
	tests := []struct {
		kind  connector.TargetKind
		value string
		entry string // "" is no hit
	}{
		{"ip", "192.0.2.7", "192.0.2.0/24"},
		{"ip", "::ffff:192.0.2.7", "192.0.2.0/24"},
		{"ip", "192.0.3.7", ""},
		{"ip", "198.51.100.7", "198.51.100.7"},
		{"ip", "198.51.100.8", ""},
		{"ip", "2001:db8:1::1", "2001:db8::/32"},
		{"ip", "2001:db9::1", ""},
		{"ip", "203.0.113.9", "203.0.113.9/32"},
		{"cidr", "192.0.2.128/25", "192.0.2.0/24"},
		{"cidr", "192.0.0.0/16", "192.0.2.0/24"},
		{"cidr", "198.51.100.0/29", "198.51.100.7"},
		{"cidr", "198.51.100.8/29", ""},
		{"cidr", "203.0.113.0/24", ""}, // exact means exact
		{"domain", "example.org", "example.org"},
		{"domain", "WWW.Example.ORG.", "example.org"},
		{"domain", "notexample.org", ""},
		{"domain", "example.org.evil.example", ""},
		{"domain", "down.example.com", "something below down.example.com"},
		{"domain", "up.down.example.com", ""},
		{"domain", "xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"domain", "BÜCHER.example", "xn--bcher-kva.example"},
		{"domain", "shared.example", "shared.example"},
		{"domain", "customer.shared.example", ""},
		{"url", "https://www.example.org/x?y=1", "example.org"},
		{"url", "https://user:pw@EXAMPLE.org:8443/", "example.org"},
		{"url", "https://example.org@evil.example/", ""},
		{"url", "http://192.0.2.7/", "192.0.2.0/24"},
		{"url", "http://[2001:db8::1]:80/a", "2001:db8::/32"},
		{"url", "https://shared.example/evil", ""},
		{"url", "https://shared.example", "shared.example"},
		{"url", "https://ok.example/a", "https://ok.example/a"},
		{"url", "https://ok.example/b", ""},
		{"email", "boss@mail.example.org", "example.org"},
		{"email", "boss@example.net", ""},
		{"mailbox", "Board@Example.net", "board@example.net"},
		{"mailbox", "ann@example.org", ""}, // a mailbox is not its domain
		{"host", "DC01", "dc01"},
		{"host", "dc01.corp.example", "dc01"},
		{"host", "dc011", ""},
		{"host", "web01.corp.example", "web01.corp.example"},
		{"host", "web01", "web01"},
		{"host", "web01.other.example", ""},
		{"host", "PLC-17", "pattern plc-[0-9]+"},
		{"host", "plc-17-spare", ""},
		{"host", "192.0.2.7", ""}, // our machines may be isolated
		{"user", "Administrator", "administrator"},
		{"user", `WS-7\administrator`, "administrator"},
		{"user", "administrator@corp.example", "administrator"},
		{"user", `corp\svc-backup`, "svc-backup@corp"},
		{"user", "svc-backup", "svc-backup"},
		{"user", `other\svc-backup`, ""},
		{"user", "ann@corp.example", "ann@corp.example"},
		{"user", "ann@other.example", ""},
		{"user", "ann", "ann"},
		{"hash", "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"},
		{"rule", "keep-me", "keep-me"},
		{"rule", "other", ""},
		{"file", "/etc/passwd", "pattern /etc/.*"},
		{"file", "/tmp/etc/passwd", ""},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s", tt.kind, tt.value), func(t *testing.T) {
			t.Parallel()
			hit, ok := x.find("", connector.Target{Kind: tt.kind, Value: tt.value}, nil)
			if hit.Entry != tt.entry || ok != (tt.entry != "") {
				t.Errorf("%q, want %q", hit.Entry, tt.entry)
			}
			if ok && (hit.List != "all-sorts" || hit.Owner != "net team" || hit.Target.Value != tt.value) {
				t.Errorf("%+v", hit)
			}
		})
	}
	if hit, ok := x.find("", connector.Target{Kind: "user", Value: "zed"}, []string{"eu", "Break-Glass"}); !ok || hit.Entry != "label Break-Glass" {
		t.Errorf("%+v", hit)
	}
}

func TestListsEndAndBelongToTenants(t *testing.T) {
	t.Parallel()
	lists, err := ParseProtected("p", []byte(`
lists:
  - { list: for-a, owner: x, reason: y, tenants: [a], hosts: [h1] }
  - { list: until-two, owner: x, reason: y, expires: 2026-01-14T14:00:00Z, hosts: [h2], ips: [192.0.2.0/24] }
  - { list: for-ever, owner: x, reason: y, ips: [192.0.2.7] }
  - { list: over, owner: x, reason: y, expires: 2026-01-14T11:00:00Z, hosts: [h3] }
  - { list: only-urls, owner: x, reason: y, kinds: [url], domains: [example.org] }
`))
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll), Lists: lists})
	decide := func(tenant string, kind connector.TargetKind, value string, at time.Duration) string {
		return g.Check(on(kind, value, func(q *Request) { q.Tenant, q.At = tenant, noon.Add(at) })).Rule
	}
	tests := []struct {
		tenant string
		kind   connector.TargetKind
		value  string
		at     time.Duration
		want   string
	}{
		{"a", "host", "h1", 0, "protected for-a"},
		{"b", "host", "h1", 0, "policy all"},
		{"b", "host", "h2", 0, "protected until-two"},
		{"b", "host", "h3", 0, "policy all"},
		{"b", "ip", "192.0.2.7", 0, "protected until-two"},
		{"b", "url", "https://example.org/x", 0, "protected only-urls"},
		{"b", "domain", "example.org", 0, "policy all"},
		{"b", "host", "h2", 2 * time.Hour, "policy all"},
		{"b", "ip", "192.0.2.8", 2 * time.Hour, "policy all"},
		{"b", "ip", "192.0.2.7", 2 * time.Hour, "protected for-ever"},
	}
	for _, tt := range tests {
		if got := decide(tt.tenant, tt.kind, tt.value, tt.at); got != tt.want {
			t.Errorf("%s %s of %s after %s: %q, want %q", tt.kind, tt.value, tt.tenant, tt.at, got, tt.want)
		}
	}
}

// The index answers as going through all networks one by one would.
func TestNetworksAreFoundAsByLookingAtEach(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 3).Draw(t, "b")), byte(rapid.IntRange(0, 255).Draw(t, "c")), byte(rapid.IntRange(0, 255).Draw(t, "d"))})
			return netip.PrefixFrom(a, rapid.IntRange(10, 32).Draw(t, "bits")).Masked()
		})
		nets := rapid.SliceOfN(prefix, 0, 20).Draw(t, "nets")
		l := List{Name: "l"}
		for _, n := range nets {
			l.IPs = append(l.IPs, n.String())
		}
		x := newIndex([]List{l}, noon)
		q := prefix.Draw(t, "target")
		want := false
		for _, n := range nets {
			want = want || n.Overlaps(q)
		}
		if hit, got := x.find("", connector.Target{Kind: "cidr", Value: q.String()}, nil); got != want {
			t.Fatalf("%s in %v: %v (%s)", q, nets, got, hit.Entry)
		}
	})
}

func sharedData(t *testing.T, path ...string) string {
	t.Helper()
	root := os.Getenv("RIPOSTE_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared")
	}
	dir := filepath.Join(append([]string{root, "data"}, path...)...)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is not there; set RIPOSTE_SHARED to the folder that holds data", dir)
	}
	return dir
}

func TestWarningListsProtect(t *testing.T) {
	t.Parallel()
	dir := sharedData(t, "threat-intel", "warninglists")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no warning lists", err)
	}
	var lists []List
	entries := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		l, err := ReadWarningList(name, b)
		if name == "phone_numbers" { // no kind of target
			if err == nil {
				t.Error("phone numbers protect something")
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		entries += len(l.IPs) + len(l.Domains)
		for _, values := range l.Exact {
			entries += len(values)
		}
		lists = append(lists, l)
	}
	if entries < 50_000 {
		t.Errorf("only %d entries are taken", entries)
	}
	g := newGuard(t, Settings{Policy: policyOf(t, allowAll), Lists: lists})
	for value, kind := range map[string]connector.TargetKind{
		"104.16.1.1": "ip", "23.1.2.3": "ip", "ocsp.digicert.cn": "domain", "bit.ly": "domain", "update.windowsupdate.com": "domain",
		"https://goo.gl/x": "url", "x@mailinator.com": "email", "d41d8cd98f00b204e9800998ecf8427e": "hash",
	} {
		if d := g.Check(on(kind, value)); d.Code != connector.Protected {
			t.Errorf("%s %s: %s (%s)", kind, value, d.Outcome, d.Message)
		}
	}
	for value, kind := range map[string]connector.TargetKind{"203.0.113.9": "ip", "evil-domain-of-nobody.example": "domain", strings.Repeat("ab", 32): "hash"} {
		if d := g.Check(on(kind, value)); d.Outcome != Allow {
			t.Logf("%s %s: %s (%s)", kind, value, d.Outcome, d.Message)
		}
	}
}

func TestWarningListsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", "{}", `{"name":"x","type":"string","list":["a"],"matching_attributes":["phone-number"]}`, `{"name":"x","type":"regex","list":["("],"matching_attributes":["domain"]}`} {
		if l, err := ReadWarningList("x", []byte(text)); err == nil {
			t.Errorf("%q is taken: %+v", text, l)
		}
	}
}

// million are lists of a million networks and names.
func million() []List {
	l := List{Name: "million", Owner: "x", Reason: "y"}
	for i := range 500_000 {
		l.IPs = append(l.IPs, netip.AddrFrom4([4]byte{byte(20 + i>>18), byte(i >> 10), byte(i >> 2), byte(i << 6)}).String())
		l.Domains = append(l.Domains, fmt.Sprintf("d%d.example-%d.com", i, i%1000))
	}
	return []List{l}
}

func BenchmarkProtectedAmongAMillion(b *testing.B) {
	x := newIndex(million(), noon)
	targets := []connector.Target{
		{Kind: "ip", Value: "203.0.113.9"}, {Kind: "ip", Value: "20.1.2.0"}, {Kind: "domain", Value: "evil.example"}, {Kind: "domain", Value: "a.d77.example-77.com"},
	}
	for b.Loop() {
		for _, t := range targets {
			x.find("", t, nil)
		}
	}
}

func BenchmarkCheckAllowed(b *testing.B) {
	g := newGuard(b, defaults(b))
	q := block("203.0.113.9")
	for b.Loop() {
		q.Act++
		q.Run++
		d := g.Check(q)
		if d.Outcome == Deny {
			b.Fatal(d.Message)
		}
		g.Release(q.Run, q.Act)
	}
}

func BenchmarkAdmitAllowed(b *testing.B) {
	s := defaults(b)
	s.Limits.Limits = nil
	g := newGuard(b, s)
	q := block("203.0.113.9")
	q.Hash = g.Check(q).Hash
	for b.Loop() {
		if d := g.Admit(q); d.Outcome != Allow {
			b.Fatal(d.Message)
		}
	}
}
