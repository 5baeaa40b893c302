package simulated

import (
	"crypto/sha256"
	"net/netip"
	"strings"
)

// opinion is what the reputation service thinks of an indicator.
type opinion struct {
	Indicator string   `json:"indicator"`
	Type      string   `json:"type"`  // ip, domain, url, hash
	Score     int      `json:"score"` // 0 harmless to 100 malicious
	Verdict   string   `json:"verdict"`
	Reporters int      `json:"reporters"` // how many told of it
	Tags      []string `json:"tags"`
	FirstSeen string   `json:"first_seen"`
	LastSeen  string   `json:"last_seen"`
}

// reputation scores addresses, domains, addresses of pages and files: an API key
// in the query (?key=), paths below /v3. The same question always has the same
// answer: what is in the table has that score, all else one from its hash, at
// most 60, so never malicious.
type reputation struct {
	lookups map[string]int
}

func newReputation() *Product {
	return newProduct("reputation", auth{kind: "query", name: "key"}, "", "reputation-demo-key", &reputation{})
}

// known are the indicators of the samples' attack.
var known = map[string]struct {
	score int
	tags  []string
}{
	"198.51.100.23":                {96, []string{"ssh-brute-force", "scanner"}},
	"198.51.100.77":                {91, []string{"ssh-brute-force", "web-attack"}},
	"198.51.100.88":                {84, []string{"web-attack"}},
	"203.0.113.45":                 {78, []string{"ssh-brute-force", "scanner"}},
	"203.0.113.66":                 {100, []string{"c2", "malware-host"}},
	"203.0.113.80":                 {35, []string{"remote-access-tool"}},
	"203.0.113.12":                 {2, []string{"access-provider"}},
	"invoice-update.example":       {97, []string{"phishing", "malware-host"}},
	"login.invoice-update.example": {98, []string{"phishing", "malware-host"}},
	"download.anydesk.example":     {35, []string{"remote-access-tool"}},
	"lab.test":                     {0, nil},
	malware:                        {100, []string{"eicar", "test-file"}},
}

// botnet is where the samples' many guessers come from.
var botnet = netip.MustParsePrefix("198.51.100.128/27")

// own is the samples' own network, of which nothing bad is known.
var own = netip.MustParsePrefix("192.0.2.0/24")

func (r *reputation) reset() { *r = reputation{lookups: map[string]int{}} }

func (r *reputation) routes() map[string]handler {
	return map[string]handler{
		"GET /v3/quota":          r.quota,
		"GET /v3/ip/{value}":     r.ip,
		"GET /v3/domain/{value}": r.domain,
		"GET /v3/hash/{value}":   r.hash,
		"GET /v3/url":            r.url,
		"GET /v3/url/{value}":    r.url,
	}
}

func (r *reputation) snapshot() any {
	copied := map[string]int{}
	for k, n := range r.lookups {
		copied[k] = n
	}
	return map[string]any{"lookups": copied}
}

func (r *reputation) quota(*call) reply {
	used := 0
	for _, n := range r.lookups {
		used += n
	}
	return ok(map[string]any{"plan": "demo", "used": used, "limit": 100000})
}

func (r *reputation) ip(c *call) reply {
	a, err := netip.ParseAddr(c.PathValue("value"))
	if err != nil {
		return failure(400, "invalid", "expected an IP address")
	}
	a = a.Unmap()
	switch {
	case own.Contains(a) || a.IsPrivate() || a.IsLoopback():
		return notFound("opinion on", a.String())
	case botnet.Contains(a):
		return r.answer("ip", a.String(), 88, []string{"botnet", "ssh-brute-force"})
	}
	return r.look("ip", a.String())
}

func (r *reputation) domain(c *call) reply {
	value := strings.ToLower(strings.TrimSuffix(c.PathValue("value"), "."))
	if !strings.Contains(value, ".") {
		return failure(400, "invalid", "expected a domain")
	}
	return r.look("domain", value)
}

func (r *reputation) hash(c *call) reply {
	value := strings.ToLower(c.PathValue("value"))
	if n := len(value); n != 32 && n != 40 && n != 64 {
		return failure(400, "invalid", "expected an MD5, SHA-1 or SHA-256 in hex")
	}
	return r.look("hash", value)
}

// url judges an address by its host; it comes in the query or, escaped, in the
// path.
func (r *reputation) url(c *call) reply {
	value := c.PathValue("value")
	if value == "" {
		value = c.URL.Query().Get("url")
	}
	_, rest, found := strings.Cut(value, "://")
	if !found {
		return failure(400, "invalid", "expected a URL")
	}
	host := rest
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	host, _, _ = strings.Cut(host, ":")
	if k, ok := known[strings.ToLower(host)]; ok {
		return r.answer("url", value, k.score, k.tags)
	}
	return r.answer("url", value, derived(value), nil)
}

func (r *reputation) look(kind, value string) reply {
	if k, ok := known[value]; ok {
		return r.answer(kind, value, k.score, k.tags)
	}
	return r.answer(kind, value, derived(value), nil)
}

// derived is a score from 0 to 60 that looks arbitrary and never changes.
func derived(value string) int {
	sum := sha256.Sum256([]byte(value))
	return int(sum[0]) % 61
}

func (r *reputation) answer(kind, value string, score int, tags []string) reply {
	r.lookups[value]++
	verdict := "harmless"
	switch {
	case score >= 75:
		verdict = "malicious"
	case score >= 30:
		verdict = "suspicious"
	}
	return ok(opinion{
		Indicator: value, Type: kind, Score: score, Verdict: verdict, Reporters: score / 3,
		Tags: append([]string{}, tags...), FirstSeen: "2025-11-02T00:00:00Z", LastSeen: "2026-01-05T00:00:00Z",
	})
}
