// Package rehearse runs the tests that a playbook carries: without connectors,
// in virtual time, against mocked answers. It says what did not come true and
// which branches no test went through.
package rehearse

import (
	"fmt"
	"sort"
	"time"

	"riposte/playbook"
)

// Report is what the tests of one playbook showed.
type Report struct {
	Playbook string   `json:"playbook"`
	File     string   `json:"file"`
	Tests    []Result `json:"tests"`
	Coverage Coverage `json:"coverage"`
}

// Passed tells whether all tests passed.
func (r Report) Passed() bool {
	for _, t := range r.Tests {
		if len(t.Problems) > 0 {
			return false
		}
	}
	return true
}

// Result is one test. It passed when it has no problems.
type Result struct {
	Name     string        `json:"name"`
	Line     int           `json:"line"`
	Problems []Problem     `json:"problems,omitempty"`
	Status   string        `json:"status"`  // of the run
	Virtual  time.Duration `json:"virtual"` // time that passed in the run
}

// Problem is one thing that did not come true.
type Problem struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

// Coverage counts the branches that the tests went through.
type Coverage struct {
	Taken   int      `json:"taken"`
	Total   int      `json:"total"`
	Missing []Branch `json:"missing,omitempty"` // by line
}

// Percent is the share of branches taken, 100 where there is none to take.
func (c Coverage) Percent() float64 {
	if c.Total == 0 {
		return 100
	}
	return 100 * float64(c.Taken) / float64(c.Total)
}

// Branch is one way that a run may go.
type Branch struct {
	Line int    `json:"line"`
	Step string `json:"step"` // "playbook" for that of the whole
	Way  string `json:"way"`  // then, else, case …, done, skipped, on_error
}

func (b Branch) String() string { return fmt.Sprintf("line %d: %s of %s", b.Line, b.Way, b.Step) }

// All runs all tests of a playbook.
func All(p *playbook.Plan, file string, tests []*playbook.Test) Report {
	r := Report{Playbook: p.ID, File: file}
	cover := newCover(p)
	for _, t := range tests {
		r.Tests = append(r.Tests, one(p, t, cover))
	}
	r.Coverage = cover.report()
	return r
}

// cover collects the branches taken.
type cover struct {
	plan  *playbook.Plan
	ways  []Branch
	index map[wayKey]int
	taken map[wayKey]bool
}

type wayKey struct {
	node playbook.NodeID
	way  string
}

func newCover(p *playbook.Plan) *cover {
	c := &cover{plan: p, index: map[wayKey]int{}, taken: map[wayKey]bool{}}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.When != nil {
			c.way(n, "done")
			c.way(n, "skipped")
		}
		switch n.Verb {
		case playbook.If:
			c.way(n, "then")
			c.way(n, "else")
		case playbook.Switch:
			for _, k := range n.Switch.Cases {
				c.way(n, "case "+k.Text)
			}
			c.way(n, "else")
		default: // nothing to do for the others
		}
		if n.OnError != nil && n.OnError.Kind == playbook.Steps {
			c.way(n, "on_error")
		}
	}
	if h := p.OnError; h != nil && h.Kind == playbook.Steps && len(h.Do) > 0 {
		c.add(playbook.NoNode, Branch{Line: p.Nodes[h.Do[0]].Line, Step: "playbook", Way: "on_error"})
	}
	return c
}

func (c *cover) way(n *playbook.Node, way string) {
	c.add(n.ID, Branch{Line: n.Line, Step: playbook.Label(n), Way: way})
}

func (c *cover) add(id playbook.NodeID, b Branch) {
	c.index[wayKey{id, b.Way}] = len(c.ways)
	c.ways = append(c.ways, b)
}

func (c *cover) take(id playbook.NodeID, way string) { c.taken[wayKey{id, way}] = true }

func (c *cover) report() Coverage {
	out := Coverage{Total: len(c.ways)}
	for k, i := range c.index {
		if c.taken[k] {
			out.Taken++
			continue
		}
		out.Missing = append(out.Missing, c.ways[i])
	}
	sort.Slice(out.Missing, func(i, j int) bool {
		a, b := out.Missing[i], out.Missing[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Way < b.Way
	})
	return out
}
