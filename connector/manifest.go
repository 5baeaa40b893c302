package connector

import (
	"io/fs"
	"time"

	"riposte/internal/strictyaml"
)

// ContractVersion is the version of this contract. A manifest says which one it
// was written for.
const ContractVersion = 1

// ManifestFile is the name of the manifest in a connector's folder.
const ManifestFile = "connector.yaml"

// MaxManifestSize is how many bytes a manifest may have.
const MaxManifestSize = strictyaml.MaxSizeBytes

// Manifest is a connector as its connector.yaml declares it.
type Manifest struct {
	Connector      string       `yaml:"connector,required" pattern:"[a-z][a-z0-9-]{0,61}[a-z0-9]" doc:"a slug of small letters, digits and hyphens, such as acme-edr: the word before the dot in action: acme-edr.isolate"`
	Version        string       `yaml:"version,required" pattern:"(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?" doc:"three numbers, such as 1.4.0 (semantic versioning)"`
	Contract       int          `yaml:"contract,required" min:"1" doc:"the version of the contract that the manifest was written for: 1"`
	Title          string       `yaml:"title,required" min:"1" doc:"what people call it"`
	Description    string       `yaml:"description" doc:"what it is for, in a few sentences"`
	Vendor         string       `yaml:"vendor" doc:"who makes the product"`
	Product        string       `yaml:"product" doc:"the product's name"`
	TestedVersions []string     `yaml:"tested_versions" doc:"versions of the product that this was tried on; another version is shown, not refused"`
	Categories     []string     `yaml:"categories" doc:"words such as edr, firewall, identity"`
	Docs           string       `yaml:"docs" doc:"address of the product's API documentation"`
	Runtime        string       `yaml:"runtime,required" enum:"http,go,exec" doc:"what runs the actions: http, go or exec"`
	Config         Schema       `yaml:"config" doc:"JSON Schema of a connection's fields; fields with secret: true are write-only and stored sealed"`
	Auth           *AuthSpec    `yaml:"auth" doc:"how calls prove who we are; without it none"`
	Egress         []string     `yaml:"egress" doc:"host patterns that calls may go to, such as *.example.com; default: the host and port of the base URL"`
	Health         *Health      `yaml:"health" doc:"how to see whether a connection works"`
	Rate           *Rate        `yaml:"rate" doc:"how many requests the product allows"`
	MaxInFlight    int          `yaml:"max_in_flight" min:"1" doc:"how many calls may be under way at once on one connection"`
	Sources        []Source     `yaml:"sources" doc:"alerts or feeds that the product offers"`
	Deprecated     *Deprecated  `yaml:"deprecated" doc:"since when the connector should not be used any more"`
	HTTP           *HTTPCommon  `yaml:"http" doc:"what all actions of runtime http share"`
	Exec           *ExecCommon  `yaml:"exec" doc:"what all actions of runtime exec share"`
	Errors         []ErrorRule  `yaml:"errors" doc:"what the product's error answers mean, for all actions; an action's own rules come first"`
	Actions        []ActionSpec `yaml:"actions,required" min:"1" doc:"what it can do"`

	// Dir is the folder on this machine that the manifest came from, "" when it
	// is built in. Programs of runtime exec live there.
	Dir string `yaml:"-"`
	// Files is the connector's folder, for fixtures and content.
	Files fs.FS `yaml:"-"`

	actions map[string]*Action
}

// AuthSpec is how calls prove who we are. Which keys belong to which kind is
// checked; username, password, token, key, secret, cert, client_id and
// client_secret name fields of config.
type AuthSpec struct {
	Kind         string            `yaml:"kind,required" json:"kind" doc:"none, basic, bearer, api_key, login, oauth2_client, hmac or mtls"`
	Username     string            `yaml:"username" json:"username,omitempty" doc:"basic: the config field that holds the user name"`
	Password     string            `yaml:"password" json:"password,omitempty" doc:"basic: the config field that holds the password"`
	Token        string            `yaml:"token" json:"token,omitempty" doc:"bearer: the config field that holds the token; login: an expression over body, headers and status that gives the token"`
	Key          string            `yaml:"key" json:"key,omitempty" doc:"api_key, hmac, mtls: the config field that holds the key"`
	Cert         string            `yaml:"cert" json:"cert,omitempty" doc:"mtls: the config field that holds the certificate in PEM"`
	In           string            `yaml:"in" json:"in,omitempty" enum:"header,query,path" doc:"api_key, login: where the key goes; in path it stands between the base URL and the action's path"`
	Name         string            `yaml:"name" json:"name,omitempty" doc:"api_key, login, hmac: the name of the header or query parameter; default Authorization"`
	Prefix       string            `yaml:"prefix" json:"prefix,omitempty" doc:"api_key, login, hmac: text before the key, blank included, such as \"ApiToken \""`
	Request      *AuthRequest      `yaml:"request" json:"request,omitempty" doc:"login: the call that gives the token"`
	TTL          time.Duration     `yaml:"ttl" json:"ttl,omitempty" doc:"login: how long a token is used; oauth2_client: when the answer has no expires_in"`
	Expires      string            `yaml:"expires" json:"expires,omitempty" doc:"login: an expression that gives the seconds left, or the time as a text in RFC 3339"`
	TokenURL     string            `yaml:"token_url" json:"token_url,omitempty" doc:"oauth2_client: the address that gives tokens; a template over config"`
	ClientID     string            `yaml:"client_id" json:"client_id,omitempty" doc:"oauth2_client: the config field that holds the client id"`
	ClientSecret string            `yaml:"client_secret" json:"client_secret,omitempty" doc:"oauth2_client: the config field that holds the client secret"`
	ClientAuth   string            `yaml:"client_auth" json:"client_auth,omitempty" enum:"body,basic" doc:"oauth2_client: where id and secret go; default body"`
	Scope        string            `yaml:"scope" json:"scope,omitempty" doc:"oauth2_client: the scope asked for; a template over config"`
	Params       map[string]string `yaml:"params" json:"params,omitempty" doc:"oauth2_client: further form fields; templates over config"`
	Hash         string            `yaml:"hash" json:"hash,omitempty" enum:"sha1,sha256,sha512" doc:"hmac: default sha256"`
	Over         string            `yaml:"over" json:"over,omitempty" doc:"hmac: the text that is signed; a template over request.method, .path, .query, .host, .body, .timestamp and config"`
	Encode       string            `yaml:"encode" json:"encode,omitempty" enum:"hex,base64" doc:"hmac: how the signature is written; default hex"`
	Timestamp    *Timestamp        `yaml:"timestamp" json:"timestamp,omitempty" doc:"hmac: a header with the time that was signed"`
}

// AuthRequest is the call of auth kind login.
type AuthRequest struct {
	Method   string            `yaml:"method" json:"method,omitempty" enum:"GET,POST,PUT" doc:"default POST"`
	Path     string            `yaml:"path,required" json:"path" doc:"below the base URL"`
	Headers  map[string]string `yaml:"headers" json:"headers,omitempty" doc:"templates over config and secrets"`
	Query    map[string]any    `yaml:"query" json:"query,omitempty" doc:"templates over config and secrets"`
	Body     *Body             `yaml:"body" json:"body,omitempty" doc:"templates over config and secrets"`
	Username string            `yaml:"username" json:"username,omitempty" doc:"the config field of the user name, when the login itself uses Basic"`
	Password string            `yaml:"password" json:"password,omitempty" doc:"the config field of the password, when the login itself uses Basic"`
}

// Timestamp is a header that carries the time of a signed request.
type Timestamp struct {
	Header string `yaml:"header,required" json:"header" min:"1"`
	Format string `yaml:"format" json:"format,omitempty" enum:"unix,unix_ms,rfc3339" doc:"default unix"`
}

// Health says how to see whether a connection works, and whether its
// credential may do what the actions need.
type Health struct {
	Action   string         `yaml:"action,required" doc:"the read action that is called"`
	With     map[string]any `yaml:"with" doc:"its inputs"`
	Interval time.Duration  `yaml:"interval" doc:"default 5m"`
	Timeout  time.Duration  `yaml:"timeout" doc:"default 10s"`
	Scopes   []string       `yaml:"scopes" doc:"vendor permissions that all is well with; missing ones make the connection degraded"`
	Granted  string         `yaml:"granted" doc:"an expression over output that gives the list of scopes that the credential has"`
}

// Rate is how many requests the product allows.
type Rate struct {
	Requests int           `yaml:"requests,required" json:"requests" min:"1" doc:"how many requests"`
	Every    time.Duration `yaml:"every,required" json:"every" doc:"in this time"`
	Burst    int           `yaml:"burst" json:"burst,omitempty" min:"1" doc:"how many at once; default 1"`
	Per      string        `yaml:"per" json:"per,omitempty" enum:"connection,credential" doc:"what the limit belongs to; default connection"`
}

// Deprecated says that something should not be used any more.
type Deprecated struct {
	Since      string `yaml:"since" doc:"the version it was deprecated in"`
	ReplacedBy string `yaml:"replaced_by" doc:"what to use instead"`
	Until      string `yaml:"until" doc:"when it stops working, such as 2027-03-31"`
}

// ActionSpec is an action as the file writes it. Action is what becomes of it.
type ActionSpec struct {
	ID          string        `yaml:"id,required" pattern:"[a-z][a-z0-9_]{0,62}" doc:"a name of small letters, digits and underscores: the word after the dot in action: acme-edr.isolate"`
	Title       string        `yaml:"title" doc:"what people read"`
	Description string        `yaml:"description"`
	Capability  string        `yaml:"capability" doc:"the capability that it serves, such as block_ip"`
	Impact      ImpactSpec    `yaml:"impact" doc:"read, notify, change or destroy; or decided by one input: { by: method, GET: read, else: change }"`
	Targets     []TargetSpec  `yaml:"targets" doc:"the inputs that name what is acted on; required from change on"`
	Undo        *UndoSpec     `yaml:"undo" doc:"how it is taken back"`
	TTL         time.Duration `yaml:"ttl" doc:"how long it holds unless the step says otherwise; 0s is for ever"`
	Idempotency Idempotency   `yaml:"idempotency" enum:"natural,key,precheck,none" doc:"natural: twice is the same as once; key: the product deduplicates by a key that we send; precheck: look first; none: never repeated. Required from change on, default natural for read and none for notify"`
	Precheck    *CheckSpec    `yaml:"precheck" doc:"looks whether the wanted state is there already"`
	Postcheck   *CheckSpec    `yaml:"postcheck" doc:"looks whether the wanted state is really there"`
	Retry       *RetrySpec    `yaml:"retry" doc:"what a step's retry starts from"`
	Timeout     time.Duration `yaml:"timeout" doc:"of one attempt; default 60s"`
	Poll        *PollSpec     `yaml:"poll" doc:"how a long job is followed"`
	Serialize   string        `yaml:"serialize" doc:"a template over inputs, such as host:${{ inputs.host }}; equal texts never run at once"`
	Inputs      Schema        `yaml:"inputs" doc:"JSON Schema of the inputs"`
	Outputs     Schema        `yaml:"outputs" doc:"JSON Schema of the output"`
	Verdict     *VerdictSpec  `yaml:"verdict" doc:"makes enrichment answers comparable"`
	Errors      []ErrorRule   `yaml:"errors" doc:"what the product's error answers mean, first match"`
	Batch       *BatchSpec    `yaml:"batch" doc:"one call for many items"`
	Scopes      []string      `yaml:"scopes" doc:"vendor permissions that it needs"`
	Saves       time.Duration `yaml:"saves" doc:"analyst time that one success saves"`
	HTTP        *HTTPSpec     `yaml:"http" doc:"how it is done by runtime http"`
	Exec        *ExecSpec     `yaml:"exec" doc:"how it is done by runtime exec"`
	Go          *GoSpec       `yaml:"go" doc:"how it is done by runtime go"`
	Deprecated  *Deprecated   `yaml:"deprecated"`
}

// ImpactSpec is an impact as the file writes it: a word, or decided by an input.
type ImpactSpec struct {
	Given bool
	Max   Impact
	By    *ImpactBy
}

// UnmarshalStrict reads a word or { by: input, VALUE: word, else: word }.
func (i *ImpactSpec) UnmarshalStrict(n strictyaml.Node) {
	i.Given = true
	if !n.IsMapping() {
		i.Max = impactWord(n)
		return
	}
	i.By = &ImpactBy{Values: map[string]Impact{}}
	hasElse := false
	keys, values := n.Entries()
	for k, key := range keys {
		switch key {
		case "by":
			if !values[k].IsText() {
				values[k].Errorf("expected the name of an input", "by is no text")
				continue
			}
			i.By.Input = values[k].Value().(string)
			continue
		case "else":
			hasElse = true
			i.By.Else = impactWord(values[k])
			i.Max = max(i.Max, i.By.Else)
		default:
			i.By.Values[key] = impactWord(values[k])
			i.Max = max(i.Max, i.By.Values[key])
		}
	}
	if i.By.Input == "" {
		n.Errorf("expected { by: INPUT, VALUE: IMPACT, else: IMPACT }", "impact does not say by which input it is decided")
	}
	if !hasElse {
		n.Errorf("add else: with the impact of all other values", "impact lacks the key \"else\"")
	}
}

func impactWord(n strictyaml.Node) Impact {
	if n.IsText() {
		word := n.Value().(string)
		if i, ok := ParseImpact(word); ok {
			return i
		}
		n.Errorf(strictyaml.DidYouMean(word, impactNames[:]), "%q is no impact", word)
		return Read
	}
	n.Errorf("expected read, notify, change or destroy", "the impact is no text")
	return Read
}

// StrictSchema describes both forms to editors.
func (*ImpactSpec) StrictSchema() map[string]any {
	word := map[string]any{"type": "string", "enum": []any{"read", "notify", "change", "destroy"}}
	return map[string]any{"oneOf": []any{word, map[string]any{
		"type": "object", "required": []any{"by", "else"},
		"properties":           map[string]any{"by": map[string]any{"type": "string"}},
		"additionalProperties": word,
	}}}
}

// Action finds an action by its id.
func (m *Manifest) Action(id string) *Action { return m.actions[id] }

// ActionIDs lists the ids in the order of the file.
func (m *Manifest) ActionIDs() []string {
	ids := make([]string, 0, len(m.Actions))
	for i := range m.Actions {
		ids = append(ids, m.Actions[i].ID)
	}
	return ids
}

// SecretFields lists the config fields that are secret, sorted.
func (m *Manifest) SecretFields() []string {
	var names []string
	for _, name := range sortedKeys(m.Config.Properties()) {
		if secret, _ := m.Config.Property(name)["secret"].(bool); secret {
			names = append(names, name)
		}
	}
	return names
}

// NeedsConnection tells whether a connection must be configured before actions
// can be called. Where none is needed, one without fields that bears the
// connector's name is always there.
func (m *Manifest) NeedsConnection() bool {
	return len(m.Config.Required()) > 0 || m.Runtime == "exec"
}

// TakesConnection tells whether connections can be configured: what needs none
// may still have fields, such as a credential.
func (m *Manifest) TakesConnection() bool {
	return m.NeedsConnection() || len(m.Config.Properties()) > 0
}
