package playbook

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"riposte/internal/fault"
)

// MaxDuration bounds every duration in a playbook.
const MaxDuration = 36_500 * 24 * time.Hour

var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// ParseDuration reads a duration as playbooks write it: a whole number, then s,
// m, h or d.
func ParseDuration(text string) (time.Duration, error) {
	n, unit, err := countAndUnit(text, "")
	if err != nil {
		return 0, fmt.Errorf("duration %q: expected a whole number, then s, m, h or d, such as 30s: %w", text, fault.Invalid)
	}
	if n > int(MaxDuration/unit) {
		return 0, fmt.Errorf("duration %q: longer than 36500d: %w", text, fault.Invalid)
	}
	return time.Duration(n) * unit, nil
}

// FormatDuration writes a duration as playbooks do, in the largest unit that
// keeps it exact; what is finer than a second is dropped.
func FormatDuration(d time.Duration) string {
	for _, u := range "dhm" {
		if unit := units[byte(u)]; d >= unit && d%unit == 0 {
			return strconv.FormatInt(int64(d/unit), 10) + string(u)
		}
	}
	return strconv.FormatInt(int64(d/time.Second), 10) + "s"
}

// ParseRate reads a rate such as 30/m.
func ParseRate(text string) (Rate, error) {
	n, unit, err := countAndUnit(text, "/")
	if err != nil || n < 1 {
		return Rate{}, fmt.Errorf("rate %q: expected a whole number from 1, a slash, then s, m, h or d, such as 30/m: %w", text, fault.Invalid)
	}
	return Rate{Times: n, Per: unit}, nil
}

func countAndUnit(text, between string) (int, time.Duration, error) {
	if len(text) < 2+len(between) {
		return 0, 0, fault.Invalid
	}
	unit, ok := units[text[len(text)-1]]
	digits, found := strings.CutSuffix(text[:len(text)-1], between)
	if !ok || !found || strings.Trim(digits, "0123456789") != "" {
		return 0, 0, fault.Invalid
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0, 0, fault.Invalid
	}
	return n, unit, nil
}
