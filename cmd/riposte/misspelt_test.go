package main

import (
	"strings"
	"testing"
)

func TestAMisspeltVariableIsRefused(t *testing.T) {
	t.Parallel()
	for entry, want := range map[string]string{
		"RIPOSTE_LISTN=:1":                "did you mean RIPOSTE_LISTEN?",
		"RIPOSTE_DATABSE=postgres://x":    "did you mean RIPOSTE_DATABASE?",
		"riposte_data=/x":                 "did you mean RIPOSTE_DATA?",
		"RIPOSTE_LOGLEVEL=debug":          "did you mean RIPOSTE_LOG_LEVEL?",
		"RIPOSTE_LISTEN=:1":               "",
		"RIPOSTE_PORT=tcp://10.0.0.1:80":  "",
		"RIPOSTE_SERVICE_PORT_HTTP=80":    "",
		"RIPOSTE_EDR_API_KEY_FOR_CONNECT": "",
		"PATH=/bin":                       "",
	} {
		err := (&settings{}).misspelt([]string{entry})
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}
