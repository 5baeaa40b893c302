package httpapi

import (
	"context"

	"riposte/internal/auth"
)

// People are those who may come in.
type People interface {
	// People lists them by name.
	People(ctx context.Context, who auth.Caller) ([]Person, error)
}

// Person is somebody who may come in. They are kept in the configuration.
type Person struct {
	Name     string   `json:"name"`
	Title    string   `json:"title,omitempty"`
	Roles    []string `json:"roles" nullable:"false" doc:"Those that they have, by themselves and by their groups."`
	Groups   []string `json:"groups,omitempty"`
	OnCall   []string `json:"on_call,omitempty" doc:"What they are on call for now."`
	Password bool     `json:"password" doc:"They can sign in; without a password they come by token only."`
	Disabled bool     `json:"disabled,omitempty" doc:"Nobody comes in by this name any more."`
}

type peopleAnswer struct {
	Items []Person `json:"items" nullable:"false"`
}

func (a *api) peopleRoutes() {
	add(a, auth.PeopleRead, op("identity", get, "/api/people", "list-people", "List people, with their roles and what they are on call for"),
		func(ctx context.Context, in *whoInput) (*Body[peopleAnswer], error) {
			l, err := a.People.People(ctx, in.caller)
			return body(peopleAnswer{orEmpty(l)}, err)
		})
}
