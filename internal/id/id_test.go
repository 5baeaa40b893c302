package id

import (
	"errors"
	"testing"

	"riposte/internal/fault"
)

func TestFormatAndParseAgree(t *testing.T) {
	for _, n := range []int64{0, 1, 42, 88213} {
		got, err := Parse("R", Format("R", n))
		if err != nil || got != n {
			t.Errorf("Parse(Format(%d)) = %d, %v", n, got, err)
		}
	}
}

func TestParseRefusesOtherForms(t *testing.T) {
	for _, s := range []string{"R-", "R-0", "R-01", "R-+1", "A-1", "R1", "R-1x", "R--1", "r-1"} {
		if _, err := Parse("R", s); !errors.Is(err, fault.Invalid) {
			t.Errorf("Parse(%q) gave %v, want fault.Invalid", s, err)
		}
	}
}
