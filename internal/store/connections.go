package store

import (
	"encoding/json"
	"fmt"
	"time"

	"riposte/connector"
)

// Connections lists all connections of all tenants with their sealed secrets.
func Connections(q *Reader) (map[string][]*connector.Connection, error) {
	fail := func(err error) (map[string][]*connector.Connection, error) {
		return nil, fmt.Errorf("list connections: %w", err)
	}
	all := map[string][]*connector.Connection{}
	type key struct{ tenant, name string }
	byName := map[key]*connector.Connection{}
	rows, err := q.Query("SELECT tenant, name, config, version FROM connections ORDER BY tenant, name")
	if err != nil {
		return fail(err)
	}
	defer rows.Close() // at its end already when the secrets are read
	for rows.Next() {
		var tenant, name string
		var config json.RawMessage
		var version int64
		if err := rows.Scan(&tenant, &name, &config, &version); err != nil {
			return fail(err)
		}
		c := &connector.Connection{}
		if err := json.Unmarshal(config, c); err != nil {
			return fail(fmt.Errorf("connection %s: %w", name, err))
		}
		c.Revision, c.Secrets = version, map[string][]byte{}
		all[tenant] = append(all[tenant], c)
		byName[key{tenant, name}] = c
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	secrets, err := q.Query("SELECT tenant, connection, field, sealed FROM connection_secrets")
	if err != nil {
		return fail(err)
	}
	defer secrets.Close()
	for secrets.Next() {
		var tenant, name, field string
		var sealed []byte
		if err := secrets.Scan(&tenant, &name, &field, &sealed); err != nil {
			return fail(err)
		}
		if c := byName[key{tenant, name}]; c != nil {
			c.Secrets[field] = sealed
		}
	}
	if err := secrets.Err(); err != nil {
		return fail(err)
	}
	return all, nil
}

// PutConnection writes or replaces a connection and its secrets, and sets its
// revision. seen is the revision that the caller knows, 0 where it must be new:
// ErrStale where it is another.
func PutConnection(tx *Tx, tenant string, c *connector.Connection, seen int64, at time.Time) error {
	tenant = tenantOf(tenant)
	var now int64
	err := tx.QueryRow("SELECT version FROM connections WHERE tenant = ? AND name = ?", tenant, c.Name).Scan(&now)
	if err != nil && !isNoRow(err) {
		return fmt.Errorf("write connection %s: %w", c.Name, err)
	}
	if now != seen {
		return fmt.Errorf("write connection %s: %w", c.Name, ErrStale)
	}
	bare := *c
	bare.Secrets, bare.Revision = nil, 0
	config, err := json.Marshal(bare)
	if err != nil {
		return fmt.Errorf("write connection %s: %w", c.Name, err)
	}
	_, err = tx.Exec(`INSERT INTO connections (tenant, name, connector, config, version, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, name) DO UPDATE SET connector = excluded.connector, config = excluded.config, version = excluded.version, updated = excluded.updated`,
		tenant, c.Name, c.Connector, json.RawMessage(config), now+1, at, at)
	if err == nil {
		_, err = tx.Exec("DELETE FROM connection_secrets WHERE tenant = ? AND connection = ?", tenant, c.Name)
	}
	for field, sealed := range c.Secrets {
		if err == nil {
			_, err = tx.Exec("INSERT INTO connection_secrets (tenant, connection, field, sealed, key_id, updated) VALUES (?, ?, ?, ?, '', ?)", tenant, c.Name, field, sealed, at)
		}
	}
	if err != nil {
		return fmt.Errorf("write connection %s: %w", c.Name, err)
	}
	c.Revision = now + 1
	return nil
}

// DeleteConnection removes a connection: fault.NotFound, ErrStale where it is not
// at the revision any more (0: whichever).
func DeleteConnection(tx *Tx, tenant, name string, seen int64) error {
	tenant = tenantOf(tenant)
	var now int64
	if err := tx.QueryRow("SELECT version FROM connections WHERE tenant = ? AND name = ?", tenant, name).Scan(&now); err != nil {
		return fmt.Errorf("delete connection %s: %w", name, err)
	}
	if seen != 0 && seen != now {
		return fmt.Errorf("delete connection %s: %w", name, ErrStale)
	}
	if _, err := tx.Exec("DELETE FROM connections WHERE tenant = ? AND name = ?", tenant, name); err != nil {
		return fmt.Errorf("delete connection %s: %w", name, err)
	}
	return nil
}
