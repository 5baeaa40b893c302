package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"

	"riposte/internal/fault"
	"riposte/internal/store/storetest"
)

// openPostgres opens a fresh schema, with the table n of open.
func openPostgres(t *testing.T) *DB {
	t.Helper()
	return openAt(t, storetest.Postgres(t), Options{})
}

func TestTheFateOfATransactionIsKnownByItsNumber(t *testing.T) {
	t.Parallel()
	d := openPostgres(t)
	ctx := context.Background()
	for _, tt := range []struct {
		end  string
		want bool
	}{{"COMMIT", true}, {"ROLLBACK", false}} {
		c, err := newConn(ctx, d.be, d.writeTo)
		if err != nil {
			t.Fatal(err)
		}
		mark, err := d.be.begin(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if done, err := d.be.committed(ctx, mark); err == nil {
			t.Errorf("the fate of an open transaction is known: %v", done)
		}
		if err := c.plain(ctx, tt.end); err != nil {
			t.Fatal(err)
		}
		if done, err := d.be.committed(ctx, mark); err != nil || done != tt.want {
			t.Errorf("after %s: %v, %v", tt.end, done, err)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAConnectionThatTheServerEndsIsReplaced(t *testing.T) {
	t.Parallel()
	d := openPostgres(t)
	ctx := context.Background()
	pid := func(q *Reader) (n int64, err error) {
		err = q.QueryRow("SELECT pg_backend_pid()").Scan(&n)
		return n, err
	}
	var writer, reader int64
	write(t, d, func(tx *Tx) (err error) { writer, err = pid(&tx.Reader); return err })
	read(t, d, func(q *Reader) (err error) { reader, err = pid(q); return err })
	write(t, d, insert(1))
	other, err := sql.Open("pgx", d.be.(*postgres).config.ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, n := range []int64{writer, reader} {
		if _, err := other.Exec("SELECT pg_terminate_backend($1)", n); err != nil {
			t.Fatal(err)
		}
	}
	// Whoever comes first is told that it may be tried again; nobody is told a lie.
	if err := d.Write(ctx, insert(2)); err != nil {
		if !errors.Is(err, fault.Transient) {
			t.Errorf("the first write after it: %v, want fault.Transient", err)
		}
		write(t, d, insert(2))
	}
	waitFor(t, func() bool {
		err := d.Read(ctx, func(q *Reader) error { _, err := pid(q); return err })
		if err != nil && !errors.Is(err, fault.Transient) {
			t.Errorf("a read after it: %v, want fault.Transient", err)
		}
		return err == nil
	})
	if n := count(t, d); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	if err := d.Healthy(); err != nil {
		t.Error(err)
	}
}

func TestOneRipostePerSchema(t *testing.T) {
	t.Parallel()
	where := storetest.Postgres(t)
	d, err := Open(context.Background(), where, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := Open(context.Background(), where, Options{}); !errors.Is(err, fault.Conflict) {
		t.Errorf("the second got %v, %v, want fault.Conflict", second, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(context.Background(), where, Options{})
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestServersThatCannotBeUsedAreNamedWithoutTheirPassword(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	const secret = "not-the-password"
	with := func(change func(u *url.URL)) string {
		v := *u
		change(&v)
		return v.String()
	}
	for name, tt := range map[string]struct{ where, says string }{
		"a wrong password": {with(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), secret) }), "does not accept the user or the password"},
		"no such database": {with(func(u *url.URL) { u.Path = "/there-is-none" }), "there is no such database"},
		"nobody listens":   {with(func(u *url.URL) { u.Host = "127.0.0.1:1"; u.User = url.UserPassword("x", secret) }), "cannot be reached"},
		"not a URL":        {"postgres://x:" + secret + "@[", "cannot parse"},
		"another database": {"mysql://x:" + secret + "@127.0.0.1", `no kind of database "mysql"`},
	} {
		_, err := Open(context.Background(), tt.where, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: tells the password, or is no line: %v", name, err)
		}
	}
}

func TestTextsThatPostgreSQLCannotHold(t *testing.T) {
	t.Parallel()
	d := openPostgres(t)
	write(t, d, func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO n (v, s) VALUES (?, ?)", 1, "a\x00b\xffc")
		return err
	})
	read(t, d, func(q *Reader) error {
		var s string
		err := q.QueryRow("SELECT s FROM n WHERE s = ?", "a\x00b\xffc").Scan(&s)
		if s != "a\uFFFDb\uFFFDc" {
			t.Errorf("it holds %q", s)
		}
		return err
	})
}
