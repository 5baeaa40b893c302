package rehearse

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

// junitSuite has everything that the strictest of the schemas in use wants, in
// its order.
type junitSuite struct {
	ID         int             `xml:"id,attr"`
	Name       string          `xml:"name,attr"`
	Package    string          `xml:"package,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Host       string          `xml:"hostname,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out"`
	Err        string          `xml:"system-err"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// noTime stands for how long a test took: time in them is virtual.
const noTime = "0.000"

// JUnit writes reports in the XML form that CI servers read. at is when the
// tests ran.
func JUnit(reports []Report, at time.Time) ([]byte, error) {
	var all junitSuites
	for i, r := range reports {
		suite := junitSuite{
			ID: i, Name: r.Playbook, Package: r.Playbook, Timestamp: at.UTC().Format("2006-01-02T15:04:05"), Host: "localhost",
			Tests: len(r.Tests), Time: noTime,
			Properties: []junitProperty{
				{"file", r.File},
				{"branches", fmt.Sprint(r.Coverage.Total)},
				{"branches taken", fmt.Sprint(r.Coverage.Taken)},
			},
		}
		for _, t := range r.Tests {
			c := junitCase{Class: r.Playbook, Name: t.Name, Time: noTime}
			if len(t.Problems) > 0 {
				suite.Failures++
				c.Failure = &junitFailure{Type: "expectation", Message: t.Problems[0].Message, Text: problemLines(r.File, t.Problems)}
			}
			suite.Cases = append(suite.Cases, c)
		}
		all.Suites = append(all.Suites, suite)
	}
	b, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write JUnit: %w", err)
	}
	return append([]byte(xml.Header), append(b, '\n')...), nil
}

func problemLines(file string, problems []Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s:%d:%d: %s\n", file, p.Line, p.Column, p.Message)
	}
	return b.String()
}
