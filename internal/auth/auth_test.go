package auth

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"riposte/internal/fault"
)

func directory(t *testing.T, e Entries) *Directory {
	t.Helper()
	d, err := New(e)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func example() Entries {
	return Entries{
		People: []Person{
			{Name: "ana", Roles: []string{"analyst"}},
			{Name: "lee", Groups: []string{"night"}},
			{Name: "root", Roles: []string{"admin"}},
			{Name: "gone", Roles: []string{"admin"}, Disabled: true},
		},
		Groups: map[string][]string{"night": {"soc-lead"}, "empty": nil},
		Roles:  []Role{{Name: "writer", Permissions: []Permission{PlaybooksWrite}}},
		OnCall: map[string][]string{"soc-lead": {"lee"}},
	}
}

func TestWhoIsNamedByAReference(t *testing.T) {
	t.Parallel()
	d := directory(t, example())
	tests := []struct {
		ref  string
		want []string
	}{
		{"ana", []string{"ana"}},
		{"role:analyst", []string{"ana", "lee", "root"}}, // roles that include it count
		{"role:soc-lead", []string{"lee", "root"}},
		{"role:admin", []string{"root"}},
		{"group:night", []string{"lee"}},
		{"group:empty", nil},
		{"on-call:soc-lead", []string{"lee"}},
		{"on-call:it-service", nil},
		{"gone", nil},
		{"nobody", nil},
		{"", nil},
		{"team:ana", nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, d.Who(tt.ref)); diff != "" {
			t.Errorf("%q:\n%s", tt.ref, diff)
		}
	}
}

func TestPermissionsFollowRolesAndGroups(t *testing.T) {
	t.Parallel()
	d := directory(t, example())
	tests := []struct {
		name string
		may  Permission
		want bool
	}{
		{"ana", CasesWrite, true},
		{"ana", AlertsRead, true},
		{"ana", PlaybooksPublish, false},
		{"lee", SwitchesOn, true}, // by the group's role
		{"root", PeopleWrite, true},
	}
	for _, tt := range tests {
		c, ok := d.Caller(tt.name)
		if !ok || c.May(tt.may) != tt.want {
			t.Errorf("%s may %s: %v, want %v", tt.name, tt.may, !tt.want, tt.want)
		}
	}
	if _, ok := d.Caller("gone"); ok {
		t.Error("a disabled person may still come in")
	}
	if (Caller{}).May(AlertsRead) {
		t.Error("nobody may read")
	}
}

func TestATokenCannotDoMoreThanItsOwner(t *testing.T) {
	t.Parallel()
	c, _ := directory(t, example()).Caller("ana")
	got := c.Within([]Permission{CasesRead, PlaybooksPublish}).Permissions()
	if diff := cmp.Diff([]Permission{CasesRead}, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(c.Within(nil).Permissions(), c.Permissions()) {
		t.Error("a token for nothing in particular is for all that its owner may")
	}
}

func TestEntriesThatNameWhatIsNotThere(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		e    Entries
		want string
	}{
		{"role of a person", Entries{People: []Person{{Name: "a", Roles: []string{"x"}}}}, `person a: there is no role "x"`},
		{"group of a person", Entries{People: []Person{{Name: "a", Groups: []string{"x"}}}}, `person a: there is no group "x"`},
		{"role of a group", Entries{Groups: map[string][]string{"g": {"x"}}}, `group g: there is no role "x"`},
		{"permission of a role", Entries{Roles: []Role{{Name: "r", Permissions: []Permission{"x"}}}}, `there is no permission "x"`},
		{"somebody on call", Entries{OnCall: map[string][]string{"d": {"x"}}}, `on-call d: there is no person "x"`},
		{"the same name twice", Entries{People: []Person{{Name: "a"}, {Name: "a"}}}, `"a" is there twice`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tt.e)
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRolesThatIncludeEachOtherEnd(t *testing.T) {
	t.Parallel()
	d := directory(t, Entries{
		People: []Person{{Name: "a", Roles: []string{"x"}}},
		Roles:  []Role{{Name: "x", Includes: []string{"y"}}, {Name: "y", Includes: []string{"x"}, Permissions: []Permission{CasesRead}}},
	})
	c, _ := d.Caller("a")
	if !c.May(CasesRead) || !c.Is("role:y") {
		t.Error("an included role is missing")
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	salt := bytes.Repeat([]byte{7}, SaltBytes)
	hash := HashPassword("correct horse battery", salt)
	if err := CheckHash(hash); err != nil {
		t.Fatal(err)
	}
	if !CheckPassword(hash, "correct horse battery") || CheckPassword(hash, "correct horse batterz") || CheckPassword(hash, "") {
		t.Error("a password is not told from another")
	}
	if CheckPassword("", "") || CheckPassword(hash, strings.Repeat("x", MaxPassword+1)) {
		t.Error("no hash, or a password over the limit, lets somebody in")
	}
	for _, bad := range []string{
		"", "secret", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
		"$argon2id$v=19$m=64,t=1,p=1$!!$aGFzaGhhc2hoYXNoaGFzaA",
	} {
		if !errors.Is(CheckHash(bad), fault.Invalid) {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
}

func TestSecretsAreRecognisableAndDiffer(t *testing.T) {
	t.Parallel()
	a, b := Secret(bytes.Repeat([]byte{1}, SecretBytes)), Secret(bytes.Repeat([]byte{2}, SecretBytes))
	if !strings.HasPrefix(a, "rip_") || a == b || HashSecret(a) == HashSecret(b) || strings.Contains(HashSecret(a), a) {
		t.Errorf("secrets %q and %q", a, b)
	}
}
