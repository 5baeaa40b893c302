// Package store holds all SQL: it keeps the records of Riposte in one SQLite
// file. Everything that changes goes through one writer, which gathers the jobs
// of all callers into one transaction and one sync to disk (group commit);
// reads run beside it on their own connections.
//
// Times are stored as integer microseconds UTC, 0 or NULL for none; identifiers
// as integers that grow with time. Every table of records carries its tenant.
// The SQL is written so that PostgreSQL understands it too; what differs
// between the two stands in dialect.go.
package store
