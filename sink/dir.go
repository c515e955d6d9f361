package sink

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterhq/muster"
)

// IndexFile is the name of the file in which [Dir] lists its results.
const IndexFile = "index.jsonl"

// Dir writes the body of every target that answered into a file of its own, all in one
// folder, which it makes when it is not there, and a line per result of any outcome into
// IndexFile: that of [AppendResult] with "file", the name of the body's file, instead of the
// body. Files of an earlier run are replaced where a target has one again and stay otherwise.
//
// A file is named like its target as far as that is safe, see [FileName]. Nothing is written
// outside the folder, through links either.
type Dir struct {
	// Path must be set.
	Path string

	root  *os.Root
	index *bufio.Writer
	file  *os.File
	err   error
	told  bool
	buf   []byte
}

var _ muster.Sink = (*Dir)(nil)

// Write writes the files of rs. After an error, which names the file, it does nothing but
// return it again.
func (d *Dir) Write(_ context.Context, rs []muster.Result) error {
	if d.err == nil && d.root == nil {
		d.err = d.open()
	}
	for i := range rs {
		if d.err != nil {
			break
		}
		d.err = d.result(rs[i])
	}
	d.told = d.told || d.err != nil
	return d.err
}

func (d *Dir) open() (err error) {
	if err := os.MkdirAll(d.Path, 0o777); err != nil {
		return err
	}
	if d.root, err = os.OpenRoot(d.Path); err != nil {
		return err
	}
	if d.file, err = d.root.Create(IndexFile); err != nil {
		return d.in(err)
	}
	d.index = bufio.NewWriter(d.file)
	return nil
}

func (d *Dir) result(r muster.Result) error {
	name := ""
	if r.Outcome.Answered() || len(r.Body) > 0 {
		name = FileName(r.Target)
		if err := d.root.WriteFile(name, r.Body, 0o666); err != nil {
			return d.in(err)
		}
	}
	r.Body = nil
	d.buf = AppendResult(d.buf[:0], &r)
	if name != "" {
		d.buf = append(d.buf[:len(d.buf)-1], `,"file":`...)
		d.buf = append(appendString(d.buf, name), '}')
	}
	_, err := d.index.Write(append(d.buf, '\n'))
	return d.in(err)
}

// in gives the errors of files within the folder their whole path.
func (d *Dir) in(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s %s: %w", e.Op, filepath.Join(d.Path, filepath.Base(e.Path)), e.Err)
	}
	return err
}

// Close completes IndexFile and reports what no Write has reported.
func (d *Dir) Close() error {
	if d.err == nil && d.root == nil {
		d.err = d.open() // a run without results has an empty index
	}
	if d.index != nil {
		err := d.in(errors.Join(d.index.Flush(), d.file.Close()))
		if d.err == nil {
			d.err = err
		}
		d.index = nil
	}
	if d.root != nil {
		d.root.Close() // only the folder was open
	}
	if d.told {
		return nil
	}
	d.told = true
	return d.err
}

// maxFileName is how much of an id a file's name shows.
const maxFileName = 120

// FileName returns the name under which [Dir] keeps the body of the target with this id. An
// id of up to 120 lower-case letters, digits and - . _ : @ + = , % that does not begin with - or . is
// its own file name. Every other one has "_" for each other byte, is cut, and
// gets "~" and 80 bits of its hash, so that different ids have different files on file systems
// that ignore case too.
func FileName(id string) string {
	name := make([]byte, 0, maxFileName+21)
	safe := id != "" && id != IndexFile && len(id) <= maxFileName
	for i := range min(len(id), maxFileName) {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == ':', c == '@', c == '+', c == '=', c == ',', c == '%':
		case (c == '-' || c == '.') && i > 0:
		case c >= 'A' && c <= 'Z':
			safe = false
		default:
			c, safe = '_', false
		}
		name = append(name, c)
	}
	if safe {
		return string(name)
	}
	sum := sha256.Sum256([]byte(id))
	return string(hex.AppendEncode(append(name, '~'), sum[:10]))
}
