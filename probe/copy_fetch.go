package probe

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	slash "path" // the paths of SFTP
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"

	"github.com/musterhq/muster"
)

// maxCopyDepth bounds how deep folders of a target may be nested.
const maxCopyDepth = 100

// download is one target's copy to here.
type download struct {
	*sftpSession
	prober *copyProber
	folder string   // of the target
	root   *os.Root // nil until there is something to write
	done   *copied
	met    int // files, folders, and what is skipped
}

// folderOf is the name of the folder for what comes from a target; no two ids share one.
func folderOf(id string) string {
	name := url.PathEscape(id)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	return name
}

// localPath is where a path of a target lands below its folder: never outside of it.
func localPath(remote string) string {
	clean := slash.Clean("/" + remote)[1:]
	if clean == "" {
		clean = "."
	}
	return filepath.FromSlash(clean)
}

func (p *copyProber) fetch(ctx context.Context, s *sftpSession, t *muster.Target, paths []string, done *copied) error {
	d := &download{sftpSession: s, prober: p, folder: filepath.Join(p.dir, folderOf(t.ID)), done: done}
	defer func() {
		if d.root != nil {
			d.root.Close()
		}
	}()
	for _, path := range paths {
		info, err := s.Stat(path)
		if err != nil {
			return s.refused("read", path, err)
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return &sftpRefusal{int(sftp.ErrSSHFxFailure), "not a file", "read " + path, fmt.Errorf("it is a %v", info.Mode().Type())}
		}
		if err := d.get(ctx, path, info, 0); err != nil {
			return err
		}
	}
	return nil
}

// get fetches a file, or a folder with all that is in it.
func (d *download) get(ctx context.Context, at string, info fs.FileInfo, depth int) error {
	d.met++
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case d.met > maxCopyFiles:
		return &fault{failure: muster.FailTooLarge, reason: "too many files", detail: fmt.Sprintf("more than %d files and folders", maxCopyFiles)}
	case info.Mode().IsRegular():
		return d.file(ctx, at, info)
	case !info.IsDir():
		d.done.skipped++
		return nil
	case depth == maxCopyDepth:
		return &fault{failure: muster.FailTooLarge, reason: "nested too deeply", detail: at}
	}
	inside, err := d.list(ctx, at)
	if err != nil {
		return err
	}
	if err := d.makeFolder(localPath(at)); err != nil {
		return err
	}
	for _, e := range inside {
		if err := d.getEntry(ctx, at, e, depth+1); err != nil {
			return err
		}
	}
	if !d.prober.spec.Preserve {
		return nil
	}
	return d.stamp(localPath(at), info)
}

// getEntry fetches what is in a folder. A link to a file stands for the file; one to a folder is skipped, since it may
// lead in a circle.
func (d *download) getEntry(ctx context.Context, dir string, e fs.FileInfo, depth int) error {
	name := e.Name()
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return &fault{failure: muster.FailProtocol, reason: "malformed file name", detail: fmt.Sprintf("%s holds a file named %q", dir, name)}
	}
	at := slash.Join(dir, name)
	if e.Mode()&fs.ModeSymlink != 0 {
		info, err := d.Stat(at)
		if err != nil || info.IsDir() {
			d.done.skipped++
			return nil
		}
		e = info
	}
	return d.get(ctx, at, e, depth)
}

// file fetches one file beside its place and moves it there.
func (d *download) file(ctx context.Context, at string, info fs.FileInfo) (err error) {
	from, err := d.Open(at)
	if err != nil {
		return d.refused("read", at, err)
	}
	defer from.Close()
	place := localPath(at)
	if err := d.makeFolder(filepath.Dir(place)); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(place), ".muster-"+rand.Text()[:12])
	to, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o200)
	if err != nil {
		return localFault("write", err)
	}
	defer func() {
		if err != nil {
			d.root.Remove(temp)
		}
	}()
	w := &sink{ctx: ctx, file: to, room: d.prober.spec.sizeLimit() - d.done.bytes}
	sum := sha256.New()
	n, err := from.WriteTo(io.MultiWriter(w, sum))
	if closeErr := to.Close(); err == nil && closeErr != nil {
		err = localFault("write", closeErr)
	}
	if err == nil && d.prober.spec.Preserve {
		err = d.stamp(temp, info)
	}
	if err != nil {
		return d.refused("read", at, err)
	}
	if err := d.root.Rename(temp, place); err != nil {
		return localFault("write", err)
	}
	d.done.add(at, n, sum.Sum(nil))
	return nil
}

// sink writes a file within the limit, until its context ends.
type sink struct {
	ctx  context.Context
	file *os.File
	room int64
}

// Write implements [io.Writer].
func (s *sink) Write(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	if s.room -= int64(len(b)); s.room < 0 {
		return 0, &fault{failure: muster.FailTooLarge, reason: "files too large", detail: "the files exceed the limit of what is fetched from one target (size_limit raises it)"}
	}
	n, err := s.file.Write(b)
	if err != nil {
		return n, localFault("write", err)
	}
	return n, nil
}

// makeFolder makes a folder below that of the target, which it makes first.
func (d *download) makeFolder(name string) error {
	if d.root == nil {
		if err := os.MkdirAll(d.folder, 0o777); err != nil {
			return localFault("write", err)
		}
		var err error
		if d.root, err = os.OpenRoot(d.folder); err != nil {
			return localFault("write", err)
		}
	}
	if err := d.root.MkdirAll(name, 0o777); err != nil {
		return localFault("write", err)
	}
	return nil
}

// stamp gives what was fetched the permissions and times of its source.
func (d *download) stamp(name string, info fs.FileInfo) error {
	err := d.root.Chmod(name, info.Mode().Perm())
	if err == nil {
		err = d.root.Chtimes(name, info.ModTime(), info.ModTime())
	}
	if err != nil {
		return localFault("write", err)
	}
	return nil
}
