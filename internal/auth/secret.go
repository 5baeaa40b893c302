package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"riposte/internal/fault"
)

// tokenPrefix lets people and secret scanners see what a text is.
const tokenPrefix = "rip_"

// SecretBytes is how much randomness Secret wants.
const SecretBytes = 32

// Secret writes random bytes as the secret of an API token or a session.
func Secret(random []byte) string {
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
}

// NewSecret draws the secret of an API token or a session.
func NewSecret(random io.Reader) (string, error) {
	b := make([]byte, SecretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("draw a secret: %w", err)
	}
	return Secret(b), nil
}

// ParseSecret tells whether a text can be a secret at all: fault.Invalid if not,
// such as one that was cut off when it was copied. The message never holds it.
func ParseSecret(s string) error {
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if !ok || err != nil || len(b) != SecretBytes {
		return fmt.Errorf("this is no token: it begins with %s and has %d letters, digits, - and _ after it; was it cut off?: %w",
			tokenPrefix, base64.RawURLEncoding.EncodedLen(SecretBytes), fault.Invalid)
	}
	return nil
}

// HashSecret gives what is stored of a token or session: 32 random bytes need no
// slow hash, and finding one by its hash leaks nothing by the time it takes.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Token is an API token as it is stored.
type Token struct {
	Name    string       `json:"name"`  // what its owner calls it
	Owner   string       `json:"owner"` // a person
	Hash    string       `json:"-"`     // HashSecret
	Only    []Permission `json:"only,omitempty"`
	Created time.Time    `json:"created"`
	Expires time.Time    `json:"expires,omitzero"` // zero: never
	Revoked bool         `json:"revoked,omitempty"`
}

// Check looks at a token that is about to be made: fault.Invalid where it could
// do more than its owner, or is dead already.
func (t Token) Check(owner Caller, at time.Time) error {
	if t.Name == "" {
		return fmt.Errorf("a token needs a name, so that its owner knows it again: %w", fault.Invalid)
	}
	if !t.Expires.IsZero() && !t.Expires.After(at) {
		return t.wrong("/expires", fmt.Sprintf("it expires at %s, which is over", t.Expires.Format(time.RFC3339)))
	}
	for i, p := range t.Only {
		at := fmt.Sprintf("/only/%d", i)
		switch {
		case !known(p):
			return t.wrong(at, fmt.Sprintf("there is no permission %q; there are %s", p, join(Permissions())))
		case !owner.May(p):
			return t.wrong(at, fmt.Sprintf("%s does not have the permission %s and cannot give it away", owner.Name, p))
		}
	}
	return nil
}

// wrong says what is wrong with a part of what a token is made from.
func (t Token) wrong(at, what string) error {
	return &fault.Parts{What: "token " + t.Name + ": " + what, At: map[string]string{at: what}}
}

// Caller gives who comes with the token: its owner, held to what the token was
// made for. ok is false for a token that is revoked or over, and for an owner
// that is gone or disabled.
func (t Token) Caller(d *Directory, at time.Time) (c Caller, ok bool) {
	if t.Revoked || !t.Expires.IsZero() && !at.Before(t.Expires) {
		return Caller{}, false
	}
	c, ok = d.Caller(t.Owner, at)
	if !ok {
		return Caller{}, false
	}
	c = c.Within(slices.Clone(t.Only))
	c.Token = t.Name
	return c, true
}
