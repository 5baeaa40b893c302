// Package id writes and reads the short typed identifiers that people see and
// paste: a letter code, a hyphen and a number, such as R-88213 for a run. The
// number grows with time and is what the database stores and sorts by.
package id

import (
	"fmt"
	"strconv"
	"strings"

	"riposte/internal/fault"
)

// Format writes n with its letter code, "" for zero: an absent record.
func Format(code string, n int64) string {
	if n == 0 {
		return ""
	}
	return code + "-" + strconv.FormatInt(n, 10)
}

// Parse reads what Format wrote. It returns fault.Invalid for anything else;
// the empty text is the zero ID.
func Parse(code, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(s, code+"-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n <= 0 || digits[0] == '+' || digits[0] == '0' {
		return 0, fmt.Errorf("%q is not an ID of the form %s-123: %w", s, code, fault.Invalid)
	}
	return n, nil
}
