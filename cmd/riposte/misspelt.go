package main

import (
	"regexp"
	"slices"
	"strings"

	"riposte/internal/app"
	"riposte/internal/strictyaml"
)

// ours are the variables that are read besides those of settings; the last ones
// are for the tests of Riposte itself.
var ours = []string{
	"RIPOSTE_CONFIG", "RIPOSTE_URL", "RIPOSTE_TOKEN", "RIPOSTE_CA",
	"RIPOSTE_SHARED", "RIPOSTE_LAB", "RIPOSTE_LONG", "RIPOSTE_TEST_AS_PROGRAM",
}

// ofCluster are the variables that Kubernetes sets where a service is called
// riposte.
var ofCluster = regexp.MustCompile(`^RIPOSTE_(SERVICE_(HOST|PORT)|PORT)(_.*)?$`)

// misspelt refuses a variable that is almost the name of a setting: it would be
// ignored, and the server would start with another database or port than was
// meant.
func (s *settings) misspelt(environ []string) error {
	known := slices.Clone(ours)
	for _, v := range s.all(&app.Config{}) {
		known = append(known, variable(v.name))
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, "RIPOSTE") || slices.Contains(known, name) || ofCluster.MatchString(name) {
			continue
		}
		if meant := strictyaml.Nearest(upper, known); meant != "" {
			return misusef("%s in the environment is no setting; did you mean %s?", name, meant)
		}
	}
	return nil
}

// variable is the name of a setting in the environment.
func variable(setting string) string {
	return "RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}
