package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"riposte/internal/fault"
)

// postgres is a PostgreSQL database, of version 13 or newer.
type postgres struct {
	name   string
	config *pgx.ConnConfig
}

func newPostgres(where string) (*postgres, error) {
	config, err := pgx.ParseConfig(where)
	if err != nil {
		// The error of the library quotes the URL without its password.
		return nil, fmt.Errorf("open the database: %w; expected postgres://USER:PASSWORD@HOST:PORT/NAME: %w", err, fault.Invalid)
	}
	config.RuntimeParams["application_name"] = "riposte"
	config.RuntimeParams["timezone"] = "UTC"
	name := where
	if u, err := url.Parse(where); err == nil {
		u.RawQuery = "" // a password may stand there too
		name = u.Redacted()
	}
	return &postgres{name: name, config: config}, nil
}

func (p *postgres) String() string { return p.name }

// nothing is held by a process where the database itself keeps others out.
type nothing struct{}

func (nothing) Close() error { return nil }

func (p *postgres) claim() (io.Closer, error) { return nothing{}, nil }

func (p *postgres) connector(readOnly bool) (driver.Connector, error) {
	c := p.config.Copy()
	if readOnly {
		c.RuntimeParams["default_transaction_read_only"] = "on"
	} else {
		c.RuntimeParams["synchronous_commit"] = "on" // an answer is given only when it is on disk
	}
	return stdlib.GetConnector(*c), nil
}

// onlyWriter begins the advisory lock that the writer of a schema holds.
const onlyWriter = 0x7269706f // "ripo"

func (p *postgres) hold(ctx context.Context, c *conn) error {
	rows, err := c.query(ctx, "SELECT CASE WHEN pg_try_advisory_lock(?, hashtext(current_schema())) THEN 1 ELSE 0 END", []any{int64(onlyWriter)})
	if err != nil {
		return err
	}
	defer rows.Close()
	var mine bool
	if rows.Next() {
		err = rows.Scan(&mine)
	}
	if err = errors.Join(err, rows.Err()); err != nil || mine {
		return err
	}
	return fmt.Errorf("another Riposte has it open; stop that one first or use another database: %w", fault.Conflict)
}

var (
	ddlTail  = regexp.MustCompile(`\)\s*STRICT(,\s*WITHOUT ROWID)?;`)
	ddlTypes = regexp.MustCompile(`\b(INTEGER|TEXT|BLOB)\b`)
)

// migrations translates the tables: 64-bit integers, and texts that are ordered
// by their bytes, whatever the language of the database.
func (p *postgres) migrations() (goose.Dialect, string, func(string) string) {
	own := map[string]string{"INTEGER": "BIGINT", "TEXT": `TEXT COLLATE "C"`, "BLOB": "BYTEA"}
	return goose.DialectPostgres, "postgres", func(ddl string) string {
		ddl = ddlTail.ReplaceAllString(ddl, ");")
		return ddlTypes.ReplaceAllStringFunc(ddl, func(t string) string { return own[t] })
	}
}

func (p *postgres) text(query string) string { return rebind(query) }

// value keeps out what a text of PostgreSQL cannot hold: the zero character and
// what is not UTF-8.
func (p *postgres) value(v driver.Value) driver.Value {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func (p *postgres) beginRead() string { return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" }

// begin asks for the number of the transaction in the same round trip.
func (p *postgres) begin(ctx context.Context, c *conn) (mark string, err error) {
	raw, ok := c.raw.(*stdlib.Conn)
	if !ok {
		return "", fmt.Errorf("a connection of type %T: %w", c.raw, fault.Invalid)
	}
	results, err := raw.Conn().PgConn().Exec(ctx, "BEGIN; SELECT pg_current_xact_id()::text").ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) != 2 || len(results[1].Rows) != 1 {
		return "", errors.New("the database did not say which transaction it began")
	}
	return string(results[1].Rows[0][0]), nil
}

// committed asks on a connection of its own, over and over, because the server
// may be starting again. While the answer is not known nothing may be written.
func (p *postgres) committed(ctx context.Context, mark string) (bool, error) {
	c, err := pgx.ConnectConfig(ctx, p.config.Copy())
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // it has only read
	var status string
	if err := c.QueryRow(ctx, "SELECT coalesce(pg_xact_status($1::text::xid8), 'unknown')", mark).Scan(&status); err != nil {
		return false, err
	}
	switch status {
	case "committed":
		return true, nil
	case "aborted":
		return false, nil
	}
	return false, fmt.Errorf("transaction %s is %s", mark, status)
}

// search uses the text search that is built in; the configuration "simple" leaves
// words as they are.
func (p *postgres) search() (store, met string, ask func([]phrase) string) {
	return "to_tsvector('simple', ?)", "words @@ CAST(? AS tsquery)", func(list []phrase) string {
		all := make([]string, len(list))
		for i, p := range list {
			all[i] = "('" + strings.Join(p.words, "' <-> '") + "'"
			if p.open {
				all[i] += ":*"
			}
			all[i] += ")"
		}
		return strings.Join(all, " & ")
	}
}

func (p *postgres) spoils() bool { return true }

// trouble goes by the classes of SQLSTATE. Whatever is no answer of the server
// is about the connection.
func (p *postgres) trouble(err error) (t trouble, ok bool) {
	var e *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &e):
		return sqlState(e.Code)
	case errors.As(err, &connect):
		return trouble{"the database server cannot be reached", "check its address and that it runs; Riposte goes on by itself", true}, true
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err), pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded):
		return trouble{"the connection to the database was lost", "Riposte connects again by itself", true}, true
	}
	return t, false
}

func sqlState(code string) (trouble, bool) {
	switch {
	case code == "53100":
		return trouble{"the disk of the database is full", "free some space there; writing goes on by itself", true}, true
	case code == "53300":
		return trouble{"the database takes no more connections", "raise its max_connections", true}, true
	case code == "25006":
		return trouble{"the database may only be read", "make this server the primary one, or point Riposte to it", true}, true
	case strings.HasPrefix(code, "28"):
		return trouble{"the database does not accept the user or the password", "check the URL", false}, true
	case code == "3D000":
		return trouble{"there is no such database on the server", "create it: createdb NAME", false}, true
	case code == "42501":
		return trouble{"the user may not do this in the database", "make it the owner of the database", false}, true
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"):
		return trouble{"the database server ended the connection", "Riposte connects again by itself", true}, true
	case strings.HasPrefix(code, "53"), strings.HasPrefix(code, "58"):
		return trouble{"the database server is in trouble", "look at its log; Riposte goes on by itself", true}, true
	}
	return trouble{}, false
}

// rebind turns ? placeholders into $1, $2 …, leaving those inside quotes.
func rebind(query string) string {
	var b strings.Builder
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
