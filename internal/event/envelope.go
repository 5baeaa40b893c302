package event

// collected are the names under which Wazuh's modules put the events that they
// fetch from a cloud, as they stand in its archive and in what it forwards.
var collected = []string{"aws", "github", "office365", "gcp", "ms-graph"}

// unwrapped takes an event out of the envelope of the collector that fetched
// it, so that one mapping reads it whichever way it came: Wazuh's modules write
// {"integration": "aws", "aws": {…}}, some without the first. What has more
// beside it, such as a Wazuh alert with its rule, is an event of its own.
func unwrapped(o map[string]any) map[string]any {
	name, named := o["integration"].(string)
	if len(o) > 2 || len(o) == 2 && !named {
		return o
	}
	for _, c := range collected {
		if named && name != c {
			continue
		}
		if in, ok := o[c].(map[string]any); ok && len(in) > 1 {
			return in
		}
	}
	return o
}
