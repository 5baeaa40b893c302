package app_test

import (
	"net/http"
	"testing"
)

const opens = `playbook: opens
title: Open a case for an alert
on:
  - alert: alert.category == "intrusion"
steps:
  - action: case.set
    with: { tags: [seen] }
`

const follows = `playbook: follows
title: Follow cases that are opened
on:
  - case: { event: opened, where: case.severity >= 1 }
steps:
  - action: case.note
    with: { text: "Followed." }
`

func TestACaseThatAPlaybookOpensStartsPlaybooks(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, t.TempDir(), "")
	for name, text := range map[string]string{"opens": opens, "follows": follows} {
		s.send(http.MethodPut, "/api/playbooks/"+name+"/draft", map[string]any{"text": text}, nil)
		s.send(http.MethodPost, "/api/playbooks/"+name+"/publish", map[string]any{"text": text}, nil)
	}
	s.send(http.MethodPost, "/api/ingest/eve", `{"timestamp":"2026-01-05T10:00:00.000000+0000","flow_id":7,"event_type":"alert","src_ip":"198.51.100.23","dest_ip":"192.0.2.10","alert":{"signature_id":1,"signature":"Guessing","severity":1}}`, nil)
	var runs struct {
		Items []struct{ Playbook, Status, Case string }
	}
	s.until("both runs", func() bool {
		s.send(http.MethodGet, "/api/runs", nil, &runs)
		if len(runs.Items) != 2 {
			return false
		}
		return runs.Items[0].Status == "succeeded" && runs.Items[1].Status == "succeeded"
	})
	if a, b := runs.Items[0], runs.Items[1]; a.Case == "" || a.Case != b.Case || a.Playbook == b.Playbook {
		t.Errorf("%+v, want one run of each playbook on one case", runs.Items)
	}
}
