// Package playbook is the language: it parses, checks, formats and draws
// playbooks and compiles them to plans. It does no I/O beyond the bytes it is
// given.
package playbook
