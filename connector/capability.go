package connector

import (
	_ "embed" // capabilities.yaml
	"slices"
	"sync"

	"riposte/internal/expr"
	"riposte/internal/strictyaml"
)

//go:embed capabilities.yaml
var capabilitiesYAML []byte

// capabilityTable holds the signatures of all capabilities. The file is part of
// the program and read once.
var capabilityTable = sync.OnceValues(func() (map[string]*Action, error) {
	return parseCapabilities("capabilities.yaml", capabilitiesYAML)
})

type capabilityFile struct {
	Capabilities map[string]capabilitySpec `yaml:"capabilities,required"`
}

// capabilitySpec is a capability's signature as the file writes it.
type capabilitySpec struct {
	Title   string       `yaml:"title,required"`
	Impact  ImpactSpec   `yaml:"impact,required"`
	Targets []TargetSpec `yaml:"targets"`
	Inputs  Schema       `yaml:"inputs,required"`
	Outputs Schema       `yaml:"outputs"`
	Undo    *UndoSpec    `yaml:"undo"`
}

// parseCapabilities reads signatures. The Idempotency of a signature that
// changes something is empty: the action that serves it decides.
func parseCapabilities(file string, data []byte) (map[string]*Action, error) {
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}
	var f capabilityFile
	doc.Decode(&f)
	c := checker{doc: doc, m: &Manifest{}}
	for name, s := range f.Capabilities {
		c.m.Actions = append(c.m.Actions, ActionSpec{ID: name, Inputs: s.Inputs, Outputs: s.Outputs, Impact: s.Impact, Targets: s.Targets, Undo: s.Undo})
	}
	for i := range c.m.Actions {
		s := &c.m.Actions[i]
		at := strictyaml.Join("/capabilities", s.ID)
		c.inputs(at, s)
		checkSchema(doc, at+"/outputs", s.Outputs)
		c.targets(at, s)
		c.followUps(at, s)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	table := make(map[string]*Action, len(f.Capabilities))
	for name, s := range f.Capabilities {
		a := &Action{
			ID: name, Title: s.Title, Capability: name, Impact: s.Impact.Max, Targets: s.Targets, Undo: s.Undo,
			Inputs: closed(s.Inputs), Outputs: s.Outputs, Timeout: DefaultTimeout,
			Retry: RetrySpec{On: []Class{Transient, RateLimited}, Backoff: 2},
		}
		if a.Impact == Read {
			a.Idempotency = Natural
		}
		table[name] = a
	}
	return table, nil
}

// capability checks an action against the signature of the capability that it
// names.
func (c *checker) capability(at string, s *ActionSpec) {
	if s.Capability == "" {
		return
	}
	sig := c.capabilities[s.Capability]
	if sig == nil {
		c.errorf(at+"/capability", strictyaml.DidYouMean(s.Capability, sortedKeys(c.capabilities)), "unknown capability %q", s.Capability)
		return
	}
	if s.Impact.Given && s.Impact.Max > sig.Impact {
		c.errorf(at+"/impact", "leave capability out, or lower the impact", "%s has impact %s, the action %q has %s", s.Capability, sig.Impact, s.ID, s.Impact.Max)
	}
	c.capabilityInputs(at+"/inputs", s, sig)
	c.capabilityOutputs(at+"/outputs", s, sig)
	for _, t := range sig.Targets {
		same := func(own TargetSpec) bool { return own.Input == t.Input && own.Kind == t.Kind }
		if s.Impact.Max >= Change && !slices.ContainsFunc(s.Targets, same) {
			c.errorf(at+"/targets", "add { input: "+t.Input+", kind: "+string(t.Kind)+" }", "%s acts on %s as %s, the action %q does not", s.Capability, t.Input, t.Kind, s.ID)
		}
	}
}

func (c *checker) capabilityInputs(at string, s *ActionSpec, sig *Action) {
	given, accepted := typeOfInputs(sig.Inputs), typeOfInputs(s.Inputs)
	for _, name := range sortedKeys(sig.Inputs.Properties()) {
		own := s.Inputs.Property(name)
		if own == nil {
			c.errorf(at, "add it to properties", "%s gives the input %q, which %q does not accept", s.Capability, name, s.ID)
			continue
		}
		t, _ := given.Field(name)
		wanted, _ := accepted.Field(name)
		if wrong := plainType(t).Fits(plainType(wanted)); wrong != "" {
			c.errorf(strictyaml.Join(at+"/properties", name), "expected what capabilities.yaml says", "the input %q does not accept what %s gives: %s", name, s.Capability, wrong)
		}
	}
	for _, name := range s.Inputs.Required() {
		if _, fallback := s.Inputs.Property(name)["default"]; sig.Inputs.Requires(name) || fallback {
			continue
		}
		c.errorf(at+"/required", "give it a default, or make it optional", "%q demands the input %q, which %s does not give", s.ID, name, s.Capability)
	}
}

func (c *checker) capabilityOutputs(at string, s *ActionSpec, sig *Action) {
	if sig.Outputs == nil {
		return
	}
	promised, own := expr.FromSchema(sig.Outputs), typeOfOutput(s.Outputs)
	for _, name := range sortedKeys(sig.Outputs.Properties()) {
		must := sig.Outputs.Requires(name)
		if s.Outputs.Property(name) == nil {
			if must {
				c.errorf(at, "add it to properties and to required", "%s promises the output %q, which %q does not give", s.Capability, name, s.ID)
			}
			continue
		}
		if must && !s.Outputs.Requires(name) {
			c.errorf(at, "add it to required", "%s promises the output %q, which %q may leave out", s.Capability, name, s.ID)
		}
		t, _ := own.Field(name)
		wanted, _ := promised.Field(name)
		if wrong := t.NonNil().Fits(wanted); wrong != "" {
			c.errorf(strictyaml.Join(at+"/properties", name), "expected what capabilities.yaml says", "the output %q is not what %s promises: %s", name, s.Capability, wrong)
		}
	}
}

// plainType leaves out that a value may be nil: an optional input that is not
// given is no value of another type.
func plainType(t expr.Type) expr.Type { return t.NonNil() }
