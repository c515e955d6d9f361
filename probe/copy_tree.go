package probe

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterhq/muster"
)

// keptSources is how many bytes of local files are held in memory, once for all targets; what is beyond
// is read again for each.
const keptSources = 64 << 20

// maxCopyFiles bounds what one source holds.
const maxCopyFiles = 100_000

// localTree is what is sent.
type localTree struct {
	entries []localEntry // folders before what is in them
	kept    int64        // bytes in memory
}

// localEntry is a file or folder to send.
type localEntry struct {
	base string // name of the source it belongs to
	rel  string // path below the source, with slashes; "" is the source itself
	path string
	info fs.FileInfo
	sum  [sha256.Size]byte // of a file
	data []byte            // of a file that is held in memory
	held bool
}

// add reads a source: a file, or a folder with all that is in it.
func (t *localTree) add(source string) error {
	base := filepath.Base(filepath.Clean(source))
	if base == "." || base == ".." || base == string(filepath.Separator) {
		abs, err := filepath.Abs(source)
		if err != nil {
			return muster.Errorf(muster.KindInvalid, "source %s: %w", source, err)
		}
		base = filepath.Base(abs)
	}
	root := filepath.Clean(source)
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved // a walk does not follow the one it begins with
	}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		e := localEntry{base: base, rel: filepath.ToSlash(rel), path: path}
		if e.rel == "." {
			e.rel = ""
		}
		return t.read(e)
	})
	if err != nil {
		return muster.Errorf(muster.KindInvalid, "source %s: %w", source, err)
	}
	return nil
}

// read completes an entry. Symbolic links stand for the files they lead to.
func (t *localTree) read(e localEntry) (err error) {
	if len(t.entries) == maxCopyFiles {
		return fmt.Errorf("more than %d files", maxCopyFiles)
	}
	if e.info, err = os.Stat(e.path); err != nil {
		return err
	}
	switch {
	case e.info.IsDir():
		if link, err := os.Lstat(e.path); err == nil && !link.IsDir() {
			return fmt.Errorf("%s leads to a folder: name that as a source of its own", e.path)
		}
	case e.info.Mode().IsRegular():
		if err := t.hash(&e); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s is neither a file nor a folder", e.path)
	}
	t.entries = append(t.entries, e)
	return nil
}

// hash reads the file, and keeps what it reads while there is room.
func (t *localTree) hash(e *localEntry) error {
	f, err := os.Open(e.path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	var kept bytes.Buffer
	w := io.Writer(h)
	if e.held = t.kept+e.info.Size() <= keptSources; e.held {
		t.kept += e.info.Size()
		w = io.MultiWriter(h, &kept)
	}
	n, err := io.Copy(w, io.LimitReader(f, e.info.Size()+1))
	if err != nil {
		return err
	}
	if n != e.info.Size() {
		return fmt.Errorf("%s changes while it is read", e.path)
	}
	h.Sum(e.sum[:0])
	e.data = kept.Bytes()
	return nil
}

// open returns the content of a file as it was hashed.
func (e *localEntry) open() (*io.SectionReader, io.Closer, error) {
	if e.held {
		return io.NewSectionReader(bytes.NewReader(e.data), 0, int64(len(e.data))), io.NopCloser(nil), nil
	}
	f, err := os.Open(e.path)
	if err != nil {
		return nil, nil, localFault("read", err)
	}
	if err := e.unchanged(f); err != nil {
		f.Close()
		return nil, nil, err
	}
	return io.NewSectionReader(f, 0, e.info.Size()), f, nil
}

// unchanged fails when the file is no longer the one that was hashed.
func (e *localEntry) unchanged(f *os.File) error {
	now, err := f.Stat()
	if err != nil {
		return localFault("read", err)
	}
	if !os.SameFile(now, e.info) || now.Size() != e.info.Size() || !now.ModTime().Equal(e.info.ModTime()) {
		return &fault{failure: muster.FailLocal, reason: "local file changed", detail: e.path + " has changed since the run began"}
	}
	return nil
}

func localFault(doing string, err error) error {
	return &fault{failure: muster.FailLocal, reason: "local " + doing, detail: doing + " here: " + err.Error()}
}
