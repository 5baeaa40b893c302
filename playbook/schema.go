package playbook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"riposte/internal/fault"
)

// Formats lists what format may say in the JSON Schemas of a playbook, beside
// the formats of JSON Schema itself that make sense there.
var Formats = []string{"ipv4", "ipv6", "domain", "url", "email", "sha256", "host"}

var schemaFormats = []string{"date", "date-time", "time", "duration", "uuid", "uri", "hostname", "regex", "json-pointer"}

var (
	domainForm = regexp.MustCompile(`^(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?i:[a-z][a-z0-9-]{0,61}[a-z0-9])\.?$`)
	hostForm   = regexp.MustCompile(`^(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.(?i:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?))*\.?$`)
	emailForm  = regexp.MustCompile(`^[^\s@<>()",;:\[\]\\]{1,64}@[^\s@<>()",;:\[\]\\]{1,255}$`)
	sha256Form = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// formatChecks is what the formats accept.
var formatChecks = map[string]func(string) bool{
	"ipv4":   func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() },
	"ipv6":   func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" },
	"domain": func(s string) bool { return len(s) <= 254 && domainForm.MatchString(s) },
	"url": func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.Scheme != "" && u.Host != ""
	},
	"email":  emailForm.MatchString,
	"sha256": sha256Form.MatchString,
	"host":   func(s string) bool { return len(s) <= 254 && hostForm.MatchString(s) },
}

// compiledSchema is a JSON Schema ready for use.
type compiledSchema struct{ schema *jsonschema.Schema }

// problem is what is wrong with a value: where in it, and what.
type problem struct {
	path    []string
	message string // follows the name of what is wrong: "is 5; expected a text"
}

const schemaURL = "playbook:schema"

// compileSchema reads a JSON Schema. It never loads anything from elsewhere.
func compileSchema(schema map[string]any) (*compiledSchema, []problem) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(jsonschema.SchemeURLLoader{})
	for name, fits := range formatChecks {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if s, ok := v.(string); ok && !fits(s) {
				return fmt.Errorf("it is no %s", name)
			}
			return nil
		}})
	}
	if err := c.AddResource(schemaURL, schema); err != nil {
		return nil, []problem{{message: "is wrong: " + err.Error()}}
	}
	compiled, err := c.Compile(schemaURL)
	if err == nil {
		return &compiledSchema{compiled}, nil
	}
	var invalid *jsonschema.ValidationError
	if bad := (*jsonschema.SchemaValidationError)(nil); errors.As(err, &bad) && errors.As(bad.Err, &invalid) {
		return nil, problems(invalid)
	}
	if strings.Contains(err.Error(), "failing loading") {
		return nil, []problem{{message: "has a $ref that leads out of the file; expected one that begins with #"}}
	}
	return nil, []problem{{message: "is wrong: " + strings.ReplaceAll(err.Error(), schemaURL, "")}}
}

// check holds a value against the schema.
func (s *compiledSchema) check(v any) []problem {
	err := s.schema.Validate(v)
	var invalid *jsonschema.ValidationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &invalid):
		return problems(invalid)
	}
	return []problem{{message: "is wrong: " + err.Error()}}
}

// problems lists the innermost causes, which say what is wrong.
func problems(e *jsonschema.ValidationError) []problem {
	if len(e.Causes) == 0 {
		return []problem{{path: e.InstanceLocation, message: explain(e.ErrorKind)}}
	}
	var all []problem
	for _, cause := range e.Causes {
		for _, p := range problems(cause) {
			if !slices.ContainsFunc(all, func(q problem) bool { return slices.Equal(p.path, q.path) && p.message == q.message }) {
				all = append(all, p)
			}
		}
	}
	return all
}

// FillInputs holds the inputs given to a run against the plan's declarations
// and fills in the defaults. The error, a fault.Invalid, names every input that
// is wrong, unknown or missing.
func (p *Plan) FillInputs(given map[string]any) (map[string]any, error) {
	filled := make(map[string]any, len(p.Inputs))
	var wrong []string
	for _, in := range p.Inputs {
		v, there := given[in.Name]
		switch {
		case there:
			filled[in.Name] = v
			wrong = append(wrong, in.wrong(v)...)
		case in.HasDefault:
			filled[in.Name] = in.Default
		case in.Required:
			wrong = append(wrong, in.Name+" is missing")
		default:
			filled[in.Name] = nil
		}
	}
	for _, name := range sortedKeys(given) {
		if !slices.ContainsFunc(p.Inputs, func(in Input) bool { return in.Name == name }) {
			wrong = append(wrong, fmt.Sprintf("%s is not an input of it", name))
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("inputs of playbook %s: %s: %w", p.ID, strings.Join(wrong, "; "), fault.Invalid)
	}
	return filled, nil
}

// wrong lists what is wrong with a value for the input.
func (in Input) wrong(v any) []string {
	compiled := in.compiled
	if compiled == nil {
		if compiled, _ = compileSchema(in.Schema); compiled == nil {
			return nil
		}
	}
	var all []string
	for _, p := range compiled.check(v) {
		all = append(all, strings.Join(append([]string{in.Name}, p.path...), ".")+" "+p.message)
	}
	return all
}
