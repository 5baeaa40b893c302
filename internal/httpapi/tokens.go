package httpapi

import (
	"context"
	"time"

	"riposte/internal/auth"
)

// Tokens are API tokens.
type Tokens interface {
	// Tokens lists those of a person, by name.
	Tokens(ctx context.Context, who auth.Caller, owner string) ([]Token, error)
	// CreateToken makes one and gives its secret, once: fault.Conflict where the
	// owner has one of that name, fault.Invalid where it could do more than its
	// owner.
	CreateToken(ctx context.Context, who auth.Caller, n NewToken) (Token, string, error)
	RevokeToken(ctx context.Context, who auth.Caller, owner, name string) error
}

// Token is an API token without its secret.
type Token struct {
	Name    string    `json:"name"`
	Owner   string    `json:"owner"`
	Only    []string  `json:"only,omitempty" doc:"The permissions that it is held to; absent: all of its owner's."`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Revoked bool      `json:"revoked,omitempty"`
}

// NewToken is what a token is made from.
type NewToken struct {
	Name    string    `json:"name" pattern:"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$" patternDescription:"letters, digits, dots, hyphens and underscores"`
	Owner   string    `json:"owner,omitempty" maxLength:"64" doc:"Absent: yourself. For others you need people:write."`
	Only    []string  `json:"only,omitempty" maxItems:"64" doc:"Permissions to hold it to."`
	Expires time.Time `json:"expires,omitzero" doc:"Absent: never."`
}

type createdToken struct {
	Token
	Secret string `json:"secret" doc:"Send it as Authorization: Bearer. It is shown only now."`
}

type tokensAnswer struct {
	Items []Token `json:"items" nullable:"false"`
}

type listTokensInput struct {
	Who
	Owner string `query:"owner" maxLength:"64" doc:"Absent: yourself. For others you need people:read."`
}

type createTokenInput struct {
	Who
	Body NewToken
}

type revokeTokenInput struct {
	Who
	Name  string `path:"name" maxLength:"64"`
	Owner string `query:"owner" maxLength:"64" doc:"Absent: yourself. For others you need people:write."`
}

// ownerOf tells whose tokens are meant, and whether the caller may look after
// them.
func ownerOf(c auth.Caller, owner string, need auth.Permission) (string, error) {
	if owner == "" || owner == c.Name {
		return c.Name, nil
	}
	if !c.May(need) {
		return "", denied.problem("you need the permission " + string(need) + " to look after tokens of others")
	}
	return owner, nil
}

func (a *api) tokenRoutes() {
	add(a, "", op("identity", get, "/api/tokens", "list-tokens", "List API tokens, without their secrets"),
		func(ctx context.Context, in *listTokensInput) (*Body[tokensAnswer], error) {
			owner, err := ownerOf(in.caller, in.Owner, auth.PeopleRead)
			if err != nil {
				return nil, err
			}
			l, err := a.Tokens.Tokens(ctx, in.caller, owner)
			return body(tokensAnswer{orEmpty(l)}, err)
		})
	add(a, "", marked(unkeyed, answering(201, op("identity", post, "/api/tokens", "create-token", "Make an API token; its secret is shown once"))), a.createToken)
	add(a, "", answering(204, op("identity", remove, "/api/tokens/{name}", "revoke-token", "Let a token in no more")),
		func(ctx context.Context, in *revokeTokenInput) (*Nothing, error) {
			owner, err := ownerOf(in.caller, in.Owner, auth.PeopleWrite)
			if err != nil {
				return nil, err
			}
			return nil, a.Tokens.RevokeToken(ctx, in.caller, owner, in.Name)
		})
}

func (a *api) createToken(ctx context.Context, in *createTokenInput) (*Body[createdToken], error) {
	owner, err := ownerOf(in.caller, in.Body.Owner, auth.PeopleWrite)
	if err != nil {
		return nil, err
	}
	in.Body.Owner = owner
	t, secret, err := a.Tokens.CreateToken(ctx, in.caller, in.Body)
	return body(createdToken{t, secret}, err)
}
