package auth

import (
	"strings"
	"testing"
	"time"

	"riposte/internal/strictyaml"
)

func readDuties(t *testing.T, text string) (map[string]Duty, error) {
	t.Helper()
	doc, err := strictyaml.Parse("riposte.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		OnCall map[string]Duty `yaml:"on_call"`
	}
	doc.Decode(&e)
	return e.OnCall, doc.Err()
}

func TestADutyIsAListOrAMapping(t *testing.T) {
	t.Parallel()
	duties, err := readDuties(t, `
on_call:
  soc-lead: [ana, role:soc-lead]
  it-service:
    people: [ana, lee]
    rotate: 7d
    from: 2026-01-05T08:00:00Z
    times:
      - { when: sat-sun, people: [group:night] }
`)
	if err != nil {
		t.Fatal(err)
	}
	sunday, monday := at(t, "2026-01-11T12:00:00Z"), at(t, "2026-01-12T12:00:00Z")
	if got := duties["soc-lead"].now(monday); len(got) != 2 || got[1] != "role:soc-lead" {
		t.Errorf("%v", got)
	}
	if got := duties["it-service"].now(monday); len(got) != 1 || got[0] != "lee" {
		t.Errorf("%v", got)
	}
	if got := duties["it-service"].now(sunday); len(got) != 1 || got[0] != "group:night" {
		t.Errorf("%v", got)
	}
	if duties["it-service"].Rotate != 7*24*time.Hour {
		t.Errorf("rotate %s", duties["it-service"].Rotate)
	}
	text, err := duties["it-service"].Times[0].When.MarshalText()
	if err != nil || string(text) != "sat-sun" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWrongDutiesAreToldWhereTheyStand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"on_call:\n  a: ana\n":                                                 "riposte.yaml:2:6: a is no list of people; expected a list such as [ana, lee], or a mapping with people and turns",
		"on_call:\n  a:\n    peeple: [x]\n":                                    `riposte.yaml:3:5: unknown key "peeple"; did you mean "people"?`,
		"on_call:\n  a:\n    times:\n      - { when: mon-fri }\n":              `riposte.yaml:4:9: this entry lacks the key "people"`,
		"on_call:\n  a:\n    times:\n      - { when: someday, people: [x] }\n": `riposte.yaml:4:17: "someday" are no hours of the week`,
		"on_call:\n  a:\n    people: [x]\n    from: monday\n":                  "riposte.yaml:4:11: ",
	} {
		_, err := readDuties(t, text)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}
