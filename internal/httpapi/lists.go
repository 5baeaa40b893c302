package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Lists are tables of the installation: own domains, VIPs, seen before.
type Lists interface {
	// Lists tells what lists there are, by name.
	Lists(ctx context.Context, who auth.Caller) ([]ListInfo, error)
	// Entries lists what is in one, by value: fault.NotFound.
	ListEntries(ctx context.Context, who auth.Caller, list string, p Page) (Found[ListEntry], error)
	// Import puts entries into a list, which is made if it is not there; replace
	// takes out all others.
	Import(ctx context.Context, who auth.Caller, list string, entries []ListEntry, replace bool) (Imported, error)
	// Remove takes values out and tells how many were there.
	Remove(ctx context.Context, who auth.Caller, list string, values []string) (int, error)
}

// ListInfo is a list.
type ListInfo struct {
	Name    string `json:"name" example:"own-domains"`
	Entries int    `json:"entries"`
}

// ListEntry is a value in a list.
type ListEntry struct {
	Value   string    `json:"value" minLength:"1" maxLength:"2048"`
	Note    string    `json:"note,omitempty" maxLength:"1000"`
	Expires time.Time `json:"expires,omitzero" doc:"When it leaves the list by itself; absent: never."`
	Added   time.Time `json:"added,omitzero" readOnly:"true"`
	By      string    `json:"by,omitempty" readOnly:"true"`
}

// Imported says what an import did.
type Imported struct {
	Added   int `json:"added"`
	Kept    int `json:"kept" doc:"They were there already."`
	Removed int `json:"removed"`
}

type listsAnswer struct {
	Items []ListInfo `json:"items" nullable:"false"`
}

type listEntriesInput struct {
	Who
	Paged
	Name string `path:"name" maxLength:"64"`
}

// ListName is embedded in the input of every operation that writes a list.
type ListName struct {
	Name string `path:"name" maxLength:"64" pattern:"^[a-z][a-z0-9_-]{0,62}$" patternDescription:"a name such as own-domains: a small letter, then up to 62 small letters, digits, hyphens or underscores"`
}

type importInput struct {
	Who
	ListName
	Body struct {
		Entries []ListEntry `json:"entries" maxItems:"200000" nullable:"false"`
		Replace bool        `json:"replace,omitempty" doc:"Take out all others."`
	}
}

type removeInput struct {
	Who
	ListName
	Body struct {
		Values []string `json:"values" minItems:"1" maxItems:"200000" nullable:"false"`
	}
}

type removedAnswer struct {
	Removed int `json:"removed"`
}

type whoInput struct{ Who }

func (a *api) listRoutes() {
	add(a, auth.ListsRead, op("lists", get, "/api/lists", "list-lists", "Tell what lists there are"),
		func(ctx context.Context, in *whoInput) (*Body[listsAnswer], error) {
			l, err := a.Lists.Lists(ctx, in.caller)
			return body(listsAnswer{orEmpty(l)}, err)
		})
	add(a, auth.ListsRead, op("lists", get, "/api/lists/{name}", "get-list", "List what is in a list, by value"),
		func(ctx context.Context, in *listEntriesInput) (*Listed[ListEntry], error) {
			return listed(a.Lists.ListEntries(ctx, in.caller, in.Name, in.page()))
		})
	add(a, auth.ListsWrite, largeBody(op("lists", post, "/api/lists/{name}/import", "import-list", "Put values into a list, all or none")),
		func(ctx context.Context, in *importInput) (*Body[Imported], error) {
			for i, e := range in.Body.Entries {
				if !e.Expires.IsZero() && !e.Expires.After(a.Now()) {
					return nil, WrongField(pointerTo("entries", i, "expires"), "it is over already")
				}
			}
			return body(a.Lists.Import(ctx, in.caller, in.Name, in.Body.Entries, in.Body.Replace))
		})
	add(a, auth.ListsWrite, largeBody(op("lists", post, "/api/lists/{name}/remove", "remove-from-list", "Take values out of a list")),
		func(ctx context.Context, in *removeInput) (*Body[removedAnswer], error) {
			n, err := a.Lists.Remove(ctx, in.caller, in.Name, in.Body.Values)
			return body(removedAnswer{n}, err)
		})
}
