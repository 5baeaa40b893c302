package auth

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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

func at(t *testing.T, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func hours(t *testing.T, s string) Hours {
	t.Helper()
	var h Hours
	if err := h.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return h
}

func example(t *testing.T) Entries {
	return Entries{
		People: []Person{
			{Name: "ana", Roles: []string{"analyst"}},
			{Name: "lee", Groups: []string{"night"}},
			{Name: "root", Roles: []string{"admin"}},
			{Name: "gone", Roles: []string{"admin"}, Disabled: true},
			{Name: "eve", Roles: []string{"engineer"}},
		},
		Groups: map[string][]string{"night": {"soc-lead"}, "empty": nil},
		Roles:  []Role{{Name: "writer", Permissions: []Permission{PlaybooksWrite}}},
		OnCall: map[string]Duty{
			"soc-lead":   {People: []string{"lee"}},
			"by-turns":   {People: []string{"ana", "lee"}, Rotate: 7 * 24 * time.Hour, From: at(t, "2026-01-05T08:00:00Z")},
			"it-service": {People: []string{"role:analyst"}, Times: []Shift{{When: hours(t, "sat-sun"), People: []string{"group:night"}}}},
			"nights":     {Times: []Shift{{When: hours(t, "mon-fri 22:00-06:00"), People: []string{"ana"}}}},
		},
	}
}

func TestWhoIsNamedByAReference(t *testing.T) {
	t.Parallel()
	d := directory(t, example(t))
	monday, sunday := "2026-01-12T12:00:00Z", "2026-01-11T12:00:00Z"
	tests := []struct {
		name, ref, at string
		want          []string
	}{
		{"a user is one person", "ana", monday, []string{"ana"}},
		{"a role counts for all that include it", "role:analyst", monday, []string{"ana", "lee", "root"}},
		{"a role by a group", "role:soc-lead", monday, []string{"lee", "root"}},
		{"nobody stands above the administrator", "role:admin", monday, []string{"root"}},
		{"an engineer is no analyst", "role:engineer", monday, []string{"eve", "root"}},
		{"a group is its members", "group:night", monday, []string{"lee"}},
		{"an empty group is nobody", "group:empty", monday, nil},
		{"on call all at once", "on-call:soc-lead", monday, []string{"lee"}},
		{"on call by turns, second week", "on-call:by-turns", monday, []string{"lee"}},
		{"on call by turns, first week", "on-call:by-turns", sunday, []string{"ana"}},
		{"on call by turns, before it began", "on-call:by-turns", "2026-01-05T07:59:59Z", []string{"lee"}},
		{"on call by turns, a whole turn before it began", "on-call:by-turns", "2025-12-29T08:00:00Z", []string{"lee"}},
		{"on call by turns, two turns before it began", "on-call:by-turns", "2025-12-22T08:00:00Z", []string{"ana"}},
		{"on call in the week", "on-call:it-service", monday, []string{"ana", "lee", "root"}},
		{"on call at the weekend", "on-call:it-service", sunday, []string{"lee"}},
		{"on call outside all hours is nobody", "on-call:nights", monday, nil},
		{"on call past midnight belongs to the evening before", "on-call:nights", "2026-01-10T05:59:00Z", []string{"ana"}},
		{"on call in the night after a day off", "on-call:nights", "2026-01-12T05:00:00Z", nil},
		{"an unknown duty is nobody", "on-call:barista", monday, nil},
		{"a disabled person answers nothing", "gone", monday, nil},
		{"an unknown user is nobody", "nobody", monday, nil},
		{"no reference is nobody", "", monday, nil},
		{"an unknown kind is nobody", "team:ana", monday, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, d.Who(tt.ref, at(t, tt.at))); diff != "" {
				t.Error(diff)
			}
			for _, p := range d.People() {
				if got := d.Matches(p.Name, []string{"group:empty", tt.ref}, at(t, tt.at)); got != slices.Contains(tt.want, p.Name) {
					t.Errorf("%s matches: %v", p.Name, got)
				}
			}
		})
	}
}

func TestPermissionsFollowRolesAndGroups(t *testing.T) {
	t.Parallel()
	d := directory(t, example(t))
	tests := []struct {
		name string
		may  Permission
		want bool
	}{
		{"ana", CasesWrite, true},
		{"ana", AlertsRead, true},
		{"ana", PlaybooksPublish, false},
		{"ana", ProtectedOverride, false},
		{"lee", SwitchesOn, true}, // by the group's role
		{"lee", ProtectedOverride, true},
		{"eve", ApprovalsAnswer, false},
		{"root", PeopleWrite, true},
		{"gone", AlertsRead, false},
		{"nobody", AlertsRead, false},
	}
	for _, tt := range tests {
		if got := d.Can(tt.name, tt.may); got != tt.want {
			t.Errorf("%s may %s: %v, want %v", tt.name, tt.may, got, tt.want)
		}
	}
	if _, ok := d.Caller("gone", time.Time{}); ok {
		t.Error("a disabled person may still come in")
	}
	if (Caller{}).May(AlertsRead) {
		t.Error("nobody may read")
	}
}

func TestBuiltInRolesNameOnlyWhatIsThere(t *testing.T) {
	t.Parallel()
	d := directory(t, Entries{People: []Person{{Name: "root", Roles: []string{Admin}}}})
	for _, p := range Permissions() {
		if !d.Can("root", p) {
			t.Errorf("the administrator may not %s", p)
		}
	}
	for _, r := range d.Roles() {
		if !d.Matches("root", []string{"role:" + r}, time.Time{}) {
			t.Errorf("an administrator alone cannot answer for role:%s", r)
		}
	}
}

func TestWhoCanEverAnswer(t *testing.T) {
	t.Parallel()
	d := directory(t, example(t))
	tests := []struct {
		refs []string
		want []string
	}{
		{[]string{"on-call:by-turns"}, []string{"ana", "lee"}},
		{[]string{"on-call:nights"}, []string{"ana"}},
		{[]string{"on-call:it-service"}, []string{"ana", "lee", "root"}},
		{[]string{"on-call:barista", "group:empty", "gone"}, nil},
		{[]string{"group:empty", "eve"}, []string{"eve"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, d.Ever(tt.refs)); diff != "" {
			t.Errorf("%v: %s", tt.refs, diff)
		}
	}
}

func TestWhyAReferenceCanNameNobody(t *testing.T) {
	t.Parallel()
	d := directory(t, example(t))
	for ref, want := range map[string]string{
		"ana":              "",
		"role:analyst":     "",
		"on-call:nights":   "",
		"gone":             `"gone" is disabled`,
		"nobody":           `there is no person "nobody"`,
		"role:writer":      "nobody has role:writer",
		"role:wizard":      `there is no role "wizard"; there are admin, analyst, engineer`,
		"group:empty":      "nobody has group:empty",
		"group:day":        `there is no group "day"; there are empty, night`,
		"on-call:barista":  `there is no on-call "barista"; there are by-turns`,
		"team:ana":         `"team:ana" is no way to name people`,
		"on-call:by-turns": "",
	} {
		got := d.Problem(ref)
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}

func TestEntriesThatNameWhatIsNotThere(t *testing.T) {
	t.Parallel()
	ana := Person{Name: "a"}
	tests := []struct {
		name string
		e    Entries
		want string
	}{
		{"role of a person", Entries{People: []Person{{Name: "a", Roles: []string{"x"}}}}, `person a: there is no role "x"`},
		{"group of a person", Entries{People: []Person{{Name: "a", Groups: []string{"x"}}}}, `person a: there is no group "x"; there are none`},
		{"role of a group", Entries{Groups: map[string][]string{"g": {"x"}}}, `group g: there is no role "x"`},
		{"permission of a role", Entries{Roles: []Role{{Name: "r", Permissions: []Permission{"x"}}}}, `there is no permission "x"`},
		{"role in a role", Entries{Roles: []Role{{Name: "r", Includes: []string{"x"}}}}, `role r: there is no role "x"`},
		{"somebody on call", Entries{OnCall: map[string]Duty{"d": {People: []string{"x"}}}}, `on-call d: there is no person "x"`},
		{"a role on call", Entries{OnCall: map[string]Duty{"d": {People: []string{"role:x"}}}}, `on-call d: there is no role "x"`},
		{"a duty on call", Entries{OnCall: map[string]Duty{"d": {People: []string{"on-call:d"}}}}, `on-call d: "on-call:d" is no way to name people here`},
		{"nobody on call", Entries{OnCall: map[string]Duty{"d": {}}}, `on-call d: nobody is named`},
		{"turns without a beginning", Entries{People: []Person{ana}, OnCall: map[string]Duty{"d": {People: []string{"a"}, Rotate: time.Hour}}}, `on-call d: rotate needs from`},
		{"the same name twice", Entries{People: []Person{ana, ana}}, `person a is there twice`},
		{"no name", Entries{People: []Person{{}}}, `an entry has no user name`},
		{"a name that looks like a role", Entries{People: []Person{{Name: "role:a"}}}, `a user name has no colon`},
		{"a password in clear", Entries{People: []Person{{Name: "a", Password: "hunter2"}}}, `person a: password_hash: a password hash has the form`},
		{"several things at once", Entries{People: []Person{{Name: "a", Roles: []string{"x"}}, {Name: "b", Groups: []string{"y"}}}}, `person b: there is no group "y"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(tt.e)
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Error("the message repeats a password")
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
	c, _ := d.Caller("a", time.Time{})
	if !c.May(CasesRead) || !c.Is("role:y") {
		t.Error("an included role is missing")
	}
}

func TestHoursOfTheWeek(t *testing.T) {
	t.Parallel()
	tests := []struct {
		hours, at string
		want      bool
	}{
		{"mon-fri 08:00-18:00", "2026-01-12T08:00:00Z", true},
		{"mon-fri 08:00-18:00", "2026-01-12T18:00:00Z", false},
		{"mon-fri 08:00-18:00", "2026-01-11T12:00:00Z", false},
		{"fri-mon", "2026-01-11T12:00:00Z", true},
		{"fri-mon", "2026-01-13T12:00:00Z", false},
		{"sat,sun", "2026-01-11T23:59:00Z", true},
		{"22:00-06:00", "2026-01-11T23:59:00Z", true},
		{"22:00-06:00", "2026-01-11T06:00:00Z", false},
		{"sun 22:00-06:00", "2026-01-12T03:00:00Z", true},
		{"18:00-24:00", "2026-01-12T23:59:59Z", true},
		{"18:00-24:00", "2026-01-12T00:00:00Z", false},
		{"MON", "2026-01-12T01:00:00+02:00", false}, // still Sunday in UTC
	}
	for _, tt := range tests {
		if got := hours(t, tt.hours).Hold(at(t, tt.at)); got != tt.want {
			t.Errorf("%s at %s: %v", tt.hours, tt.at, got)
		}
	}
	for _, bad := range []string{"", "always", "mon-", "mon 8-18", "mon 08:00", "mon 08:00-25:00", "08:00-18:00 mon", "mon tue wed", "mon, tue"} {
		var h Hours
		if err := h.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for hours", bad)
		}
	}
}
