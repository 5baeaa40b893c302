// Package expr is the expression language of playbooks, source mappings,
// triage rules and guard policies: expr-lang/expr with limits, own functions
// and the semantics of the playbook language (out of range gives nil, division
// by zero is an error, no truthiness, absent fields are nil).
//
// A text is compiled once against a Scope, which types the names it may use,
// and evaluated many times against an Env, which holds their values. Evaluation
// is deterministic: it reads no clock (Env.Now is the time of the event being
// handled), and its limits count work instead of time.
package expr
