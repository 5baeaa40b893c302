package event

import (
	"strings"
	"testing"
)

func TestFilesAreTakenApartIntoEvents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, want, how string }{
		"lines":                  {"{\"a\": 1}\n\n{\"a\": 2}\n", `{"a": 1} {"a": 2}`, "one event a line"},
		"lines of a device":      {"a b\r\n[c] d\n", `a b [c] d`, "one event a line"},
		"an array":               {"[\n {\"a\": 1},\n {\"a\": 2}]", `{"a":1} {"a":2}`, "a JSON array"},
		"a document":             {"{\n \"a\": {\"list\": [{\"b\": 1}]}\n}", `{"a":{"list":[{"b":1}]}}`, "one JSON document"},
		"documents":              {"{\n \"a\": 1\n}\n{\n \"a\": 2\n}", `{"a":1} {"a":2}`, "2 JSON documents"},
		"an answer":              {`{"@odata.context": "x", "value": [{"a": 1}, {"a": 2}]}`, `{"a":1} {"a":2}`, "the list under value"},
		"an answer in another":   {`{"response": {"total": 1, "alerts": [{"a": 1}]}}`, `{"a":1}`, "the list under response.alerts"},
		"a search engine's":      {`{"took": 1, "hits": {"hits": [{"_id": "x", "_source": {"a": 1}}]}}`, `{"a":1}`, "the list under hits.hits"},
		"a file of one list":     {`{"SomethingElse": [{"a": 1}]}`, `{"a":1}`, "the list under SomethingElse"},
		"an event with a list":   {`{"id": 1, "people": [{"a": 1}]}`, `{"id":1,"people":[{"a":1}]}`, "one JSON document"},
		"Windows events":         {"<Events>\n<Event xmlns=\"x\">1</Event>\n<Event xmlns=\"x\">2</Event></Events>", `<Event xmlns="x">1</Event> <Event xmlns="x">2</Event>`, "2 XML events"},
		"a document of XML":      {"<log>\n<a>1</a>\n</log>", "<log>\n<a>1</a>\n</log>", "one XML document"},
		"nothing":                {" \n", ``, "nothing"},
		"an array, cut":          {"[{\"a\": 1},\n{\"a\"", `[{"a": 1}, {"a"`, "one event a line"},
		"lines, the last is cut": {"{\"a\": 1}\n{\"a\"", `{"a": 1} {"a"`, "one event a line"},
	} {
		items, how := Split([]byte(c.file), func([]byte) bool { return false })
		var got []string
		for _, item := range items {
			got = append(got, string(item.Raw))
		}
		if all := strings.Join(got, " "); all != c.want || how != c.how {
			t.Errorf("%s: %s (%s), want %s (%s)", name, all, how, c.want, c.how)
		}
	}
	items, how := Split([]byte(`{"events": [{"a": 1}]}`), func([]byte) bool { return true })
	if len(items) != 1 || how != "one JSON document" {
		t.Errorf("an event by itself was taken apart: %d, %s", len(items), how)
	}
}
