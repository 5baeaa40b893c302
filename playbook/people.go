package playbook

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

var (
	userForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]*$`)
	groupForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	sorts     = []string{"group", "role", "on-call"}
)

// malformed says what is wrong with a name of people, "" if nothing is.
func malformed(name string) string {
	sort, rest, prefixed := strings.Cut(name, ":")
	switch {
	case !prefixed && !userForm.MatchString(name):
		return fmt.Sprintf("%s is no name of people; expected a user, group:…, role:… or on-call:…", quoted(name))
	case prefixed && !slices.Contains(sorts, sort):
		return fmt.Sprintf("%s is no name of people%s", quoted(name), orSorts(sort))
	case prefixed && !groupForm.MatchString(rest):
		return fmt.Sprintf("%s is no name of people; expected a name after %s:", quoted(name), sort)
	}
	return ""
}

func orSorts(sort string) string {
	if best := nearest(sort, sorts); best != "" {
		return fmt.Sprintf("; did you mean %q?", best+":…")
	}
	return "; expected a user, group:…, role:… or on-call:…"
}

// reachable finds the people behind names that are literal. It reports names
// that nobody answers to; users is nil where it cannot be known.
func (c *checker) reachable(d Data, code string) (users map[string]bool, known bool) {
	if !d.Set() || d.node.kind == objectNode { // the decoder has refused a mapping
		return nil, false
	}
	users, known = map[string]bool{}, c.opt.People != nil
	leaves := d.node.leaves()
	var empty []string
	for _, leaf := range leaves {
		switch problem := malformed(leaf.text); {
		case !leaf.isText() || hasTemplate(leaf.text):
			known = false
		case problem != "":
			c.finding(leaf.at, code, "%s", problem)
			known = false
		case c.opt.People != nil:
			members, ok := c.opt.People(leaf.text)
			if !ok {
				c.finding(leaf.at, code, "there is no %s; %s", describePeople(leaf.text), reachHint(code))
				known = known && len(leaves) > 1
				continue
			}
			if len(members) == 0 {
				empty = append(empty, leaf.text)
			}
			for _, m := range members {
				users[m] = true
			}
		}
	}
	if known && len(users) == 0 && len(empty) > 0 {
		c.finding(d.Pos, code, "nobody is in %s; %s", allOf(empty), reachHint(code))
		known = false
	}
	return users, known
}

func reachHint(code string) string {
	if code == CodeNobodyAnswers {
		return "name people who can answer"
	}
	return "name people who can approve"
}

func describePeople(name string) string {
	if sort, rest, ok := strings.Cut(name, ":"); ok {
		return sort + " " + strconv.Quote(rest)
	}
	return "user " + strconv.Quote(name)
}

// canApprove reports an approval that nobody can give.
func (c *checker) canApprove(a *ApprovalText) {
	users, known := c.reachable(a.By, CodeNobodyApproves)
	needs := []int{1}
	if a.Need.Set() {
		needs = possible(a.Need.Value)
	}
	if len(needs) == 0 || c.broken {
		return
	}
	at := a.Pos
	if a.Need.Set() {
		at = a.Need.Pos
	}
	switch most, least := slices.Max(needs), slices.Min(needs); {
	case least < 1:
		c.finding(at, CodeNobodyApproves, "the approval needs %s people; it needs at least 1", NeedText(a.Need.Value))
	case known && len(users) > 0 && most > len(users):
		c.finding(at, CodeNobodyApproves, "the approval needs %s people and only %d can give it; ask more people or need fewer", NeedText(orOne(a.Need)), len(users))
	}
}

func orOne(t Text) string {
	if t.Set() {
		return t.Value
	}
	return "1"
}

// NeedText shows how many must approve: the number, or for an expression what
// it may give: "1 or 2". Where that is not known it is the expression itself.
func NeedText(need string) string {
	values := possible(need)
	if len(values) == 0 {
		return strings.TrimSpace(need)
	}
	slices.Sort(values)
	texts := make([]string, 0, len(values))
	for _, v := range slices.Compact(values) {
		texts = append(texts, strconv.Itoa(v))
	}
	return anyOf(texts)
}

// possible lists what an expression of literals and choices between them can
// give, nil where it is made of anything else.
func possible(source string) []int {
	tree, err := parser.Parse(source)
	if err != nil {
		return nil
	}
	return outcomes(tree.Node)
}

func outcomes(n ast.Node) []int {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return []int{n.Value}
	case *ast.UnaryNode:
		if i, ok := n.Node.(*ast.IntegerNode); ok && n.Operator == "-" {
			return []int{-i.Value}
		}
	case *ast.ConditionalNode:
		yes, no := outcomes(n.Exp1), outcomes(n.Exp2)
		if yes != nil && no != nil {
			return append(yes, no...)
		}
	}
	return nil
}
