package demo

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"riposte/internal/demo/simulated"
)

// Demo is one showing. All fields are required but Log.
type Demo struct {
	Client   *Client
	Products *simulated.Products
	Content  fs.FS             // with the folders playbooks and samples
	Sources  map[string]string // the token of each source
	// Log tells how it goes, in sentences; nil: nobody is told.
	Log func(format string, args ...any)
}

// Sources are the names of the sources that a server must have for the demo, and
// the mapping of each.
func Sources() map[string]string {
	return map[string]string{"sagan": "suricata-eve", "crowdsec": "crowdsec", "rsyslog": "rsyslog-json"}
}

// samples is the file of each source.
var samples = []struct{ source, file string }{
	{"sagan", "sagan-eve.jsonl"},
	{"crowdsec", "crowdsec-alerts.jsonl"},
	{"rsyslog", "rsyslog.jsonl"},
}

// ProtectedList is what the demo's own network adds to what must not be touched:
// its addresses, its domain controller, its emergency account.
const ProtectedList = `lists:
  - list: lab-network
    owner: the demo
    reason: It is a machine of our own network.
    ips: [192.0.2.0/24]
    domains: [lab.test]
  - list: lab-crown-jewels
    owner: the demo
    reason: Nobody works without it.
    hosts: [dc1]
    users: [breakglass]
`

func (d *Demo) say(format string, args ...any) {
	if d.Log != nil {
		d.Log(format, args...)
	}
}

// Prepare connects the products and publishes the playbooks.
func (d *Demo) Prepare(ctx context.Context) error {
	for _, p := range d.Products.All() {
		if err := d.connect(ctx, p); err != nil {
			return fmt.Errorf("connect %s: %w", p.Name, err)
		}
	}
	files, err := fs.Glob(d.Content, "playbooks/demo-*.playbook.yaml")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("find the demo's playbooks: %w", err)
	}
	for _, f := range files {
		if err := d.publish(ctx, f); err != nil {
			return fmt.Errorf("publish %s: %w", path.Base(f), err)
		}
	}
	return nil
}

// connect makes a connection to a product and has the server test it.
func (d *Demo) connect(ctx context.Context, p *simulated.Product) error {
	field := map[string]string{"edr": "token", "directory": "password", "firewall": "key", "reputation": "key"}[p.Name]
	config := map[string]any{"base_url": p.URL, "allow_loopback": true, "rate_per_second": 500, "burst": 500}
	if p.User != "" {
		config["username"] = p.User
	}
	connection := map[string]any{
		"name": p.Name + "-sim", "connector": p.Name + "-sim",
		"config": config, "secrets": map[string]string{field: p.Secret},
	}
	if err := d.Client.call(ctx, http.MethodPost, "/api/connections", connection, nil); err != nil {
		return err
	}
	var found struct{ Health, Detail string }
	if err := d.Client.call(ctx, http.MethodPost, "/api/connections/"+p.Name+"-sim/test", nil, &found); err != nil {
		return err
	}
	if found.Health != "up" {
		return fmt.Errorf("it is %s: %s", found.Health, found.Detail)
	}
	return nil
}

// publish publishes a playbook as it is shipped.
func (d *Demo) publish(ctx context.Context, file string) error {
	text, err := fs.ReadFile(d.Content, file)
	if err != nil {
		return err
	}
	slug := strings.TrimSuffix(path.Base(file), ".playbook.yaml")
	return d.Client.call(ctx, http.MethodPost, "/api/playbooks/"+slug+"/publish", map[string]string{"text": string(text)}, nil)
}
