package auth

import "slices"

// Permission is one thing that a caller may do.
type Permission string

// The permissions. Reading is apart from writing; what reaches other systems is
// apart from what only changes records.
const (
	AlertsRead        Permission = "alerts:read"
	AlertsWrite       Permission = "alerts:write" // set status, hand in alerts by the API
	CasesRead         Permission = "cases:read"
	CasesWrite        Permission = "cases:write"
	RunsRead          Permission = "runs:read"
	RunsStart         Permission = "runs:start"   // retry, too
	RunsControl       Permission = "runs:control" // cancel, pause, resume
	ApprovalsRead     Permission = "approvals:read"
	ApprovalsAnswer   Permission = "approvals:answer" // those that ask you
	PlaybooksRead     Permission = "playbooks:read"
	PlaybooksWrite    Permission = "playbooks:write" // drafts
	PlaybooksPublish  Permission = "playbooks:publish"
	LedgerRead        Permission = "ledger:read"
	LedgerUndo        Permission = "ledger:undo"
	IntelRead         Permission = "intel:read"
	IntelWrite        Permission = "intel:write"
	ListsRead         Permission = "lists:read"
	ListsWrite        Permission = "lists:write"
	ConnectionsRead   Permission = "connections:read"
	ConnectionsWrite  Permission = "connections:write" // test, too
	GuardRead         Permission = "guard:read"        // limits in use, policies, protected lists
	SwitchesRead      Permission = "switches:read"
	SwitchesOff       Permission = "switches:off"       // stop automation
	SwitchesOn        Permission = "switches:on"        // let it act again
	ProtectedOverride Permission = "protected:override" // act on a protected object, once, with a reason
	SourcesRead       Permission = "sources:read"
	AlarmsRead        Permission = "alarms:read"
	AlarmsAcknowledge Permission = "alarms:acknowledge"
	MetricsRead       Permission = "metrics:read" // by monitoring
	AuditRead         Permission = "audit:read"
	PeopleRead        Permission = "people:read"
	PeopleWrite       Permission = "people:write" // tokens of others, too
)

// Permissions lists them all, in the order above.
func Permissions() []Permission {
	return []Permission{
		AlertsRead, AlertsWrite, CasesRead, CasesWrite, RunsRead, RunsStart, RunsControl, ApprovalsRead, ApprovalsAnswer,
		PlaybooksRead, PlaybooksWrite, PlaybooksPublish, LedgerRead, LedgerUndo, IntelRead, IntelWrite, ListsRead, ListsWrite,
		ConnectionsRead, ConnectionsWrite, GuardRead, SwitchesRead, SwitchesOff, SwitchesOn, ProtectedOverride, SourcesRead,
		AlarmsRead, AlarmsAcknowledge, MetricsRead, AuditRead, PeopleRead, PeopleWrite,
	}
}

func known(p Permission) bool { return slices.Contains(Permissions(), p) }

// Role is a set of permissions with a name. It holds those of the roles that it
// includes, and whoever has it counts as having them: an approval by
// role:analyst can be given by a soc-lead.
type Role struct {
	Name        string       `yaml:"name,required" pattern:"[a-z][a-z0-9_-]{0,62}" doc:"such as tier-2: small letters, digits, hyphens"`
	Includes    []string     `yaml:"includes" doc:"roles whose permissions it has as well"`
	Permissions []Permission `yaml:"permissions" doc:"what it permits, such as runs:start"`
}

// Admin is the role of the first administrator.
const Admin = "admin"

// BuiltIn lists the roles that every installation has. One of the same name in
// the configuration takes its place.
func BuiltIn() []Role {
	return []Role{
		{Name: "viewer", Permissions: []Permission{
			AlertsRead, CasesRead, RunsRead, ApprovalsRead, PlaybooksRead, LedgerRead, IntelRead, ListsRead, ConnectionsRead,
			GuardRead, SwitchesRead, SourcesRead, AlarmsRead, MetricsRead,
		}},
		{Name: "analyst", Includes: []string{"viewer"}, Permissions: []Permission{
			AlertsWrite, CasesWrite, RunsStart, RunsControl, ApprovalsAnswer, LedgerUndo, IntelWrite, ListsWrite, SwitchesOff, AlarmsAcknowledge,
		}},
		{Name: "soc-lead", Includes: []string{"analyst"}, Permissions: []Permission{
			SwitchesOn, ProtectedOverride, PeopleRead, AuditRead,
		}},
		{Name: "incident-manager", Includes: []string{"soc-lead"}},
		// An engineer builds and may stop what was built, but approves nothing.
		{Name: "engineer", Includes: []string{"viewer"}, Permissions: []Permission{
			RunsStart, RunsControl, PlaybooksWrite, PlaybooksPublish, ListsWrite, ConnectionsWrite, SwitchesOff, AlarmsAcknowledge,
		}},
		// The administrator of a new installation is alone: without all roles
		// nobody could answer what its playbooks ask.
		{Name: Admin, Includes: []string{"incident-manager", "engineer"}, Permissions: Permissions()},
	}
}
