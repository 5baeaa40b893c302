package app

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"riposte/internal/auth"
	"riposte/internal/fault"
	"riposte/internal/store"
	"riposte/internal/strictyaml"
)

// ReadConfig reads a configuration file over what c holds. Everything that is
// wrong is told at once, each at its line and column: fault.Invalid.
func ReadConfig(file string, text []byte, c *Config) error {
	doc, err := strictyaml.Parse(file, text)
	if err != nil {
		return err
	}
	if doc.Root().IsNull() {
		return doc.Err() // an empty file sets nothing
	}
	doc.Decode(c)
	if err := doc.Err(); err != nil { // what cannot be read cannot be checked
		return err
	}
	for _, p := range c.problems() {
		doc.Errorf(p.path, p.expected, "%s", p.what)
	}
	return doc.Err()
}

// Check finds what is wrong with values that no file holds: fault.Invalid.
func (c *Config) Check() error {
	for _, p := range c.problems() {
		return fmt.Errorf("%s: %s; %s: %w", strings.ReplaceAll(strings.TrimPrefix(p.path, "/"), "/", "."), p.what, p.expected, fault.Invalid)
	}
	return nil
}

// trouble is one thing that is wrong with a configuration.
type trouble struct{ path, what, expected string }

type troubles []trouble

func (t *troubles) add(expected, what string, path ...any) {
	p := ""
	for _, part := range path {
		p = strictyaml.Join(p, part)
	}
	*t = append(*t, trouble{p, what, expected})
}

func (c *Config) problems() troubles {
	var t troubles
	if err := CheckListen(c.Listen); err != nil {
		t.add("expected host:port, such as 127.0.0.1:8080 or :8443", strings.TrimSuffix(err.Error(), ": invalid"), "listen")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			t.add("expected http:// or https:// and a host", fmt.Sprintf("%q is not how people reach a server", c.URL), "url")
		}
	}
	if c.Data == "" {
		t.add("expected a folder", "data is empty", "data")
	}
	if c.Database != "" {
		if err := store.Check(c.Database); err != nil {
			t.add("expected postgres://USER:PASSWORD@HOST:PORT/NAME, or leave it out for SQLite", strings.TrimSuffix(err.Error(), ": "+fault.Invalid.Error()), "database")
		}
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		t.add("give both or neither", "tls has only one of certificate and key", "tls")
	}
	c.peopleProblems(&t)
	if c.TLS.ClientCA != "" && c.TLS.Certificate == "" {
		t.add("give certificate and key, too", "client_ca needs tls: certificates of clients come by it", "tls", "client_ca")
	}
	c.sourceProblems(&t)
	c.hookProblems(&t)
	for _, r := range []struct {
		name string
		bad  bool
	}{{"runs", c.Retention.Runs <= 0}, {"alerts", c.Retention.Alerts <= 0}} {
		if r.bad {
			t.add("expected a duration such as 90d", "nothing would be kept", "retention", r.name)
		}
	}
	if c.Metrics.Listen != "" {
		if err := CheckListen(c.Metrics.Listen); err != nil {
			t.add("expected host:port, such as 127.0.0.1:9090", strings.TrimSuffix(err.Error(), ": invalid"), "metrics", "listen")
		}
	}
	if c.Intake.QueueMiB < 1 || c.Intake.Waiting <= 0 {
		t.add("expected queue_mib of 1 or more and waiting such as 1m", "nothing could wait to be stored", "intake")
	}
	return t
}

// CheckListen tells whether an address can be listened on: fault.Invalid.
func CheckListen(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", addr, fault.Invalid)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is not a port: %w", port, fault.Invalid)
	}
	if strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q is not a host: %w", host, fault.Invalid)
	}
	return nil
}

func (c *Config) peopleProblems(t *troubles) {
	roles := c.roleNames()
	groups := slices.Sorted(maps.Keys(c.Groups))
	people := slices.Sorted(maps.Keys(c.People))
	name := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	among := func(what string, given, known []string, path ...any) {
		for i, g := range given {
			if !slices.Contains(known, g) {
				t.add(orElse(strictyaml.DidYouMean(g, known), "name one that is there"), fmt.Sprintf("there is no %s %q", what, g), append(path, i)...)
			}
		}
	}
	for _, n := range people {
		p := c.People[n]
		if !name.MatchString(n) {
			t.add("small letters, digits, dots, hyphens and underscores", fmt.Sprintf("%q cannot be a person's name", n), "people", n)
		}
		among("role", p.Roles, roles, "people", n, "roles")
		among("group", p.Groups, groups, "people", n, "groups")
		if p.PasswordHash != "" && auth.CheckHash(p.PasswordHash) != nil {
			t.add("riposte config password makes one", "this is not an argon2id hash", "people", n, "password_hash")
		}
	}
	for _, n := range groups {
		among("role", c.Groups[n].Roles, roles, "groups", n, "roles")
	}
	var permissions []string
	for _, p := range auth.Permissions() {
		permissions = append(permissions, string(p))
	}
	for _, n := range slices.Sorted(maps.Keys(c.Roles)) {
		among("role", c.Roles[n].Includes, roles, "roles", n, "includes")
		given := make([]string, len(c.Roles[n].Permissions))
		for i, p := range c.Roles[n].Permissions {
			given[i] = string(p)
		}
		among("permission", given, permissions, "roles", n, "permissions")
	}
	for _, n := range slices.Sorted(maps.Keys(c.OnCall)) {
		for _, what := range c.OnCall[n].Problems(people, groups, roles) {
			t.add("name people, group:… or role:… that are there", what, "on_call", n)
		}
	}
}

func (c *Config) roleNames() []string {
	names := slices.Collect(maps.Keys(c.Roles))
	for _, r := range auth.BuiltIn() {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *Config) sourceProblems(t *troubles) {
	slug := regexp.MustCompile(`^[a-z][a-z0-9-]{1,62}$`)
	for _, n := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[n]
		if !slug.MatchString(n) {
			t.add("2 to 63 small letters, digits and hyphens, a letter first", fmt.Sprintf("%q cannot be a source's name", n), "sources", n)
		}
		s.keyProblems(t, n)
		s.watchProblems(t, n)
		switch s.Type {
		case "webhook":
			s.webhookProblems(t, n, c)
		case "syslog":
			s.syslogProblems(t, n, c)
		case "file":
			if s.Path == "" {
				t.add("give the file to follow as path", "a file source needs a file", "sources", n)
			}
		case "imap":
			s.mailProblems(t, n)
		case "kafka":
			s.kafkaProblems(t, n)
		case "pull":
			if s.Connection == "" {
				t.add("add connection: with the name of one", "a pull source asks through a connection", "sources", n)
			}
		case "schedule":
			s.scheduleProblems(t, n)
		}
	}
}

func (c *Config) hookProblems(t *troubles) {
	for _, n := range slices.Sorted(maps.Keys(c.Hooks)) {
		h := c.Hooks[n]
		if h.TokenFile != "" && h.TokenHash != "" {
			t.add("give one of them", "token_file and token_hash say the same", "hooks", n)
		}
		signatureProblems(t, h.KeyFile, h.Signature, h.SignatureHeader, "hooks", n)
		if h.TokenFile == "" && h.TokenHash == "" && h.KeyFile == "" && len(h.Certificate) == 0 {
			t.add("give token_file, token_hash, key_file or certificate", "nothing says who may send to this webhook", "hooks", n)
		}
		if len(h.Certificate) > 0 && c.TLS.ClientCA == "" {
			t.add("set tls.client_ca", "certificates of clients cannot be checked", "hooks", n, "certificate")
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Directory makes the directory of people from the configuration, with those
// who are kept elsewhere (the first administrator).
func (c *Config) Directory(more ...auth.Person) (*auth.Directory, error) {
	e := auth.Entries{Groups: map[string][]string{}, OnCall: c.OnCall}
	for _, n := range slices.Sorted(maps.Keys(c.People)) {
		p := c.People[n]
		e.People = append(e.People, auth.Person{Name: n, Title: p.Title, Roles: p.Roles, Groups: p.Groups, Password: p.PasswordHash, Disabled: p.Disabled})
	}
	for _, p := range more {
		if _, ok := c.People[p.Name]; !ok { // the file has the last word
			e.People = append(e.People, p)
		}
	}
	for n, g := range c.Groups {
		e.Groups[n] = g.Roles
	}
	for _, n := range slices.Sorted(maps.Keys(c.Roles)) {
		e.Roles = append(e.Roles, auth.Role{Name: n, Includes: c.Roles[n].Includes, Permissions: c.Roles[n].Permissions})
	}
	return auth.New(e)
}
