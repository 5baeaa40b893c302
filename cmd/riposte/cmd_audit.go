package main

import (
	"fmt"

	"riposte/internal/httpapi"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"List who did what, the newest first."`
	Verify auditVerifyCmd `cmd:"" help:"Check that the audit log is what was written."`
}

type auditListCmd struct {
	paging
	Who    string `name:"who" help:"Only acts of this person."`
	Act    string `name:"act" help:"Only acts of this kind, such as approval.answer."`
	Object string `name:"object" help:"Only acts on this, such as AP-12 or playbook:block-ip."`
}

// Examples leads the command's help.
func (*auditListCmd) Examples() string {
	return "riposte audit list --who ana\nriposte audit list --object AP-12 --json"
}

// Run lists acts.
func (c *auditListCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	items, err := fetchAll[httpapi.AuditEntry](s, "/api/audit", filters("who", c.Who, "act", c.Act, "object", c.Object), c.paging)
	if err != nil {
		return err
	}
	return printList(w, items, "nobody did anything", []string{"seq", "at", "who", "act", "object", "outcome"}, func(e httpapi.AuditEntry) []string {
		return []string{fmt.Sprint(e.Seq), stamp(e.At), e.Who, e.Act, clip(e.Object, 40), clip(e.Outcome, 40)}
	})
}

type auditVerifyCmd struct {
	Head string `name:"head" placeholder:"N:HASH" help:"A head that an earlier check printed and you kept: shows whether newest entries were cut off."`
}

// Examples leads the command's help.
func (*auditVerifyCmd) Examples() string {
	return "riposte audit verify\nriposte audit verify --head 17:9f86d081…"
}

// Run checks the log. A log that was touched is a failure: exit code 1.
func (c *auditVerifyCmd) Run(w *world) error {
	s, err := w.connect()
	if err != nil {
		return err
	}
	head, err := fetch[httpapi.AuditHead](s, "/api/audit/verify", filters("head", c.Head))
	if err != nil {
		return err
	}
	if w.json {
		return w.printJSON(head)
	}
	fmt.Fprintf(w.out, "%d entries, as they were written; the head is %s\n", head.Entries, head.Head)
	return nil
}
