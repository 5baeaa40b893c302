package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"riposte/internal/strictyaml"
)

// checker looks for what a decoded manifest says wrong. It goes on after each
// error, so that the author sees all of them at once.
type checker struct {
	doc          *strictyaml.Document
	m            *Manifest
	from         origin
	capabilities map[string]*Action
}

func (c *checker) errorf(path, expected, what string, args ...any) {
	c.doc.Errorf(path, expected, what, args...)
}

func (c *checker) manifest() {
	m := c.m
	if m.Contract > ContractVersion {
		c.errorf("/contract", fmt.Sprintf("this version of Riposte knows contract %d: update it, or lower the number", ContractVersion), "contract %d", m.Contract)
	}
	c.name()
	c.config()
	c.auth()
	c.egress()
	if m.HTTP != nil && m.Runtime != "http" {
		c.errorf("/http", "remove it, or set runtime: http", "http in a connector of runtime %s", m.Runtime)
	}
	if m.Exec != nil && m.Runtime != "exec" {
		c.errorf("/exec", "remove it, or set runtime: exec", "exec in a connector of runtime %s", m.Runtime)
	}
	if m.Auth != nil && m.Auth.Kind != "none" && m.Runtime != "http" {
		c.errorf("/auth", "a program or Go code gets the fields of config and uses them itself", "auth in a connector of runtime %s", m.Runtime)
	}
	if len(m.Errors) > 0 && m.Runtime != "http" {
		c.errorf("/errors", "a program or Go code gives the class itself", "errors in a connector of runtime %s", m.Runtime)
	}
	c.rate()
	c.commonHTTP()
	c.errorRules("/errors", m.Errors, Schema{})
	seen := map[string]int{}
	for i := range m.Actions {
		at := strictyaml.Join("/actions", i)
		id := m.Actions[i].ID
		if first, twice := seen[id]; twice && id != "" {
			c.errorf(at+"/id", fmt.Sprintf("it is already on line %d", c.doc.At(strictyaml.Join("/actions", first)).Line), "the action %q is here twice", id)
		}
		seen[id] = i
	}
	for i := range m.Actions {
		c.action(strictyaml.Join("/actions", i), &m.Actions[i])
	}
	c.health()
	c.sources()
}

// name holds a connector to the name of its folder, and away from the names of
// the built-in actions.
func (c *checker) name() {
	name, folder := c.m.Connector, c.from.folder
	if folder != "" && name != "" && name != folder {
		c.errorf("/connector", "give them the same name", "the connector is called %q and its folder %q", name, folder)
	}
	if c.from.reserved && slices.Contains(Builtins(), name) {
		c.errorf("/connector", "choose another", "the name %q belongs to a built-in action", name)
	}
}

func (c *checker) config() {
	s := c.m.Config
	if s == nil {
		return
	}
	if t, ok := s["type"]; ok && t != "object" || !ok && len(s) > 0 {
		c.errorf("/config", "expected type: object with properties", "config is no object schema")
	}
	checkSchema(c.doc, "/config", s)
	for name := range s.Properties() {
		if slices.Contains(connectionFields, name) {
			c.errorf(strictyaml.Join("/config/properties", name), "choose another name: every connection has it already", "config declares %q", name)
		}
		p := s.Property(name)
		if secret, _ := p["secret"].(bool); secret {
			if t, ok := p["type"].(string); ok && t != "string" {
				c.errorf(strictyaml.Join("/config/properties", name), "expected type: string", "the secret %q is no text", name)
			}
			if _, ok := p["default"]; ok {
				c.errorf(strictyaml.Join("/config/properties", name), "remove the default", "the secret %q has a default that everybody can read", name)
			}
		}
	}
}

// connectionFields are what every connection has besides its config.
var connectionFields = []string{"name", "connector", "proxy", "ca", "clearance"}

func (c *checker) rate() {
	r := c.m.Rate
	if r != nil && r.Every <= 0 && r.Requests > 0 {
		c.errorf("/rate", "add every: with a duration, such as 1m", "the rate has no time")
	}
}

// field checks that a key of auth names a config field, and a secret one where
// it must be.
func (c *checker) field(path, name string, secret bool) {
	p := c.m.Config.Property(name)
	if p == nil {
		c.errorf(path, strictyaml.DidYouMean(name, sortedKeys(c.m.Config.Properties())), "config has no field %q", name)
		return
	}
	if is, _ := p["secret"].(bool); secret && !is {
		c.errorf(path, "add secret: true to the field in config", "%q holds a credential and is not secret", name)
	}
}

// authKeys lists, for each kind of auth, the keys it must have and may have.
var authKeys = map[string]struct{ must, may []string }{
	"none":          {},
	"basic":         {must: []string{"username", "password"}},
	"bearer":        {must: []string{"token"}},
	"api_key":       {must: []string{"key", "in"}, may: []string{"name", "prefix"}},
	"login":         {must: []string{"request", "token"}, may: []string{"ttl", "expires", "in", "name", "prefix"}},
	"oauth2_client": {must: []string{"token_url", "client_id", "client_secret"}, may: []string{"scope", "params", "client_auth", "ttl"}},
	"hmac":          {must: []string{"key", "over"}, may: []string{"hash", "encode", "name", "prefix", "timestamp"}},
	"mtls":          {must: []string{"cert", "key"}},
}

// laterAuth are the kinds that the contract names and this version cannot do.
var laterAuth = []string{"oauth2_code", "aws_sigv4"}

func (c *checker) auth() {
	a := c.m.Auth
	if a == nil {
		return
	}
	keys, known := authKeys[a.Kind]
	switch {
	case slices.Contains(laterAuth, a.Kind):
		c.errorf("/auth/kind", "this version has "+strings.Join(sortedKeys(authKeys), ", "), "auth kind %s is not supported yet", a.Kind)
		return
	case !known:
		if a.Kind != "" {
			c.errorf("/auth/kind", strictyaml.DidYouMean(a.Kind, sortedKeys(authKeys)), "unknown auth kind %q", a.Kind)
		}
		return
	}
	given := a.given()
	for _, key := range keys.must {
		if !slices.Contains(given, key) {
			c.errorf("/auth", "add it", "auth kind %s lacks the key %q", a.Kind, key)
		}
	}
	for _, key := range given {
		if key != "kind" && !slices.Contains(keys.must, key) && !slices.Contains(keys.may, key) {
			c.errorf("/auth/"+key, "it has "+strings.Join(append(slices.Clone(keys.must), keys.may...), ", "), "auth kind %s has no key %q", a.Kind, key)
		}
	}
	c.authFields(a)
}

// given lists the keys that are set.
func (a *AuthSpec) given() []string {
	text, _ := json.Marshal(a)
	var keys map[string]any
	_ = json.Unmarshal(text, &keys)
	return sortedKeys(keys)
}

func (c *checker) authFields(a *AuthSpec) {
	named := func(key, name string, secret bool) {
		if name != "" {
			c.field("/auth/"+key, name, secret)
		}
	}
	named("username", a.Username, false)
	named("password", a.Password, true)
	named("key", a.Key, true)
	named("cert", a.Cert, false)
	named("client_id", a.ClientID, false)
	named("client_secret", a.ClientSecret, true)
	if a.Kind == "bearer" {
		named("token", a.Token, true)
	}
	if a.Kind == "api_key" && a.In == "query" && a.Name == "" {
		c.errorf("/auth", "add name: with the query parameter", "api_key in the query has no name")
	}
	if a.Kind == "login" && a.In == "path" {
		c.errorf("/auth/in", "expected header or query", "a login token cannot go into the path")
	}
	if r := a.Request; r != nil {
		if r.Username != "" {
			c.field("/auth/request/username", r.Username, false)
		}
		if r.Password != "" {
			c.field("/auth/request/password", r.Password, true)
		}
	}
	c.authExpressions(a)
}

func (c *checker) egress() {
	for i, pattern := range c.m.Egress {
		at := strictyaml.Join("/egress", i)
		if hasTemplate(pattern) {
			c.template(at, pattern, c.connectionScope())
			continue
		}
		if !isHostPattern(pattern) {
			c.errorf(at, "expected a host such as api.example.com or *.example.com, without https:// and path", "%q is no host pattern", pattern)
		}
	}
	if c.m.Runtime != "http" {
		return
	}
	if base := c.m.HTTP; (base == nil || base.Base == "") && len(c.m.Egress) == 0 {
		for i := range c.m.Actions {
			if s := c.m.Actions[i].HTTP; s != nil && s.URL == "" {
				c.errorf("/actions", "add http: { base: \"${{ config.base_url }}\" } to the manifest", "no base URL: path of an action needs one")
				return
			}
		}
		if len(c.m.Actions) == 0 {
			return
		}
		c.errorf("", "add egress: with the hosts that may be called", "no base URL and no egress: it is not known which hosts may be called")
	}
}

func (c *checker) health() {
	h := c.m.Health
	if h == nil {
		return
	}
	a := c.named("/health/action", "health", h.Action)
	if a == nil {
		return
	}
	c.mustRead("/health/action", "health", a)
	c.with("/health/with", h.With, a, c.connectionScope())
	if h.Granted != "" {
		c.expression("/health/granted", h.Granted, wantList, scopeOf("output", typeOfOutput(a.Outputs)))
	}
	if len(h.Scopes) > 0 && h.Granted == "" {
		c.errorf("/health/scopes", "add granted: with an expression over output", "scopes are named, but not how to see which the credential has")
	}
}

// named finds an action that another part of the manifest names.
func (c *checker) named(path, by, id string) *ActionSpec {
	if id == "" {
		return nil
	}
	for i := range c.m.Actions {
		if c.m.Actions[i].ID == id {
			return &c.m.Actions[i]
		}
	}
	c.errorf(path, strictyaml.DidYouMean(id, c.m.ActionIDs()), "%s names the action %q, which is not in this manifest", by, id)
	return nil
}

func (c *checker) mustRead(path, by string, a *ActionSpec) {
	if a.Impact.Given && a.Impact.Max != Read {
		c.errorf(path, "expected an action of impact read", "%s calls %q, whose impact is %s", by, a.ID, a.Impact.Max)
	}
}
