package triage

import (
	"time"
)

// MostThreshold bounds what a threshold counts: each hit is remembered exactly.
const MostThreshold = 1000

// file is a rule file as it is written.
type file struct {
	Triage      string                  `yaml:"triage,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"the name of the rule set"`
	Title       string                  `yaml:"title" doc:"one line for people"`
	Description string                  `yaml:"description" doc:"for whom it is, and what was decided"`
	Version     int                     `yaml:"version,required" min:"1" doc:"counts the changes; alerts remember the set that decided"`
	Zone        string                  `yaml:"zone" doc:"the time zone of dates and hours, such as Europe/Vienna; default UTC"`
	Storms      []stormText             `yaml:"storms" doc:"when alerts are far too many: all of them become one case and one alarm"`
	Maintenance []maintenanceText       `yaml:"maintenance" doc:"windows in which alerts are expected"`
	Rules       []ruleText              `yaml:"rules,required" min:"1" doc:"asked in this order; one that decides is the last"`
	Routes      []routeText             `yaml:"routes" doc:"which playbooks start for what; every row that fits counts"`
	Templates   map[string]caseTemplate `yaml:"templates" doc:"cases, by name, for rules and storms"`
	Tests       []testText              `yaml:"tests" doc:"alerts and what must become of them; riposte triage test runs them"`
}

type stormText struct {
	Storm    string        `yaml:"storm,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"its name, as it stands beside each alert that it folds"`
	Why      string        `yaml:"why,required" min:"1" doc:"why it is so; people see it"`
	When     string        `yaml:"when" doc:"a condition: which alerts are counted; default: all"`
	By       any           `yaml:"by" doc:"what alerts of one storm share: words (source, rule, host …) or expressions; default: source"`
	MoreThan int           `yaml:"more_than,required" min:"10" doc:"alerts a minute; one more is a storm"`
	Quiet    time.Duration `yaml:"quiet" doc:"how long the rate must be no higher until it is over; default 5m"`
	Spare    *int          `yaml:"spare" min:"0" doc:"alerts a minute that are let through because their kind is rare in the storm; default 30"`
	Case     caseTemplate  `yaml:"case" doc:"the case that is opened"`
}

type maintenanceText struct {
	Maintenance string       `yaml:"maintenance,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"its name"`
	Why         string       `yaml:"why,required" min:"1" doc:"what is done then, and by whom"`
	Covers      string       `yaml:"covers,required" min:"1" doc:"a condition: which alerts are expected"`
	Once        []spanText   `yaml:"once" doc:"windows with a date"`
	Weekly      []weeklyText `yaml:"weekly" doc:"windows that come every week"`
	Then        string       `yaml:"then" enum:"drop,keep" doc:"drop (default), or keep: it stays for people and no playbook starts"`
}

type spanText struct {
	From  string `yaml:"from" doc:"the first moment: 2026-11-24, 2026-11-24 22:00 in the file's zone, or RFC 3339"`
	Until string `yaml:"until" doc:"the end: a day counts as a whole, a time is no longer part of it"`
}

type weeklyText struct {
	Days  []string `yaml:"days,required" min:"1" enum:"monday,tuesday,wednesday,thursday,friday,saturday,sunday" doc:"the days on which it begins"`
	From  string   `yaml:"from,required" pattern:"([01][0-9]|2[0-3]):[0-5][0-9]" doc:"22:00"`
	Until string   `yaml:"until,required" pattern:"([01][0-9]|2[0-3]):[0-5][0-9]|24:00" doc:"04:00; earlier than from, it is the next day"`
	Zone  string   `yaml:"zone" doc:"the time zone of the hours; default: the file's"`
}

type ruleText struct {
	Rule      string         `yaml:"rule,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"its name, as it stands beside each alert that it decided"`
	Title     string         `yaml:"title" doc:"one line for people"`
	Why       string         `yaml:"why,required" min:"1" doc:"why it is so; people see it"`
	When      string         `yaml:"when" doc:"a condition over alert, source and seen; default: every alert"`
	Valid     *spanText      `yaml:"valid" doc:"from when until when the rule holds"`
	Threshold *thresholdText `yaml:"threshold" doc:"it holds only from the so-and-so-many-th alert on"`
	Severity  any            `yaml:"severity" doc:"raise, lower, or the severity that it gets"`
	Category  string         `yaml:"category" doc:"the category that it gets"`
	Tags      []string       `yaml:"tags" doc:"tags that it gets"`
	Start     any            `yaml:"start" doc:"playbooks that start, unless the alert is dropped or folded later"`
	Then      string         `yaml:"then" enum:"keep,drop" doc:"keep: it stays new, for people and playbooks. drop: it is noise"`
	Fold      *keyedText     `yaml:"fold" doc:"it is one more of an open alert with the same key, if there is one"`
	Attach    *keyedText     `yaml:"attach" doc:"it belongs to the open case with the same key, if there is one"`
	Case      *caseTemplate  `yaml:"case" doc:"open a case for it, or attach it to the open one with the same key"`
}

type thresholdText struct {
	Count  int           `yaml:"count,required" min:"2" doc:"from this alert on"`
	Within time.Duration `yaml:"within,required" doc:"counting back from each"`
	By     any           `yaml:"by" doc:"what they share; default: nothing, all are counted together"`
}

type keyedText struct {
	Within time.Duration `yaml:"within" doc:"fold: since the open alert came, default 1h. attach: since the case changed, default 24h"`
	By     any           `yaml:"by" doc:"what they share; default: group. Where a part of it is nil, the rule does not hold"`
}

// caseTemplate is what a case is made of; texts may hold expressions over alert.
type caseTemplate struct {
	Template    string         `yaml:"template" doc:"a template of this file that this one adds to"`
	Title       string         `yaml:"title" doc:"default: the alert's title"`
	Description string         `yaml:"description" doc:"default: none"`
	Severity    any            `yaml:"severity" doc:"default: the alert's"`
	Category    string         `yaml:"category" doc:"default: the alert's"`
	Owner       string         `yaml:"owner" doc:"who works on it; default: nobody yet"`
	TLP         string         `yaml:"tlp" enum:"clear,green,amber,amber+strict,red" doc:"whom its content may be told"`
	PAP         string         `yaml:"pap" enum:"clear,green,amber,red" doc:"what may be done with its content"`
	Tags        []string       `yaml:"tags" doc:"default: the alert's"`
	Tasks       []taskTemplate `yaml:"tasks" doc:"what people have to do"`
	By          any            `yaml:"by" doc:"what alerts share that belong to it; default: group"`
	Within      time.Duration  `yaml:"within" doc:"how long an open case that changes no more takes further alerts in; default 24h"`
}

type taskTemplate struct {
	Title    string `yaml:"title,required" min:"1" doc:"what is to be done"`
	Text     string `yaml:"text" doc:"how"`
	Assignee string `yaml:"assignee" doc:"a person, group:…, role:… or on-call:…"`
}

type routeText struct {
	Route     string         `yaml:"route,required" pattern:"[a-z][a-z0-9-]{1,62}" doc:"its name"`
	RuleID    any            `yaml:"rule_id" doc:"the product's rule: one or a list, * stands for anything"`
	Tag       any            `yaml:"tag" doc:"a tag that it has: one or a list"`
	Technique any            `yaml:"technique" doc:"a MITRE ATT&CK ID, with its sub-techniques: one or a list"`
	Product   any            `yaml:"product" doc:"the mapping that read it, or what the event calls its product: one or a list, * stands for anything"`
	Source    any            `yaml:"source" doc:"the source that it came by: one or a list, * stands for anything"`
	Category  any            `yaml:"category" doc:"one or a list"`
	Severity  any            `yaml:"severity" doc:"at least this"`
	When      string         `yaml:"when" doc:"a condition beyond these"`
	Start     any            `yaml:"start,required" doc:"the playbooks: one or a list"`
	With      map[string]any `yaml:"with" doc:"inputs, with expressions over alert; others are filled by name"`
}

type testText struct {
	Test   string       `yaml:"test,required" min:"1" doc:"a sentence"`
	At     string       `yaml:"at" doc:"when the alert comes, RFC 3339; default 2026-01-05T12:00:00Z, a Monday"`
	Before []beforeText `yaml:"before" doc:"alerts that came before, oldest first"`
	Alert  any          `yaml:"alert,required" doc:"the alert: source, title, severity, group, host, src_ip, rule_id, fields …"`
	Times  int          `yaml:"times" min:"1" doc:"so many of it come at once; what is expected is of the last"`
	Expect expectText   `yaml:"expect,required" doc:"what must become of it"`
}

type beforeText struct {
	Ago   time.Duration `yaml:"ago,required" doc:"before the alert of the test"`
	Alert any           `yaml:"alert,required" doc:"as below"`
	Times int           `yaml:"times" min:"1" doc:"so many of it"`
}

type expectText struct {
	Status   string    `yaml:"status" enum:"new,folded,in_case,dropped" doc:"how it ends"`
	Rule     *string   `yaml:"rule" doc:"what decided, \"\" for none"`
	Severity any       `yaml:"severity" doc:"what it has then"`
	Category *string   `yaml:"category" doc:"likewise"`
	Tags     *[]string `yaml:"tags" doc:"likewise, in any order"`
	Starts   *[]string `yaml:"starts" doc:"the playbooks that rules and routes start, in any order"`
	Triggers *bool     `yaml:"triggers" doc:"whether playbooks' own triggers are asked"`
	Cases    *int      `yaml:"cases" doc:"how many cases were opened, with those before"`
	Case     *string   `yaml:"case" doc:"the title of the case that it is in"`
	Storm    *bool     `yaml:"storm" doc:"whether a storm goes on"`
	Problems *int      `yaml:"problems" doc:"how many rules could not be worked out"`
}
