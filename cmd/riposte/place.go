package main

import (
	"errors"
	"fmt"

	"riposte/internal/strictyaml"
)

// place is an error in a file, as --json writes it.
type place struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Message  string `json:"message"`
	Expected string `json:"expected,omitempty"`
}

func (p place) String() string {
	s := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	if p.Expected != "" {
		s += "; " + p.Expected
	}
	return s
}

// places takes an error apart into what is wrong at which place; empty for an
// error that names none.
func places(err error) []place {
	var many strictyaml.Errors
	if errors.As(err, &many) {
		var all []place
		for _, e := range many {
			all = append(all, placeOf(e))
		}
		return all
	}
	var one *strictyaml.Error
	if errors.As(err, &one) {
		return []place{placeOf(one)}
	}
	return nil
}

func placeOf(e *strictyaml.Error) place {
	return place{File: e.File, Line: e.Pos.Line, Column: e.Pos.Column, Message: e.What, Expected: e.Expected}
}
