package main

import (
	"strings"

	"riposte/internal/httpapi"
)

type peopleCmd struct {
	List peopleListCmd `cmd:"" help:"List people, with their roles and what they are on call for."`
}

type peopleListCmd struct{}

// Examples leads the command's help.
func (*peopleListCmd) Examples() string { return "riposte people list\nriposte people list --json" }

// Run lists people.
func (*peopleListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	l, err := fetch[httpapi.List[httpapi.Person]](s, "/api/people", nil)
	if err != nil {
		return err
	}
	return printList(w, l.Items, "nobody", []string{"name", "title", "roles", "groups", "on call", "comes by"}, func(p httpapi.Person) []string {
		by := "token"
		switch {
		case p.Disabled:
			by = "nothing: disabled"
		case p.Password:
			by = "password, token"
		}
		return []string{p.Name, p.Title, strings.Join(p.Roles, " "), strings.Join(p.Groups, " "), strings.Join(p.OnCall, " "), by}
	})
}
