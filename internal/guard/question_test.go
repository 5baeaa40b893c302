package guard

import (
	"errors"
	"slices"
	"testing"

	"riposte/internal/fault"
	"riposte/internal/run"
)

// voter is somebody with these names: user, roles, groups.
func voter(names ...string) Voter {
	return Voter{Name: names[0], Is: func(people []string) bool {
		return slices.ContainsFunc(people, func(who string) bool { return slices.Contains(names, who) })
	}}
}

func twoQuorums() run.Question {
	return run.Question{Kind: run.ForApproval, Asks: []run.Quorum{
		{People: []string{"role:analyst"}, Need: 1, Source: "file"},
		{People: []string{"role:soc-lead", "ana"}, Need: 2, Source: "policy"},
	}}
}

func TestWhoMayAnswer(t *testing.T) {
	t.Parallel()
	not := twoQuorums()
	not.NotAuthor = true
	tests := []struct {
		name    string
		q       run.Question
		author  string
		answers []run.Answer
		v       Voter
		want    []int
		kind    error
	}{
		{"an analyst counts for the file's quorum", twoQuorums(), "", nil, voter("cho", "role:analyst"), []int{0}, nil},
		{"a lead is an analyst, too, and counts for both", twoQuorums(), "", nil, voter("lee", "role:soc-lead", "role:analyst"), []int{0, 1}, nil},
		{"a person named counts", twoQuorums(), "", nil, voter("ana"), []int{1}, nil},
		{"somebody else does not", twoQuorums(), "", nil, voter("max", "role:viewer"), nil, fault.Denied},
		{"nobody does not", twoQuorums(), "", nil, voter(""), nil, fault.Denied},
		{"nobody twice", twoQuorums(), "", []run.Answer{{By: "ana"}}, voter("ana"), nil, fault.Conflict},
		{"the author may, where nothing is said", twoQuorums(), "ana", nil, voter("ana"), []int{1}, nil},
		{"the author may not, where the policy says so", not, "ana", nil, voter("ana"), nil, fault.Denied},
		{"nor for the file's quorum", not, "lee", nil, voter("lee", "role:analyst"), nil, fault.Denied},
		{"others may", not, "ana", nil, voter("lee", "role:soc-lead"), []int{1}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Eligible(tt.q, tt.author, tt.answers, tt.v)
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.kind) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestWhenAnApprovalIsDecided(t *testing.T) {
	t.Parallel()
	yes := func(by string, quorums ...int) run.Answer { return run.Answer{By: by, Yes: true, Quorums: quorums} }
	no := run.Answer{By: "max", Quorums: []int{0}}
	tests := []struct {
		name      string
		answers   []run.Answer
		done, yes bool
	}{
		{"nobody has answered", nil, false, false},
		{"one quorum is met", []run.Answer{yes("cho", 0)}, false, false},
		{"one of two is not two", []run.Answer{yes("lee", 0, 1)}, false, false},
		{"both are met", []run.Answer{yes("lee", 0, 1), yes("ana", 1)}, true, true},
		{"the same person twice is one", []run.Answer{yes("lee", 0, 1), yes("lee", 1)}, false, false},
		{"one no is a no", []run.Answer{yes("lee", 0, 1), no}, true, false},
		{"a quorum that is not there does not count", []run.Answer{yes("lee", 0, 1, 7), yes("ana", -1)}, false, false},
	}
	for _, tt := range tests {
		standing, done, ok := Tally(twoQuorums(), tt.answers)
		if done != tt.done || ok != tt.yes || len(standing) != 2 {
			t.Errorf("%s: done %v, yes %v", tt.name, done, ok)
		}
	}
}

func TestApprovalsForTheSamePeopleShareACard(t *testing.T) {
	t.Parallel()
	a, b := twoQuorums(), twoQuorums()
	b.Asks[0], b.Asks[1] = b.Asks[1], b.Asks[0]
	b.Asks[0].People = []string{"ana", "role:soc-lead"}
	if Card(7, a) == "" || Card(7, a) != Card(7, b) {
		t.Errorf("%q and %q", Card(7, a), Card(7, b))
	}
	if Card(7, a) == Card(8, a) {
		t.Error("another run shares the card")
	}
	b.NotAuthor = true
	if Card(7, a) == Card(7, b) {
		t.Error("others may answer, and yet they share the card")
	}
	a.Kind = run.ForAnswer
	if Card(7, a) != "" {
		t.Error("a question has a card with others")
	}
}
