package app

import (
	"fmt"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// defaultMappings read what comes by a road of ours, where the configuration
// names no other. "" is found out later.
var defaultMappings = map[string]string{"imap": "mail", "schedule": "schedule", "pull": ""}

// keyProblems finds keys that belong to another type of source: what a key is
// for stands in its documentation, "TYPE: …" or "TYPE, TYPE: …".
func (s *SourceConfig) keyProblems(t *troubles, name string) {
	v := reflect.ValueOf(*s)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		types, _, found := strings.Cut(f.Tag.Get("doc"), ": ")
		if !found || !typesOfKey.MatchString(types) || v.Field(i).IsZero() {
			continue
		}
		own := strings.Split(types, ", ")
		if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "type" && !slices.Contains(own, s.Type) {
			t.add("remove it, or make the type "+strings.Join(own, " or "), fmt.Sprintf("%s means nothing for a source of type %s", key, s.Type), "sources", name, key)
		}
	}
	if _, none := defaultMappings[s.Type]; !none && len(s.Mapping) == 0 && s.Preset == "" {
		t.add("name the one that reads its events, such as generic-json", "the source has no mapping", "sources", name)
	}
}

var typesOfKey = regexp.MustCompile(`^[a-z]+(, [a-z]+)*$`)

// signInProblems looks at user and password.
func (s *SourceConfig) signInProblems(t *troubles, name string) {
	given := 0
	for _, v := range []string{s.PasswordFile, s.PasswordSecret} {
		if v != "" {
			given++
		}
	}
	switch {
	case given > 1:
		t.add("give one of them", "password_file and password_secret say the same", "sources", name)
	case s.User != "" && given == 0:
		t.add("give password_file or password_secret", "nothing says the password of the user", "sources", name)
	case s.User == "" && given > 0:
		t.add("add user:", "there is a password, but no user", "sources", name)
	}
}

func (s *SourceConfig) mailProblems(t *troubles, name string) {
	if s.Host == "" {
		t.add("add host: with its name", "an imap source needs a mail server", "sources", name)
	}
	if s.User == "" {
		t.add("add user:, and password_file: or password_secret:", "an imap source needs somebody who signs in", "sources", name)
	}
	s.signInProblems(t, name)
	if s.Port > 65535 {
		t.add("expected 1 to 65535", fmt.Sprintf("%d is not a port", s.Port), "sources", name, "port")
	}
	switch {
	case s.After == "move" && s.MoveTo == "":
		t.add("add move_to: with a folder", "nothing says where mails are moved to", "sources", name)
	case s.After != "move" && s.MoveTo != "":
		t.add("add after: move, or remove it", "mails are not moved", "sources", name, "move_to")
	case s.After == "move" && s.MoveTo == s.Mailbox:
		t.add("name another folder", "mails would be moved to where they are", "sources", name, "move_to")
	}
}

func (s *SourceConfig) kafkaProblems(t *troubles, name string) {
	if len(s.Brokers) == 0 {
		t.add("add brokers: with HOST:PORT of one at least", "a kafka source needs brokers", "sources", name)
	}
	for i, b := range s.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			t.add("expected HOST:PORT, such as kafka.example.org:9093", fmt.Sprintf("%q is no address", b), "sources", name, "brokers", i)
		}
	}
	if len(s.Topics) == 0 {
		t.add("add topics: with one at least", "a kafka source needs topics", "sources", name)
	}
	if s.Security == "starttls" {
		t.add("expected tls or plain", "Kafka knows no starttls", "sources", name, "security")
	}
	if s.SASL != "" && s.User == "" {
		t.add("add user:, and password_file: or password_secret:", "sasl needs somebody who signs in", "sources", name, "sasl")
	}
	s.signInProblems(t, name)
}

func (s *SourceConfig) scheduleProblems(t *troubles, name string) {
	if (s.Cron == "") == (s.Every == 0) {
		t.add("give one of cron and every", "nothing says when, or two things do", "sources", name)
		return
	}
	if s.Every != 0 && s.Every < time.Second {
		t.add("expected a duration such as 1h", "it would never rest", "sources", name, "every")
	}
	if s.Zone != "" && s.Cron == "" {
		t.add("remove it, or give cron", "zone means nothing without cron", "sources", name, "zone")
	}
	if s.Cron == "" {
		return
	}
	if _, err := cronTimes(s.Cron, s.Zone); err != nil {
		t.add(`expected five fields, such as "0 6 * * 1-5", and a zone such as Europe/Berlin`, err.Error(), "sources", name, "cron")
	}
}
