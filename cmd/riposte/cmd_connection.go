package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"riposte/internal/httpapi"
)

type connectionCmd struct {
	List   connectionListCmd   `cmd:"" help:"List connections and how they are."`
	Add    connectionAddCmd    `cmd:"" help:"Add a connection; its secrets are asked for."`
	Test   connectionTestCmd   `cmd:"" help:"Call the product and tell what was found."`
	Remove connectionRemoveCmd `cmd:"" help:"Remove a connection and its secrets."`
}

type connectionListCmd struct{}

// Examples leads the command's help.
func (*connectionListCmd) Examples() string {
	return "riposte connection list\nriposte connection list --json"
}

// Run lists connections.
func (*connectionListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[httpapi.List[httpapi.Connection]](s, "/api/connections", nil)
	if err != nil {
		return err
	}
	return printList(w, l.Items, "no connections", []string{"name", "connector", "health", "checked", "secrets", "detail"}, func(c httpapi.Connection) []string {
		health := c.Health
		if c.Disabled {
			health = "disabled"
		}
		return []string{c.Name, c.Connector, health, stamp(c.Checked), strings.Join(c.Secrets, ", "), clip(c.Detail, 60)}
	})
}

// clearance is what an administrator allows a connection.
type clearance struct {
	TLP           string   `name:"tlp" enum:",clear,green,amber,amber+strict,red" default:"" help:"The highest TLP that may be sent to it."`
	PAP           string   `name:"pap" enum:",clear,green,amber,red" default:"" help:"The highest PAP that may be sent to it."`
	Proxy         string   `name:"proxy" placeholder:"URL" help:"The proxy on the way to it."`
	CAFile        string   `name:"ca-file" placeholder:"FILE" help:"Certificates to trust besides the system's."`
	AllowPrivate  bool     `name:"allow-private" help:"It may be at a private address."`
	AllowLoopback bool     `name:"allow-loopback" help:"It may be on the server's own machine."`
	Serves        []string `name:"serves" placeholder:"CAPABILITY" help:"What it is used for, if not all that it offers."`
}

// into puts what was given into the configuration, where every connection has it.
func (c *clearance) into(config map[string]any) error {
	marks := map[string]any{}
	for k, v := range map[string]string{"tlp": c.TLP, "pap": c.PAP} {
		if v != "" {
			marks[k] = v
		}
	}
	if len(marks) > 0 {
		config["clearance"] = marks
	}
	if c.Proxy != "" {
		config["proxy"] = c.Proxy
	}
	if c.AllowPrivate {
		config["allow_private"] = true
	}
	if c.AllowLoopback {
		config["allow_loopback"] = true
	}
	if len(c.Serves) > 0 {
		config["serves"] = c.Serves
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return misusef("--ca-file: %s", pathError(err))
		}
		config["ca"] = string(pem)
	}
	return nil
}

type connectionAddCmd struct {
	Name       string            `arg:"" help:"How playbooks call it, such as firewall-berlin."`
	Connector  string            `arg:"" help:"The connector, such as acme-edr."`
	Set        map[string]string `name:"set" placeholder:"FIELD=VALUE" mapsep:"none" help:"A field of the configuration that is no secret; repeat it for more."`
	ConfigFile string            `name:"config-file" placeholder:"FILE" help:"The configuration as a JSON object; --set adds to it."`
	SecretFile map[string]string `name:"secret-file" placeholder:"FIELD=FILE" mapsep:"none" help:"Read a secret from a file; repeat it for more."`
	SecretEnv  map[string]string `name:"secret-env" placeholder:"FIELD=NAME" mapsep:"none" help:"Read a secret from the environment; repeat it for more."`
	Test       bool              `name:"test" help:"Test the connection once it is there."`
	clearance
}

// Examples leads the command's help.
func (*connectionAddCmd) Examples() string {
	return "riposte connection add edr-main acme-edr --set url=https://edr.example.org      asks for its secrets\n" +
		"riposte connection add edr-main acme-edr --set url=https://edr.example.org --secret-file token=/run/secrets/edr\n" +
		"riposte connection add edr-main acme-edr --set url=https://edr.example.org --secret-env token=EDR_TOKEN --test"
}

// Run adds a connection. A secret comes from a prompt, a file or the
// environment: a flag would show it to everybody on the machine.
func (c *connectionAddCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	kind, err := s.connector(c.Connector)
	if err != nil {
		return err
	}
	n := httpapi.NewConnection{Name: c.Name, Connector: c.Connector}
	if n.Config, err = c.config(kind); err != nil {
		return err
	}
	if err := c.into(n.Config); err != nil {
		return err
	}
	if n.Secrets, err = c.secrets(w, kind); err != nil {
		return err
	}
	var out httpapi.Connection
	if _, err := s.do(request{method: http.MethodPost, path: "/api/connections", body: n}, &out); err != nil {
		return err
	}
	if !w.json {
		fmt.Fprintf(w.err, "%s added\n", out.Name)
	}
	if c.Test {
		return s.test(out.Name)
	}
	if w.json {
		return w.printJSON(out)
	}
	return nil
}

// connector finds what is to be connected.
func (s *server) connector(name string) (httpapi.Connector, error) {
	l, err := fetch[httpapi.List[httpapi.Connector]](s, "/api/connectors", nil)
	if err != nil {
		return httpapi.Connector{}, err
	}
	var names []string
	for _, c := range l.Items {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return httpapi.Connector{}, misusef("there is no connector %q; there are %s", name, strings.Join(names, ", "))
}

func (c *connectionAddCmd) config(kind httpapi.Connector) (map[string]any, error) {
	config := map[string]any{}
	if c.ConfigFile != "" {
		raw, err := os.ReadFile(c.ConfigFile)
		if err != nil {
			return nil, misusef("--config-file: %s", pathError(err))
		}
		if err := json.Unmarshal(raw, &config); err != nil {
			return nil, misusef("--config-file: %s: not a JSON object: %s", c.ConfigFile, err)
		}
	}
	for field, value := range c.Set {
		config[field] = typed(kind, field, value)
	}
	for _, field := range kind.Secrets {
		if _, ok := config[field]; ok {
			return nil, misusef("%s is secret; leave it out to be asked, or use --secret-file or --secret-env", field)
		}
	}
	return config, nil
}

// typed reads a value as its schema wants it: a text stays one, even if it looks
// like a number.
func typed(kind httpapi.Connector, field, value string) any {
	properties, _ := kind.Config["properties"].(map[string]any)
	schema, _ := properties[field].(map[string]any)
	if schema["type"] == "string" {
		return value
	}
	return inputValues(map[string]string{"v": value})["v"]
}

func (c *connectionAddCmd) secrets(w *world, kind httpapi.Connector) (map[string]string, error) {
	secrets := map[string]string{}
	for field, file := range c.SecretFile {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, misusef("--secret-file %s: %s", field, pathError(err))
		}
		secrets[field] = strings.TrimRight(string(raw), "\r\n")
	}
	for field, name := range c.SecretEnv {
		if secrets[field] = w.getenv(name); secrets[field] == "" {
			return nil, misusef("--secret-env %s: %s is not set", field, name)
		}
	}
	for field := range secrets {
		if !slices.Contains(kind.Secrets, field) {
			return nil, misusef("%s has no secret %q; it has %s", kind.Name, field, orDash(strings.Join(kind.Secrets, ", "), "none"))
		}
	}
	required, _ := kind.Config["required"].([]any)
	for _, field := range kind.Secrets {
		if _, ok := secrets[field]; ok {
			continue
		}
		if w.askSecret == nil && !slices.Contains(required, any(field)) {
			continue
		}
		if w.askSecret == nil && len(kind.Secrets) > 1 {
			return nil, misusef("%s: there is no terminal to ask on; use --secret-file or --secret-env", field)
		}
		value, err := w.secret(field, "")
		if err != nil {
			return nil, err
		}
		if value != "" {
			secrets[field] = value
		}
	}
	return secrets, nil
}

type connectionTestCmd struct {
	Name string `arg:"" help:"The connection."`
}

// Examples leads the command's help.
func (*connectionTestCmd) Examples() string { return "riposte connection test edr-main" }

// Run tests a connection.
func (c *connectionTestCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	return s.test(c.Name)
}

// test exits with 1 unless the connection is up.
func (s *server) test(name string) error {
	var t httpapi.ConnectionTest
	if _, err := s.do(request{method: http.MethodPost, path: "/api/connections/" + url.PathEscape(name) + "/test"}, &t); err != nil {
		return err
	}
	w := s.w
	if w.json {
		if err := w.printJSON(t); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(w.out, "%s: %s %s\n", name, t.Health, oneLine(t.Detail))
		for _, sc := range t.Scopes {
			word := "missing"
			if sc.OK {
				word = "there"
			}
			fmt.Fprintf(w.out, "  %s: %s %s\n", sc.Scope, word, oneLine(sc.Detail))
		}
	}
	if t.Health != "up" {
		return silent{exitFailed}
	}
	return nil
}

type connectionRemoveCmd struct {
	Name string `arg:"" help:"The connection."`
	sure
}

// Examples leads the command's help.
func (*connectionRemoveCmd) Examples() string { return "riposte connection remove edr-main" }

// Run removes a connection.
func (c *connectionRemoveCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	if err := w.confirm(c.sure, "Remove "+c.Name+" and its secrets?"); err != nil {
		return err
	}
	path := "/api/connections/" + url.PathEscape(c.Name)
	header, err := s.do(request{method: http.MethodGet, path: path}, nil)
	if err != nil {
		return err
	}
	if _, err := s.do(request{method: http.MethodDelete, path: path, header: map[string]string{"If-Match": header.Get("ETag")}}, nil); err != nil {
		return err
	}
	if w.json {
		return w.printJSON(map[string]string{"removed": c.Name})
	}
	fmt.Fprintf(w.out, "%s removed\n", c.Name)
	return nil
}
