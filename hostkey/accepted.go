package hostkey

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

// Accepted is the file of keys that were trusted on first use, with an index in memory. Several
// processes may use one file: what another one accepted is seen before anything is added. It is
// safe for concurrent use.
type Accepted struct {
	path string

	mu      sync.Mutex // guards index and pending
	index   *DB
	pending []*record

	commits sync.Mutex // held by the one who writes; guards the fields below
	disk    *os.File   // nil until something is accepted
	read    int64      // what of the file is in the index
	lines   int32
}

// record is a key that waits to be written.
type record struct {
	name     string
	key      ssh.PublicKey
	done     bool   // guarded by commits
	conflict *entry // another key that the name has got in the meantime
	err      error
}

// OpenAccepted reads the file at path, which need not exist: it is made, with its folder, when
// the first key is accepted.
func OpenAccepted(path string) (*Accepted, error) {
	a := &Accepted{path: path, index: &DB{plain: map[string]int32{}, found: map[string][]int32{}}}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, muster.Errorf(muster.KindInvalid, "read the accepted host keys: %w", err)
	}
	defer f.Close()
	if err := a.catchUp(f); err != nil {
		return nil, muster.Errorf(muster.KindInvalid, "read the accepted host keys: %s: %w", path, err)
	}
	return a, nil
}

// Close closes the file.
func (a *Accepted) Close() error {
	a.commits.Lock()
	defer a.commits.Unlock()
	if a.disk == nil {
		return nil
	}
	err := a.disk.Close()
	a.disk = nil
	return err
}

func (a *Accepted) file() string {
	if a == nil {
		return ""
	}
	return a.path
}

// known returns the keys of name. They are copies: the index grows.
func (a *Accepted) known(name string) []*entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []*entry
	for _, e := range a.index.known(name) {
		found = append(found, new(*e))
	}
	return found
}

// accept records that name has the key, durably. It returns the entry that is in its way, if any. Those
// who come while one writes are written together by the next.
func (a *Accepted) accept(name string, key ssh.PublicKey) (conflict *entry, err error) {
	r := &record{name: name, key: key}
	a.mu.Lock()
	a.pending = append(a.pending, r)
	a.mu.Unlock()
	a.commits.Lock()
	defer a.commits.Unlock()
	if !r.done {
		a.mu.Lock()
		batch := a.pending
		a.pending = nil
		a.mu.Unlock()
		a.commit(batch)
	}
	return r.conflict, r.err
}

// commit writes a batch under the file's lock.
func (a *Accepted) commit(batch []*record) {
	err := a.append(batch)
	for _, r := range batch {
		r.done = true
		if err != nil {
			r.err = err
		}
	}
}

func (a *Accepted) append(batch []*record) error {
	if err := a.open(); err != nil {
		return err
	}
	if err := lock(a.disk); err != nil {
		return fmt.Errorf("lock %s: %w", a.path, err)
	}
	defer unlock(a.disk)
	if err := a.catchUp(a.disk); err != nil {
		return err
	}
	text := a.lacking(batch)
	if text == "" {
		return nil
	}
	end, err := a.disk.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if end > a.read { // a line that a crash cut off
		text = "\n" + text
	}
	if _, err := a.disk.WriteString(text); err != nil {
		return errors.Join(err, a.disk.Truncate(end))
	}
	if err := a.disk.Sync(); err != nil {
		return err
	}
	return a.catchUp(a.disk)
}

// lacking returns the lines of the batch that the file does not have, and finds conflicts.
func (a *Accepted) lacking(batch []*record) string {
	var b strings.Builder
	added := map[string]offered{}
	for _, r := range batch {
		o := offer(r.key)
		entries := a.known(r.name)
		if earlier, ok := added[r.name]; ok {
			entries = append(entries, &entry{kind: earlier.kind, key: earlier.key, file: -1, line: a.lines})
		}
		if len(entries) == 0 {
			b.WriteString(Line(r.name, r.key) + "\n")
			added[r.name] = o
			continue
		}
		r.conflict = entries[0]
		for _, e := range entries {
			if e.is(o) {
				r.conflict = nil
			}
		}
	}
	return b.String()
}

// open opens the file, anew when somebody has put another one in its place.
func (a *Accepted) open() error {
	if a.disk != nil {
		mine, err1 := a.disk.Stat()
		there, err2 := os.Stat(a.path)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) && there.Size() >= a.read {
			return nil
		}
		a.disk.Close()
		a.disk, a.read, a.lines = nil, 0, 0
		a.mu.Lock()
		a.index = &DB{plain: map[string]int32{}, found: map[string][]int32{}}
		a.mu.Unlock()
	}
	if err := os.MkdirAll(filepath.Dir(a.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(a.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	a.disk = f
	return err
}

// catchUp reads the whole lines that the index does not have.
func (a *Accepted) catchUp(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() <= a.read {
		return err
	}
	tail := make([]byte, info.Size()-a.read)
	if _, err := f.ReadAt(tail, a.read); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	text := string(tail)
	text = text[:strings.LastIndexByte(text, '\n')+1]
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range strings.Lines(text) {
		a.lines++
		if p, ok := parseLine(line); ok {
			a.index.add(p, entry{kind: p.kind, key: p.key, file: -1, line: a.lines})
		}
	}
	a.read += int64(len(text))
	return nil
}
