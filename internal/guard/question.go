package guard

import (
	"fmt"
	"slices"
	"strings"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// Voter is who wants to answer a question.
type Voter struct {
	Name string
	// Is tells whether any of the references (user names, group:…, role:…,
	// on-call:…) names the voter now.
	Is func(people []string) bool
}

// Eligible tells for which quorums of a question somebody may answer. author is
// who started the run, or the outermost run above it. It returns fault.Denied
// where the answer is not for them to give, and fault.Conflict where they have
// given it already.
func Eligible(q run.Question, author string, answers []run.Answer, v Voter) ([]int, error) {
	var quorums []int
	for i, ask := range q.Asks {
		if v.Name != "" && v.Is(ask.People) {
			quorums = append(quorums, i)
		}
	}
	switch {
	case len(quorums) == 0:
		return nil, fmt.Errorf("%s is not asked; asked are %s: %w", orNobody(v.Name), strings.Join(Asked(q), ", "), fault.Denied)
	case q.NotAuthor && v.Name == author:
		return nil, fmt.Errorf("%s started the run and may not approve it, says the policy: %w", v.Name, fault.Denied)
	case slices.ContainsFunc(answers, func(a run.Answer) bool { return a.By == v.Name }):
		return nil, fmt.Errorf("%s has answered already: %w", v.Name, fault.Conflict)
	}
	return quorums, nil
}

func orNobody(name string) string {
	if name == "" {
		return "nobody in particular"
	}
	return name
}

// Asked lists everybody that a question asks, each once.
func Asked(q run.Question) []string {
	var all []string
	for _, ask := range q.Asks {
		for _, who := range ask.People {
			if !slices.Contains(all, who) {
				all = append(all, who)
			}
		}
	}
	return all
}

// Standing is how far a quorum has come.
type Standing struct {
	run.Quorum
	Have []string `json:"have"` // who agreed
}

// Tally counts the answers to an approval: done is true when it is decided, and
// yes how. Every quorum must be met, and one no is a no. A person counts once for
// each quorum that they are in.
func Tally(q run.Question, answers []run.Answer) (standing []Standing, done, yes bool) {
	standing = make([]Standing, len(q.Asks))
	for i, ask := range q.Asks {
		standing[i] = Standing{Quorum: ask, Have: []string{}}
	}
	for _, a := range answers {
		if !a.Yes {
			return standing, true, false
		}
		for _, i := range a.Quorums {
			if i >= 0 && i < len(standing) && !slices.Contains(standing[i].Have, a.By) {
				standing[i].Have = append(standing[i].Have, a.By)
			}
		}
	}
	for _, s := range standing {
		if len(s.Have) < max(s.Need, 1) {
			return standing, false, false
		}
	}
	return standing, true, true
}

// Card names the card that an approval is shown on: approvals of one run that
// wait at the same time for the same people share one. "" is a card of its own.
func Card(id run.ID, q run.Question) string {
	if q.Kind != run.ForApproval {
		return ""
	}
	parts := make([]string, len(q.Asks))
	for i, ask := range q.Asks {
		people := slices.Sorted(slices.Values(ask.People))
		parts[i] = fmt.Sprintf("%d of %s for %s", max(ask.Need, 1), strings.Join(people, ","), ask.Source)
	}
	slices.Sort(parts)
	return fmt.Sprintf("%s: %s, veto %v, not author %v", id, strings.Join(parts, "; "), q.Veto, q.NotAuthor)
}
