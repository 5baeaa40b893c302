package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"riposte/internal/fault"
)

// The tables, one file a step: NUMBER_NAME.sql for all databases, in the words
// of SQLite, or NUMBER_NAME.DATABASE.sql for one of them.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date, each step in a transaction of its own,
// and refuses a database that a newer program wrote.
func migrate(ctx context.Context, be backend, db *sql.DB) error {
	dialect, suffix, translate := be.migrations()
	steps, err := steps(suffix, translate, be.text)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, db, nil,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()), goose.WithGoMigrations(steps...))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	have, know, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > know {
		return fmt.Errorf("its tables are of version %d and this program knows %d; use the newer program: %w",
			have, know, fault.Invalid)
	}
	if have == know {
		return nil
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring the tables up to date: %w", err)
	}
	return nil
}

// conversions are what a step does with the rows that are there, after its file.
var conversions = map[int64]func(ctx context.Context, tx *sql.Tx, text func(string) string) error{
	14: packOldAlerts,
}

// steps reads the files that are meant for a database.
func steps(suffix string, translate, text func(string) string) (list []*goose.Migration, err error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "migrations/"), ".sql")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s has no number: %w", file, err)
		}
		_, only, _ := strings.Cut(name, ".")
		if only != "" && only != suffix {
			continue
		}
		raw, err := migrations.ReadFile(file)
		if err != nil {
			return nil, err
		}
		ddl := string(raw)
		if only == "" {
			ddl = translate(ddl)
		}
		list = append(list, goose.NewGoMigration(version, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, ddl); err != nil {
				return err
			}
			if convert := conversions[version]; convert != nil {
				return convert(ctx, tx, text)
			}
			return nil
		}}, nil))
	}
	return list, nil
}
