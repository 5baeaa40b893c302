// Package secret seals credentials. The key lives in a file of its own, outside
// the database, so that neither the database nor a copy of it gives anything
// away. Each record is sealed with a key of its own (AES-256-GCM), which is
// sealed with the key of the file; both are bound to the record's id, so a sealed
// value opens nowhere else. A key has an id, and a file holds several: the first
// seals, all open.
package secret
