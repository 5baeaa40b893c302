package alert

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"riposte/internal/expr"
)

// severityWord is what the usual words, in small letters and without blanks,
// mean: those of people, of syslog, of logging libraries and of vendors.
func severityWord(word string) (int, bool) {
	switch word {
	case "informational", "information", "info", "inform", "notice", "none", "debug", "trace", "verbose", "undefined", "verylow", "negligible",
		"trivial", "success", "auditsuccess", "p5", "sev5", "s5", "log", "ok", "benign":
		return 1, true
	case "low", "minor", "p4", "sev4", "s4", "guarded", "green":
		return 2, true
	case "medium", "moderate", "warning", "warn", "med", "average", "elevated", "suspicious", "normal", "p3", "sev3", "s3", "auditfailure",
		"yellow", "amber":
		return 3, true
	case "high", "major", "error", "err", "important", "serious", "p2", "sev2", "s2", "orange", "malicious":
		return 4, true
	case "critical", "crit", "severe", "emergency", "emerg", "alert", "fatal", "panic", "urgent", "veryhigh", "disaster", "blocker", "extreme",
		"p1", "p0", "sev1", "sev0", "s1", "red":
		return 5, true
	case "unknown", "other", "notset", "unspecified", "":
		return 0, true
	}
	return 0, false
}

// Severity reads 1 to 5 or a usual word, in any case and also as products write
// their constants: HIGH, Very High, E_CRITICAL, SEVERITY_LOW. nil is 0, unknown.
func Severity(v any) (int, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case int:
		if v >= 0 && v <= 5 {
			return v, nil
		}
		return 0, fmt.Errorf("severity is %d; expected 1 (informational) to 5 (critical)", v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e9 {
			return Severity(int(v))
		}
		return 0, fmt.Errorf("severity is %g; expected a whole number", v)
	case string:
		if n, ok := severityText(v); ok {
			return n, nil
		}
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
			return Severity(n)
		}
		return 0, fmt.Errorf("severity %q is not known; expected informational, low, medium, high or critical", cut(v, 40))
	}
	return 0, fmt.Errorf("severity is %s; expected a number or a word", expr.Describe(v))
}

func severityText(s string) (int, bool) {
	if len(s) > 60 {
		return 0, false
	}
	word := strings.ToLower(strings.TrimSpace(s))
	if n, ok := severityWord(word); ok {
		return n, true
	}
	for _, prefix := range []string{"e_", "severity_", "severity-", "severity.", "level_", "priority_"} {
		word = strings.TrimPrefix(word, prefix)
	}
	return severityWord(strings.NewReplacer(" ", "", "_", "", "-", "").Replace(word))
}
