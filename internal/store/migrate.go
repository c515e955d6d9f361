package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"path"
	"strings"

	"github.com/musterhq/muster"
)

//go:embed migration/*.sql
var migrationFiles embed.FS

// migrations returns the scripts in the order of their numbers; script n leads to schema n.
func migrations() ([]string, error) {
	es, err := migrationFiles.ReadDir("migration")
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(es))
	for i, e := range es {
		if !strings.HasPrefix(e.Name(), fmt.Sprintf("%04d_", i+1)) {
			return nil, fmt.Errorf("migration %s: want number %04d", e.Name(), i+1)
		}
		b, err := migrationFiles.ReadFile(path.Join("migration", e.Name()))
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return texts, nil
}

// migrate brings the schema up to date, each step in a transaction of its own.
func (w *writer) migrate(ctx context.Context) error {
	texts, err := migrations()
	if err != nil {
		return err
	}
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	wait, cancel := context.WithTimeout(ctx, w.cfg.BusyTimeout)
	defer cancel()
	if err := w.connect(wait); err != nil {
		return err
	}
	have, err := schemaVersion(ctx, w.conn)
	if err != nil {
		return err
	}
	for have < len(texts) {
		if have, err = w.step(wait, texts); err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
	}
	return checkVersion(have, len(texts))
}

// step applies the next script, unless another process has just done so.
func (w *writer) step(ctx context.Context, texts []string) (have int, err error) {
	if _, err := w.conn.ExecContext(ctx, sqlBegin); err != nil {
		return 0, err
	}
	defer func() {
		end := sqlCommit
		if err != nil {
			end = sqlRollback
		}
		if _, eerr := w.conn.ExecContext(context.WithoutCancel(ctx), end); err == nil {
			err = eerr
		}
	}()
	if have, err = schemaVersion(ctx, w.conn); err != nil || have >= len(texts) {
		return have, err
	}
	if have == 0 {
		var n int
		if err := w.conn.QueryRowContext(ctx, sqlCountTables).Scan(&n); err != nil {
			return 0, err
		}
		if n > 0 {
			return 0, muster.Errorf(muster.KindConflict, "store %s: this is the database of another program", w.cfg.Path)
		}
	}
	if _, err := w.conn.ExecContext(ctx, texts[have]); err != nil {
		return have, err
	}
	have++
	_, err = w.conn.ExecContext(ctx, fmt.Sprintf(sqlSetVersion, have))
	return have, err
}

// queryer is what *sql.DB and *sql.Conn have in common.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func schemaVersion(ctx context.Context, q queryer) (int, error) {
	var n int
	err := q.QueryRowContext(ctx, sqlVersion).Scan(&n)
	return n, err
}

// checkSchema refuses a store whose schema is not exactly ours: a reader cannot migrate.
func checkSchema(ctx context.Context, q queryer) error {
	texts, err := migrations()
	if err != nil {
		return err
	}
	have, err := schemaVersion(ctx, q)
	if err != nil {
		return err
	}
	return checkVersion(have, len(texts))
}

func checkVersion(have, want int) error {
	if have > want {
		return muster.Errorf(muster.KindConflict,
			"the store has schema %d, written by a newer muster; this one knows %d: upgrade muster or use another state folder",
			have, want)
	}
	if have < want {
		return muster.Errorf(muster.KindConflict, "the store has schema %d, this muster needs %d: open it once for writing", have, want)
	}
	return nil
}
