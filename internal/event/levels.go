package event

// levels are the words for how bad something is, as devices write them, from 1
// informational to 5 critical.
var levels = map[string]int{
	"emerg": 5, "emergency": 5, "panic": 5, "crit": 5, "critical": 5, "severe": 5, "very-high": 5, "very high": 5, "alert": 5,
	"high": 4, "fatal": 4, "major": 4, "err": 3, "error": 3, "failure": 3,
	"medium": 3, "med": 3, "moderate": 3, "warning": 3, "warn": 3,
	"low": 2, "minor": 2, "notice": 2,
	"info": 1, "information": 1, "informational": 1, "debug": 1, "trace": 1, "verbose": 1, "normal": 1, "none": 1, "ok": 1,
}
