package alert

import (
	"cmp"
	"fmt"
	"strings"

	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

// Mapping reads one product's events: data, not code. Expressions see the
// payload as event, its header as syslog, how it was written as format, and what
// stands under let by its name.
type Mapping struct {
	ID          string
	Version     int
	Title       string
	Product     string
	Basis       string // events or documentation
	Specificity int

	detect *expr.Program // nil: any event
	either [][]string    // fields of event, of which one list must be there for detect to be true; nil: nothing is known
	lets   []named
	is     *expr.Program // nil: every event is an alert
	parts  parts
	found  bool // it looks at found, which costs work
}

// usualSpecificity is that of a mapping which says nothing.
const usualSpecificity = 50

// named is a value that later expressions of the mapping see by its name.
type named struct {
	name  string
	value *expr.Value
}

// mappingFile is a mapping as it is written.
type mappingFile struct {
	Mapping     string        `yaml:"mapping,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"a slug; the file is SLUG.source.yaml"`
	Title       string        `yaml:"title,required" min:"1" doc:"the product and the kind of event"`
	Description string        `yaml:"description" doc:"where the events come from and what was decided about them"`
	Product     string        `yaml:"product" doc:"the vendor and the product, for lists"`
	Basis       string        `yaml:"basis" enum:"events,documentation" doc:"events: tested on real events of the product. documentation: written from the vendor's documentation only"`
	Version     int           `yaml:"version,required" min:"1" doc:"counts the changes of the mapping; alerts keep it"`
	Specificity *int          `yaml:"specificity" min:"0" max:"100" doc:"of several mappings that detect an event, the one with the highest reads it; 50 if left out, 0 to 20 for those that read many products"`
	Detect      string        `yaml:"detect" doc:"an expression over event, syslog and format: is it an event of this product? Without it, any is"`
	Let         []letTemplate `yaml:"let" doc:"values worked out once, in order, for the expressions after them and all of alert"`
	Alert       alertTemplate `yaml:"alert,required" doc:"the alert record, each value worked out from the event"`
}

type letTemplate struct {
	Name  string `yaml:"name,required" pattern:"[a-z][a-z0-9_]{0,40}" doc:"the name that expressions use"`
	Value any    `yaml:"value,required" doc:"a value; one that cannot be worked out is nil"`
}

// alertTemplate is what the record is made of.
type alertTemplate struct {
	When        string            `yaml:"when" doc:"an expression: is the event an alert? One that is not is left out and counted"`
	Identity    any               `yaml:"identity,required" doc:"a value or a list of values that tells two events apart; equal values are one alert"`
	Group       any               `yaml:"group" doc:"a value or a list of values that alerts of one story share"`
	Title       any               `yaml:"title,required" doc:"one line for people"`
	Description any               `yaml:"description" doc:"more text"`
	Severity    any               `yaml:"severity,required" doc:"1 informational to 5 critical, or the word"`
	Category    any               `yaml:"category" doc:"a word such as phishing, malware, intrusion"`
	Time        any               `yaml:"time" doc:"when it happened: RFC 3339 or a usual form of it, or seconds or milliseconds since 1970; of a list, the first that is a time"`
	Techniques  any               `yaml:"techniques" doc:"MITRE ATT&CK IDs, a text or a list"`
	Link        any               `yaml:"link" doc:"the address of the alert in its own product"`
	Entities    []entityTemplate  `yaml:"entities" doc:"hosts, users, processes, mailboxes"`
	Observables []observeTemplate `yaml:"observables" doc:"values seen; those that are nil or do not parse are left out"`
	Fields      any               `yaml:"fields" doc:"more of the normal form, for playbooks: alert.fields"`
}

type entityTemplate struct {
	Kind  string `yaml:"kind,required" enum:"host,user,process,mailbox,file,email,cloud_resource,group" doc:"what it is"`
	Value any    `yaml:"value,required" doc:"a text or a list; nil is left out"`
	Role  string `yaml:"role" doc:"source, target, actor"`
}

type observeTemplate struct {
	Type  string `yaml:"type,required" enum:"ip,cidr,domain,url,email,hash,md5,sha1,sha256,sha512,host,user,file,process,mac,cve,registry_key,mailbox,message,text,any" doc:"what it is; text has observables extracted from it; any takes a whole object: what it holds at any depth, with the roles that the fields' names say"`
	Value any    `yaml:"value,required" doc:"a text or a list; nil is left out"`
	Role  string `yaml:"role" doc:"source, destination, sender"`
}

// parts are the compiled values of a mapping.
type parts struct {
	identity, group, title, description, severity, category, time, techniques, link *expr.Value
	fields                                                                          *expr.Value
	entities                                                                        []part
	observables                                                                     []part
	named                                                                           bool // fields are named one by one: those without a value are left out
}

type part struct {
	kind, role string
	value      *expr.Value
}

// ParseMapping reads a mapping. All that is wrong with it is one error, a
// strictyaml.Errors with a place for each.
func ParseMapping(file string, src []byte) (*Mapping, error) {
	doc, err := strictyaml.Parse(file, src)
	if err != nil {
		return nil, err
	}
	var f mappingFile
	doc.Decode(&f)
	if base := file[strings.LastIndexByte(file, '/')+1:]; f.Mapping != "" && strings.HasSuffix(base, ".source.yaml") && base != f.Mapping+".source.yaml" {
		doc.Errorf("/mapping", "expected "+strings.TrimSuffix(base, ".source.yaml"), "mapping is %q in a file called %s", f.Mapping, base)
	}
	scope := expr.NewScope().Lenient().With("event", expr.Any()).With("syslog", expr.Any()).With("format", expr.Text())
	c := &mappingCompiler{doc: doc, scope: scope}
	m := &Mapping{ID: f.Mapping, Version: f.Version, Title: f.Title, Product: cmp.Or(f.Product, f.Title), Basis: f.Basis, Specificity: usualSpecificity}
	if f.Specificity != nil {
		m.Specificity = *f.Specificity
	}
	if m.detect = c.condition("/detect", f.Detect); m.detect != nil {
		m.either = m.detect.Either("event")
	}
	c.scope = scope.With("found", expr.Any())
	for i, l := range f.Let {
		m.lets = append(m.lets, c.let(fmt.Sprintf("/let/%d/", i), l))
	}
	m.is = c.condition("/alert/when", f.Alert.When)
	m.parts = c.parts(&f.Alert)
	m.found = c.found
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// mappingCompiler compiles what stands in a mapping and says where it is wrong.
type mappingCompiler struct {
	doc   *strictyaml.Document
	scope *expr.Scope
	found bool // something looks at found
}

// sees notes what an expression looks at.
func (c *mappingCompiler) sees(refs [][]string) {
	for _, path := range refs {
		c.found = c.found || path[0] == "found"
	}
}

// let compiles a named value; what follows may use it.
func (c *mappingCompiler) let(at string, l letTemplate) named {
	if _, taken := c.scope.Lookup(l.Name); taken {
		c.doc.Errorf(at+"name", "take another name", "%q has a meaning already", l.Name)
	}
	n := named{l.Name, c.value(at+"value", l.Value)}
	c.scope = c.scope.With(l.Name, expr.Any())
	return n
}

func (c *mappingCompiler) condition(path, src string) *expr.Program {
	if src == "" {
		return nil
	}
	p, err := expr.Compile(src, c.scope, expr.Bool())
	if err != nil {
		c.doc.Errorf(path, "expected a condition over event", "%s", plain(err))
		return nil
	}
	c.sees(p.Refs())
	return p
}

// value compiles a value; nil where it is left out.
func (c *mappingCompiler) value(path string, v any) *expr.Value {
	if v == nil {
		return nil
	}
	out := expr.ValueAt(c.doc, path, v, c.scope, "expected an expression over event")
	if out != nil {
		c.sees(out.Refs())
	}
	return out
}

func (c *mappingCompiler) parts(t *alertTemplate) parts {
	const at = "/alert/"
	p := parts{
		identity: c.value(at+"identity", t.Identity), group: c.value(at+"group", t.Group), title: c.value(at+"title", t.Title),
		description: c.value(at+"description", t.Description), severity: c.value(at+"severity", t.Severity),
		category: c.value(at+"category", t.Category), time: c.value(at+"time", t.Time),
		techniques: c.value(at+"techniques", t.Techniques), link: c.value(at+"link", t.Link),
	}
	if t.Fields != nil {
		p.fields = c.value(at+"fields", t.Fields)
		if _, p.named = t.Fields.(map[string]any); p.named && p.fields != nil {
			_, same := p.fields.Const() // one object for all records is not to be changed
			p.named = !same
		}
	}
	for i, e := range t.Entities {
		p.entities = append(p.entities, part{e.Kind, e.Role, c.value(fmt.Sprintf("%sentities/%d/value", at, i), e.Value)})
	}
	for i, o := range t.Observables {
		p.observables = append(p.observables, part{o.Type, o.Role, c.value(fmt.Sprintf("%sobservables/%d/value", at, i), o.Value)})
	}
	return p
}

// plain drops the kind of an error: the place and the words say enough.
func plain(err error) string { return strings.TrimSuffix(err.Error(), ": invalid") }
