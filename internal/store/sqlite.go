package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"modernc.org/sqlite"

	"github.com/musterhq/muster"
)

// SQLite's primary result codes that are told apart, https://sqlite.org/rescode.html.
const (
	codeBusy       = 5
	codeReadOnly   = 8
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeNotADB     = 26
)

const (
	// pageSize is larger than SQLite's default because a segment is tens of kilobytes.
	pageSize = 8 << 10
	// checkpointPages is the length of the log, in pages, after which a commit moves it into the file.
	checkpointPages = 2000
	// logLimit is what remains of a log that a long reader let grow.
	logLimit = 64 << 20
	// readers is how many connections read at once.
	readers = 4
)

// dsn returns the connection string; the only parts that vary are the path, which is escaped, and numbers.
func dsn(cfg Config, more ...string) string {
	q := url.Values{}
	q.Set("_busy_timeout", strconv.FormatInt(cfg.BusyTimeout.Milliseconds(), 10))
	q.Set("_dqs", "0")
	q.Set("_error_rc", "1")
	for i := 0; i < len(more); i += 2 {
		q.Add(more[i], more[i+1])
	}
	return (&url.URL{Scheme: "file", Path: cfg.Path, RawQuery: q.Encode()}).String()
}

func openDB(dsn string, conns int) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func openReaders(cfg Config) (*sql.DB, error) {
	return openDB(dsn(cfg, "mode", "ro", "_query_only", "1", "_pragma", "cache_size(-8192)"), readers)
}

// writer is the store's one writing connection. Writers of one process queue
// here in memory, those of different processes at SQLite's lock.
type writer struct {
	cfg     Config
	turn    chan struct{} // holds one token when the connection is free
	db      *sql.DB
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	durable bool // commits wait for the disk
	closed  bool
}

func newWriter(cfg Config) *writer {
	w := &writer{cfg: cfg, turn: make(chan struct{}, 1), stmts: map[string]*sql.Stmt{}}
	w.turn <- struct{}{}
	return w
}

func (w *writer) connect(ctx context.Context) error {
	if w.closed {
		return fs.ErrClosed
	}
	if w.conn != nil {
		return nil
	}
	db, err := openDB(dsn(w.cfg, "mode", "rw", "_auto_vacuum", "INCREMENTAL",
		"_pragma", "page_size("+strconv.Itoa(pageSize)+")",
		"_pragma", "journal_mode(WAL)",
		"_pragma", "synchronous(NORMAL)",
		"_pragma", "wal_autocheckpoint("+strconv.Itoa(checkpointPages)+")",
		"_pragma", "journal_size_limit("+strconv.Itoa(logLimit)+")",
		"_pragma", "cache_size(-8192)"), 1)
	if err != nil {
		return err
	}
	conn, err := retryBusy(ctx, func() (*sql.Conn, error) { return db.Conn(ctx) })
	if err != nil {
		return errors.Join(err, db.Close())
	}
	w.db, w.conn, w.durable = db, conn, false
	return nil
}

// retryBusy repeats f while the file is locked: the change to the write-ahead log does not wait by itself.
func retryBusy[T any](ctx context.Context, f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if codeOf(err) != codeBusy {
			return v, err
		}
		t := time.NewTimer(5 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			return v, err
		case <-t.C:
		}
	}
}

func (w *writer) close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	w.closed = true
	return w.disconnect()
}

func (w *writer) disconnect() error {
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.Close())
	}
	clear(w.stmts)
	if w.conn != nil {
		errs = append(errs, w.conn.Close(), w.db.Close())
	}
	w.conn, w.db = nil, nil
	return errors.Join(errs...)
}

// do runs f in a transaction that holds the write lock from its start. All
// waiting together is bounded by the busy timeout and by ctx.
func (w *writer) do(ctx context.Context, durable bool, f func(t *tx) error) error {
	wait, cancel := context.WithTimeout(ctx, w.cfg.BusyTimeout)
	defer cancel()
	select {
	case <-w.turn:
		defer func() { w.turn <- struct{}{} }()
	case <-wait.Done():
		return fmt.Errorf("wait for the store: %w", context.Cause(wait))
	}
	if err := w.connect(wait); err != nil {
		return err
	}
	if err := w.sync(wait, durable); err != nil {
		return err
	}
	if _, err := w.exec(wait, sqlBegin); err != nil {
		return err
	}
	// Once the lock is held nothing waits any more, and half a transaction is no use.
	t := &tx{w: w, ctx: context.WithoutCancel(ctx)}
	err := f(t)
	if err == nil {
		_, err = w.exec(t.ctx, sqlCommit)
	}
	if err != nil {
		// After some errors SQLite has rolled back by itself; a rollback that fails then is no news.
		if _, rerr := w.exec(t.ctx, sqlRollback); rerr != nil && codeOf(err) == 0 {
			err = errors.Join(err, w.disconnect())
		}
	}
	return err
}

func (w *writer) sync(ctx context.Context, durable bool) error {
	if w.durable == durable {
		return nil
	}
	text := sqlSyncNormal
	if durable {
		text = sqlSyncFull
	}
	if _, err := w.exec(ctx, text); err != nil {
		return err
	}
	w.durable = durable
	return nil
}

func (w *writer) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if st := w.stmts[text]; st != nil {
		return st, nil
	}
	st, err := w.conn.PrepareContext(ctx, text)
	if err == nil {
		w.stmts[text] = st
	}
	return st, err
}

func (w *writer) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	st, err := w.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(ctx, args...)
}

// tx is a write transaction under way.
type tx struct {
	w   *writer
	ctx context.Context // never ends: stored for the few statements of one transaction
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(text string, args ...any) (int64, error) {
	r, err := t.w.exec(t.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// insert runs a statement and returns the number of the new row.
func (t *tx) insert(text string, args ...any) (int64, error) {
	r, err := t.w.exec(t.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// row scans the first row into dst; [sql.ErrNoRows] when there is none.
func (t *tx) row(dst []any, text string, args ...any) error {
	st, err := t.w.stmt(t.ctx, text)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dst...)
}

// codeOf returns SQLite's primary result code in err's chain, or 0.
func codeOf(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// failed wraps err, a problem of the store's own, with the operation, the file and the way out.
func (s *Store) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*muster.Error](err); ok {
		return err
	}
	return muster.Errorf(muster.KindUnavailable, "%s %s: %s%w", doing, s.cfg.Path, hint(err), err)
}

func hint(err error) string {
	switch code := codeOf(err); {
	case code == codeFull || errors.Is(err, syscall.ENOSPC):
		return "the disk is full, free some space or delete old runs: "
	case code == codeBusy || errors.Is(err, context.DeadlineExceeded):
		return "another process keeps it locked: "
	case code == codeCorrupt, code == codeNotADB:
		return "the file is damaged or no store, move it away to start afresh: "
	case errors.Is(err, errCorrupt):
		return "some of its rows are damaged, delete the run that they belong to: "
	case code == codeReadOnly, errors.Is(err, fs.ErrPermission):
		return "the file or its folder is not writable: "
	case errors.Is(err, fs.ErrNotExist):
		return "the file is not there: "
	case code == codeIO || code == codeCantOpen:
		return "the file or its disk cannot be used: "
	}
	return ""
}
