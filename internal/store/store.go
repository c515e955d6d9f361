package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/musterhq/muster"
)

// Config says where a store is and how it behaves.
type Config struct {
	// Path is the database file; its folder is created with mode 0700, the file with 0600.
	Path string
	// ReadOnly opens an existing store without ever writing to it.
	ReadOnly bool
	// BusyTimeout is how long a write waits for other processes; 0 is DefaultBusyTimeout.
	BusyTimeout time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Encode appends one result as a JSON object to dst, as sink.AppendResult does; spill files
	// are lines of these. Without it nothing can be spilled: what the store does not take is lost, and counted.
	Encode func(dst []byte, r *muster.Result) []byte
	// Rebuild makes a list from its recipe (see [Recipe]). Without it recipes
	// are ignored and every list is stored target by target.
	Rebuild func(recipe []byte) (muster.List, error)
}

// DefaultBusyTimeout is the default of [Config.BusyTimeout].
const DefaultBusyTimeout = 5 * time.Second

// Validate reports every problem of the configuration at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, muster.Errorf(muster.KindInvalid, "store: no path given"))
	}
	if c.BusyTimeout < 0 {
		errs = append(errs, muster.Errorf(muster.KindInvalid, "store: busy timeout %v: want a positive duration", c.BusyTimeout))
	}
	return errors.Join(errs...)
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	cfg   Config
	p     *packer
	file  os.FileInfo // the file as it was opened
	w     *writer     // nil in a read-only store
	read  *sql.DB
	cache *chunkCache
}

// Open opens the store, creating or migrating it as needed. A store that was
// written by a newer muster is refused with [muster.KindConflict]; one that is out
// of reach or not a store with [muster.KindUnavailable].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.BusyTimeout == 0 {
		cfg.BusyTimeout = DefaultBusyTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", cfg.Path, err)
	}
	cfg.Path = path
	s := &Store{cfg: cfg, p: newPacker(), cache: newChunkCache()}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(s.failed("open store", err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if !s.cfg.ReadOnly {
		if err := createFile(s.cfg.Path); err != nil {
			return err
		}
	}
	if s.file, err = os.Stat(s.cfg.Path); err != nil {
		return err
	}
	if s.read, err = openReaders(s.cfg); err != nil {
		return err
	}
	if s.cfg.ReadOnly {
		return checkSchema(ctx, s.read)
	}
	s.w = newWriter(s.cfg)
	return s.w.migrate(ctx)
}

// createFile makes the folder and an empty file when there is none. An existing
// file is not opened: closing it would drop the locks that this process holds on it.
func createFile(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Close releases the store. Recorders that are still open spill what they are given afterwards.
func (s *Store) Close() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.w != nil {
		errs = append(errs, s.w.close())
	}
	return errors.Join(errs...)
}

// Path returns the database file.
func (s *Store) Path() string { return s.cfg.Path }

// present reports an error when the file is not the one that was opened: SQLite
// would go on writing to a file without a name.
func (s *Store) present() error {
	now, err := os.Stat(s.cfg.Path)
	if err != nil {
		return err
	}
	if !os.SameFile(now, s.file) {
		return fmt.Errorf("%s was replaced by another file", s.cfg.Path)
	}
	return nil
}

// write runs f in a write transaction. durable also waits for the disk.
func (s *Store) write(ctx context.Context, durable bool, f func(t *tx) error) error {
	if s.w == nil {
		return muster.Errorf(muster.KindDenied, "store %s is open for reading only", s.cfg.Path)
	}
	if err := s.present(); err != nil {
		return err
	}
	return s.w.do(ctx, durable, f)
}
