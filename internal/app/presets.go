package app

import (
	"net/http"
)

// preset is what is known of a product that sends alerts, so that its source
// needs little more than a secret.
type preset struct {
	mappings  MappingNames
	signature string            // how it signs, where key_file is given
	parameter string            // of the address, where it can set no header
	unwrap    []string          // what it puts around its events
	note      map[string]string // headers worth keeping, and the fields that they go to
	ping      func(r *http.Request) bool
}

// presets are the products that a webhook can be set up for by name. What to do
// on their side stands in docs/sources.md.
var presets = map[string]preset{
	// The alert action "Webhook" sends a body of its own and no headers.
	"splunk": {mappings: MappingNames{"auto"}, parameter: "token"},
	// The webhook connector of Kibana sends what its template makes of the alerts.
	"elastic": {mappings: MappingNames{"auto"}, unwrap: []string{"alerts", "hits"}},
	// integratord runs a script with one alert.
	"wazuh": {mappings: MappingNames{"auto"}},
	// A playbook of Sentinel sends the body of its trigger, which the mapping reads
	// as it is; a list of incidents stands in value.
	"sentinel": {mappings: MappingNames{"auto"}, unwrap: []string{"value"}},
	"github": {
		mappings: MappingNames{"auto"}, signature: "github",
		note: map[string]string{"X-GitHub-Event": "github_event", "X-GitHub-Delivery": "github_delivery"},
		// Sent when the webhook is made, to see whether somebody answers.
		ping: func(r *http.Request) bool { return r.Header.Get("X-GitHub-Event") == "ping" },
	},
}

// mappings are the names of the mappings that read a source; an empty one: its
// road finds out.
func (s *SourceConfig) mappings() MappingNames {
	switch {
	case len(s.Mapping) > 0:
		return s.Mapping
	case s.Preset != "":
		return presets[s.Preset].mappings
	}
	return MappingNames{defaultMappings[s.Type]}
}
