package httpapi

import (
	"context"
	"encoding/json"
	"time"

	"riposte/internal/auth"
)

// Audit is the record of who did what.
type Audit interface {
	// AuditLog lists acts, the newest first.
	AuditLog(ctx context.Context, who auth.Caller, f AuditFilter, p Page) (Found[AuditEntry], error)
	// VerifyAudit goes through the whole log: fault.Conflict where it is not what
	// was written, fault.Invalid where kept is no head.
	VerifyAudit(ctx context.Context, who auth.Caller, kept string) (AuditHead, error)
}

// AuditFilter narrows a list of acts. Zero values do not.
type AuditFilter struct{ Who, Act, Object string }

// AuditEntry is one act.
type AuditEntry struct {
	Seq     int64           `json:"seq"`
	At      time.Time       `json:"at"`
	Who     string          `json:"who"`
	From    string          `json:"from,omitempty" doc:"The token that was used."`
	Act     string          `json:"act" example:"approval.answer"`
	Object  string          `json:"object,omitempty" example:"AP-12"`
	Outcome string          `json:"outcome" doc:"done, denied or failed."`
	Detail  json.RawMessage `json:"detail,omitempty"`
	Hash    string          `json:"hash" doc:"Over the entry and the hash of the one before."`
}

// AuditHead is the end of a log that is whole.
type AuditHead struct {
	Entries int64  `json:"entries"`
	Head    string `json:"head" doc:"Keep it elsewhere: given to the next check, it shows whether newest entries were cut off." example:"17:9f86d081…"`
}

type listAuditInput struct {
	Who
	Paged
	Person string `query:"who" maxLength:"128"`
	Act    string `query:"act" maxLength:"64"`
	Object string `query:"object" maxLength:"256"`
}

type verifyAuditInput struct {
	Who
	Head string `query:"head" maxLength:"100" doc:"A head that was kept from an earlier check."`
}

func (a *api) auditRoutes() {
	add(a, auth.AuditRead, op("audit", get, "/api/audit", "list-audit", "List who did what, the newest first"),
		func(ctx context.Context, in *listAuditInput) (*Listed[AuditEntry], error) {
			return listed(a.Audit.AuditLog(ctx, in.caller, AuditFilter{Who: in.Person, Act: in.Act, Object: in.Object}, in.page()))
		})
	add(a, auth.AuditRead, op("audit", get, "/api/audit/verify", "verify-audit", "Check that the audit log is what was written"),
		func(ctx context.Context, in *verifyAuditInput) (*Body[AuditHead], error) {
			return body(a.Audit.VerifyAudit(ctx, in.caller, in.Head))
		})
}
