package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"riposte/internal/app"
	"riposte/internal/httpapi"
)

// sensorMapping reads events of a sensor; part is the field by which it knows them.
func sensorMapping(t *testing.T, content, part string) {
	t.Helper()
	folder := filepath.Join(content, "sources")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	text := `mapping: own-sensor
version: 1
title: A sensor of ours
detect: ` + part + ` != nil
alert:
  identity: ["${{ event.id }}"]
  title: "${{ ` + part + ` }}"
  severity: "${{ event.level }}"
`
	if err := os.WriteFile(filepath.Join(folder, "own-sensor.source.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *server) unread() (list []httpapi.Alert) {
	s.t.Helper()
	var page httpapi.List[httpapi.Alert]
	s.send(http.MethodGet, "/api/alerts?unread=true", nil, &page)
	return page.Items
}

func TestWhatCouldNotBeReadIsShownAndReadAgainWhenItsMappingIsRight(t *testing.T) {
	t.Parallel()
	data, content := t.TempDir(), t.TempDir()
	own := func(c *app.Config) {
		c.Content = content
		s := c.Sources["eve"]
		s.Mapping = app.MappingNames{"own-sensor"}
		c.Sources["eve"] = s
	}
	sensorMapping(t, content, "event.nmae") // a slip of the pen
	s, password := serve(t, data, "", own)
	s.send(http.MethodPost, "/api/ingest/eve", "{\"id\":\"1\",\"name\":\"Beacon\",\"level\":\"high\"}\n{\"id\":\"2\",\"name\":\"Scan\",\"level\":\"low\"}\nno JSON at all\n", nil)
	list := s.unread()
	if len(list) != 3 {
		t.Fatalf("%d could not be read: %+v", len(list), list)
	}
	for _, a := range list {
		if a.Error == "" || a.Source != "eve" {
			t.Errorf("%+v", a)
		}
	}
	var one httpapi.ReadAgain
	s.send(http.MethodPost, "/api/alerts/"+list[0].ID+"/read-again", map[string]any{}, &one)
	if one.Outcome != "unread" || one.Error == "" {
		t.Errorf("with the wrong mapping: %+v", one)
	}
	s.stop()

	sensorMapping(t, content, "event.name")
	s, _ = serve(t, data, password, own)
	var all httpapi.ReadAllAgain
	s.send(http.MethodPost, "/api/alerts/read-again", map[string]any{"source": "eve"}, &all)
	if all.Read != 2 || all.Unread != 1 || len(all.Errors) != 1 || all.Next != "" {
		t.Errorf("with the right one: %+v", all)
	}
	if left := s.unread(); len(left) != 1 || left[0].ID != all.Errors[0].ID {
		t.Errorf("still unread: %+v", left)
	}
	var page httpapi.List[httpapi.Alert]
	s.send(http.MethodGet, "/api/alerts?status=new", nil, &page)
	titles := map[string]httpapi.Alert{}
	for _, a := range page.Items {
		titles[a.Title] = a
	}
	if a := titles["Beacon"]; a.Severity != "high" || a.Count != 1 {
		t.Errorf("the alerts: %+v", page.Items)
	}
	// What was kept says what it has become.
	var kept httpapi.Alert
	s.send(http.MethodGet, "/api/alerts/"+list[len(list)-1].ID, nil, &kept)
	if kept.Status != "folded" || kept.Error != "" {
		t.Errorf("%+v", kept)
	}
	s.refused(http.StatusConflict, http.MethodPost, "/api/alerts/"+kept.ID+"/read-again", map[string]any{})
	s.refused(http.StatusUnprocessableEntity, http.MethodPost, "/api/alerts/read-again", map[string]any{"source": "nobody"})
	s.refused(http.StatusNotFound, http.MethodPost, "/api/alerts/A-999/read-again", map[string]any{})
	// The same event sent once more is the same alert.
	var sent struct{ Duplicates int }
	s.send(http.MethodPost, "/api/ingest/eve", "{\"id\":\"1\",\"name\":\"Beacon\",\"level\":\"high\"}\n{\"id\":\"2\",\"name\":\"Scan\",\"level\":\"low\"}\n", &sent)
	if sent.Duplicates != 2 {
		t.Errorf("sent again: %+v", sent)
	}
}
