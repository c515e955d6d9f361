package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// spill is the file of JSON lines that a recorder falls back to. It is not safe for concurrent use.
type spill struct {
	cfg   Config
	id    string
	paths []string // files with something in them, the last one open
	file  *os.File
	size  int64
	tried []string // folders that failed
	buf   []byte
	err   error
	sync  func(f *os.File) error // waits for the disk; nil is File.Sync
}

// spillName is the name of a job's spill file in any folder.
func spillName(id string) string { return "muster-" + id + ".jsonl" }

// path names the files, "" for none.
func (s *spill) path() string { return strings.Join(s.paths, ", ") }

// home is the folder beside the store, the only one where every later process looks; "" for none.
func (s *spill) home() string {
	if s.cfg.Path == "" {
		return ""
	}
	return filepath.Dir(s.cfg.Path)
}

// folders lists where a spill file may be: beside the store, in the
// folder for temporary files, in the working folder.
func (s *spill) folders() []string {
	var ds []string
	if d := s.home(); d != "" {
		ds = append(ds, d)
	}
	ds = append(ds, os.TempDir())
	if d, err := os.Getwd(); err == nil {
		ds = append(ds, d)
	}
	return ds
}

// write appends the results and returns how many are in a file now.
func (s *spill) write(rs []muster.Result, keeps muster.SaveBodies) (int, error) {
	if s.cfg.Encode == nil {
		s.err = errors.New("no encoder for a spill file")
		return 0, s.err
	}
	for i := range rs {
		r := rs[i]
		if !keeps.Keeps(&r) {
			r.Body = nil
		}
		s.buf = append(s.cfg.Encode(s.buf[:0], &r), '\n')
		if err := s.append(); err != nil {
			return i, err
		}
	}
	return len(rs), nil
}

// reserveLine is the line of a reservation.
type reserveLine struct {
	Kind    string `json:"kind"`
	Indexes []int  `json:"indexes"`
}

const kindReserve = "reserve"

// reserve appends a reservation and waits for the disk. Only the file beside the store will do: in any
// other folder the one who closes a dead run may not find it.
func (s *spill) reserve(indexes []int) error {
	home := s.home()
	if s.file == nil && home != "" && !slices.Contains(s.tried, home) {
		s.create(home)
	}
	if s.file == nil || filepath.Dir(s.file.Name()) != home {
		return fmt.Errorf("no spill file beside the store: %w", s.errOr())
	}
	b, err := json.Marshal(reserveLine{kindReserve, indexes})
	if err != nil {
		return err
	}
	s.buf = append(append(s.buf[:0], b...), '\n')
	if err := s.put(); err != nil {
		return err
	}
	if err := s.flush(s.file); err != nil {
		// What the disk has is unknown from here on, and a later flush may not say so.
		s.giveUp(err)
		return err
	}
	return nil
}

// flush waits until the disk has a file or folder.
func (s *spill) flush(f *os.File) error {
	if s.sync == nil {
		return f.Sync()
	}
	return s.sync(f)
}

// append writes s.buf whole to the file at hand, or to one in the next folder.
func (s *spill) append() error {
	for s.file != nil || s.open() {
		if s.put() == nil {
			return nil
		}
	}
	return s.errOr()
}

// put writes s.buf whole to the file at hand, or leaves its folder.
func (s *spill) put() error {
	n, err := s.file.WriteAt(s.buf, s.size)
	if err != nil {
		s.giveUp(err)
		return err
	}
	s.size += int64(n)
	return nil
}

// open makes a file in the first folder that has not failed yet.
func (s *spill) open() bool {
	for _, d := range s.folders() {
		if !slices.Contains(s.tried, d) && s.create(d) {
			return true
		}
	}
	return false
}

// create makes a file in folder d, whose name for it would survive a power cut too.
func (s *spill) create(d string) bool {
	path := filepath.Join(d, spillName(s.id))
	// A name that exists is somebody else's, perhaps a trap in a shared folder.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		s.err, s.tried = err, append(s.tried, d)
		return false
	}
	s.file, s.paths, s.size = f, append(s.paths, path), 0
	if err := s.flushFolder(d); err != nil {
		s.giveUp(err)
		return false
	}
	return true
}

func (s *spill) flushFolder(d string) error {
	f, err := os.Open(d)
	if err != nil {
		return err
	}
	return errors.Join(s.flush(f), f.Close())
}

// giveUp leaves the folder at hand for the next one; half a line is cut off again. A file
// with nothing in it is removed.
func (s *spill) giveUp(cause error) {
	s.err = cause
	path := s.paths[len(s.paths)-1]
	errs := []error{s.file.Truncate(s.size), s.file.Close()}
	if s.size == 0 {
		errs = append(errs, os.Remove(path))
		s.paths = s.paths[:len(s.paths)-1]
	}
	if err := errors.Join(errs...); err != nil {
		s.err = fmt.Errorf("%w (%w)", cause, err)
	}
	s.file, s.tried = nil, append(s.tried, filepath.Dir(path))
}

func (s *spill) errOr() error {
	if s.err == nil {
		return errors.New("no folder takes a spill file")
	}
	return s.err
}

func (s *spill) close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
