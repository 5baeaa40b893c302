package connector

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"riposte/internal/fault"
	"riposte/internal/strictyaml"
)

// Connection is one configured instance of a connector: two firewalls are two
// connections.
type Connection struct {
	Name      string `json:"name"`
	Connector string `json:"connector"`
	// Config holds the fields of the manifest's config that are not secret.
	Config map[string]any `json:"config,omitempty"`
	// Secrets holds the others, sealed; only the caller opens them, for one call.
	Secrets map[string][]byte `json:"secrets,omitempty"`
	// Clearance is the highest marking that may be sent to it.
	Clearance Clearance `json:"clearance"`
	// Proxy is the URL of a proxy (http, https or socks5), "" for none. The
	// environment is never asked.
	Proxy string `json:"proxy,omitempty"`
	// CA holds certificates in PEM that are trusted besides the system's.
	CA string `json:"ca,omitempty"`
	// What the administrator allows beyond public addresses: see egress.Policy.
	AllowPrivate   bool `json:"allow_private,omitempty"`
	AllowLoopback  bool `json:"allow_loopback,omitempty"`
	AllowLinkLocal bool `json:"allow_link_local,omitempty"`
	// RatePerSecond, Burst and MaxInFlight replace the manifest's; 0 keeps it.
	RatePerSecond float64 `json:"rate_per_second,omitempty"`
	Burst         int     `json:"burst,omitempty"`
	MaxInFlight   int     `json:"max_in_flight,omitempty"`
	// Serves lists the capabilities that it is used for when a playbook names
	// only the capability; empty means all that its connector offers.
	Serves   []string `json:"serves,omitempty"`
	Disabled bool     `json:"disabled,omitempty"`
	// Revision grows with each change, so that what was prepared for an older one
	// is made anew.
	Revision int64 `json:"revision,omitempty"`
}

// ServesCapability tells whether the connection is used for a capability.
func (c *Connection) ServesCapability(name string) bool {
	return !c.Disabled && (len(c.Serves) == 0 || slices.Contains(c.Serves, name))
}

// TLPs and PAPs list the markings, from open to closed.
var (
	TLPs = []string{"clear", "green", "amber", "amber+strict", "red"}
	PAPs = []string{"clear", "green", "amber", "red"}
)

// Clearance is a pair of markings: on data what it is marked with, on a
// connection the highest that may be sent there. Empty counts as DefaultTLP and
// DefaultPAP.
type Clearance struct {
	TLP string `json:"tlp,omitempty"`
	PAP string `json:"pap,omitempty"`
}

// What counts where nothing is said.
const (
	DefaultTLP = "amber"
	DefaultPAP = "amber"
)

// Covers tells whether data with these markings may be sent; why says what
// stands against it.
func (c Clearance) Covers(data Clearance) (ok bool, why string) {
	if level(TLPs, data.TLP, DefaultTLP) > level(TLPs, c.TLP, DefaultTLP) {
		return false, fmt.Sprintf("the data is TLP:%s, the connection is cleared up to TLP:%s", orDefault(data.TLP, DefaultTLP), orDefault(c.TLP, DefaultTLP))
	}
	if level(PAPs, data.PAP, DefaultPAP) > level(PAPs, c.PAP, DefaultPAP) {
		return false, fmt.Sprintf("the data is PAP:%s, the connection is cleared up to PAP:%s", orDefault(data.PAP, DefaultPAP), orDefault(c.PAP, DefaultPAP))
	}
	return true, ""
}

func orDefault(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// level gives the place of a marking in its list; one that is not known counts
// as the most closed.
func level(list []string, mark, fallback string) int {
	if i := slices.Index(list, strings.ToLower(orDefault(mark, fallback))); i >= 0 {
		return i
	}
	return len(list)
}

// Check says what is wrong with a connection, apart from its config.
func (c *Connection) Check() error {
	wrong := func(field, what string, args ...any) error {
		text := fmt.Sprintf(what, args...)
		return &fault.Parts{What: fmt.Sprintf("connection %s: %s: %s", c.Name, field, text), At: map[string]string{"/" + strings.ReplaceAll(field, ".", "/"): text}}
	}
	if !isConnectionName(c.Name) {
		return fmt.Errorf("connection: the name is %q; expected small letters, digits, hyphens and underscores, a letter first: %w", c.Name, fault.Invalid)
	}
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
			return wrong("proxy", "expected an address such as http://proxy.example.com:3128, with http, https or socks5")
		}
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		block, _ := pem.Decode([]byte(c.CA))
		if block == nil {
			return wrong("ca", "expected certificates in PEM, beginning with -----BEGIN CERTIFICATE-----")
		}
		return wrong("ca", "the PEM block %q holds no certificate that can be read", block.Type)
	}
	for field, mark := range map[string][2]any{"clearance.tlp": {c.Clearance.TLP, TLPs}, "clearance.pap": {c.Clearance.PAP, PAPs}} {
		word, list := mark[0].(string), mark[1].([]string)
		if word != "" && !slices.Contains(list, word) {
			return wrong(field, "%q is no marking; expected one of %s", word, strings.Join(list, ", "))
		}
	}
	for field, limit := range map[string]float64{"rate_per_second": c.RatePerSecond, "burst": float64(c.Burst), "max_in_flight": float64(c.MaxInFlight)} {
		if limit < 0 {
			return wrong(field, "a limit is below 0; leave it out for the connector's own")
		}
	}
	return nil
}

// isConnectionName: names stand in expressions as secrets.<name>.<field>.
func isConnectionName(s string) bool {
	if s == "" || len(s) > 63 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// SplitConfig checks the fields of a connection that somebody wrote, plain, and
// parts them into config and secrets (in the clear: seal them at once). kept
// names the secrets that are stored already and need not be written again. The
// error names every field that is wrong and never a value.
func (m *Manifest) SplitConfig(values map[string]any, kept ...string) (config map[string]any, secrets map[string]string, err error) {
	s := m.Config
	if s == nil {
		s = Schema{"type": "object"}
	}
	full := s.WithDefaults(values)
	if len(kept) > 0 {
		s = Schema{}
		for k, v := range m.Config {
			s[k] = v
		}
		var need []any
		for _, name := range m.Config.Required() {
			if !slices.Contains(kept, name) {
				need = append(need, name)
			}
		}
		if need == nil {
			need = []any{}
		}
		s["required"] = need
	}
	compiled, err := CompileSchema(closed(s))
	if err != nil {
		return nil, nil, err
	}
	if wrong := compiled.Check(full); len(wrong) > 0 {
		for i := range wrong {
			wrong[i] = m.hinted(wrong[i])
		}
		return nil, nil, &fault.Parts{What: m.Connector + ": config " + joinProblems(wrong), At: Parts(wrong)}
	}
	config, secrets = map[string]any{}, map[string]string{}
	hidden := m.SecretFields()
	for name, v := range full {
		if text, ok := v.(string); ok && slices.Contains(hidden, name) {
			secrets[name] = text
			continue
		}
		config[name] = v
	}
	return config, secrets, nil
}

// hinted adds to an unknown field which ones there are.
func (m *Manifest) hinted(p Problem) Problem {
	unknown, ok := strings.CutPrefix(p.What, unknownField)
	if !ok || len(p.Path) > 0 {
		return p
	}
	if hint := strictyaml.DidYouMean(strings.Trim(unknown, `"`), sortedKeys(m.Config.Properties())); hint != "" {
		p.What += " (" + hint + ")"
	}
	return p
}

// SecretID is what a sealed secret is bound to: it opens in no other place.
func SecretID(tenant, connection, field string) string {
	return "connection/" + tenant + "/" + connection + "/" + field
}
