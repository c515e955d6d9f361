package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	slash "path" // the paths of SFTP
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pkg/sftp"

	"github.com/musterhq/muster"
)

// othersWrite are the permissions that a copy does not get by itself.
const othersWrite fs.FileMode = 0o022

// upload is one target's copy of the local files.
type upload struct {
	*sftpSession
	prober *copyProber
	dest   string
	into   bool // dest is the folder to put them into
}

// uploader says where the local files go.
func (p *copyProber) uploader(dest string) *upload {
	return &upload{prober: p, dest: dest, into: len(p.spec.Sources) > 1 || strings.HasSuffix(dest, "/")}
}

// place is the path of an entry on the target.
func (u *upload) place(e *localEntry) string {
	if u.into {
		return slash.Join(u.dest, e.base, e.rel)
	}
	return slash.Join(u.dest, e.rel)
}

func (p *copyProber) upload(ctx context.Context, s *sftpSession, dest string, done *copied, r *muster.Result) error {
	u := p.uploader(dest)
	u.sftpSession = s
	r.Sent = true
	for i := range p.tree.entries {
		if e := &p.tree.entries[i]; e.info.IsDir() && ctx.Err() == nil {
			if err := u.folder(e); err != nil {
				return err
			}
		}
	}
	if err := u.files(ctx, done); err != nil || !p.spec.Preserve {
		return err
	}
	return u.stampFolders()
}

// files sends the files, a few at a time so that many small ones do not each wait for every word of the
// server. The first error ends them all.
func (u *upload) files(ctx context.Context, done *copied) error {
	entries := u.prober.tree.entries
	sent := make([]bool, len(entries))
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(copyStreams, len(entries)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(entries) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if entries[i].info.IsDir() {
					continue
				}
				err := u.file(ctx, &entries[i])
				if sent[i] = err == nil; !sent[i] {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range entries {
		if e := &entries[i]; sent[i] {
			done.add(u.place(e), e.info.Size(), e.sum[:])
		}
	}
	return context.Cause(ctx)
}

// folder makes a folder that is not there.
func (u *upload) folder(e *localEntry) error {
	at := u.place(e)
	err := u.Mkdir(at)
	if err != nil {
		info, statErr := u.Stat(at)
		switch {
		case statErr == nil && info.IsDir():
			return nil
		case statErr == nil:
			return &sftpRefusal{int(sftp.ErrSSHFxFailure), "not a folder", "make folder " + at, err}
		}
		err = u.MkdirAll(at)
	}
	if err == nil && u.prober.spec.Preserve {
		err = u.Chmod(at, permissions(e.info, true)|0o700) // what is in it is yet to come
	}
	return u.refused("make folder", at, err)
}

// file sends a file beside its place and moves it there.
func (u *upload) file(ctx context.Context, e *localEntry) error {
	at := u.place(e)
	temp := besides(at)
	f, err := u.create(temp)
	if err != nil {
		return u.refused("write", at, err)
	}
	err = u.refused("write", at, u.fill(ctx, f, e))
	if err == nil {
		err = u.finish(temp, at, e)
	}
	if err != nil {
		u.Remove(temp) // it is there unless the connection is lost
		return err
	}
	return nil
}

// create makes a file, and the folder it belongs into.
func (u *upload) create(at string) (*sftp.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := u.OpenFile(at, flags)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := u.MkdirAll(parentOf(at)); err != nil {
		return nil, err
	}
	return u.OpenFile(at, flags)
}

// fill writes the content and the permissions.
func (u *upload) fill(ctx context.Context, f *sftp.File, e *localEntry) error {
	content, closer, err := e.open()
	if err != nil {
		f.Close()
		return err
	}
	defer closer.Close()
	_, err = f.ReadFrom(&attended{ctx, content})
	if err == nil {
		err = f.Chmod(permissions(e.info, u.prober.spec.Preserve))
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if file, ok := closer.(*os.File); ok && err == nil {
		err = e.unchanged(file)
	}
	return err
}

// attended is a reader that ends with its context.
type attended struct {
	ctx  context.Context
	from *io.SectionReader
}

// Read implements [io.Reader].
func (a *attended) Read(b []byte) (int, error) {
	if a.ctx.Err() != nil {
		return 0, context.Cause(a.ctx)
	}
	return a.from.Read(b)
}

// Size tells how much there is, so that small files need no window.
func (a *attended) Size() int64 { return a.from.Size() }

// finish moves a complete file to its place.
func (u *upload) finish(temp, at string, e *localEntry) error {
	if u.prober.spec.Preserve {
		if err := u.Chtimes(temp, e.info.ModTime(), e.info.ModTime()); err != nil {
			return u.refused("set times", at, err)
		}
	}
	err := u.replace(temp, at)
	if err == nil {
		return nil
	}
	if info, statErr := u.Stat(at); statErr == nil && info.IsDir() {
		return &sftpRefusal{int(sftp.ErrSSHFxFailure), "is a folder", "write " + at + " (end the destination with / to copy into it)", err}
	}
	return u.refused("write", at, err)
}

// replace renames over what is there, at once where the server can do that.
func (u *upload) replace(temp, at string) error {
	if _, ok := u.HasExtension("posix-rename@openssh.com"); ok {
		return u.PosixRename(temp, at)
	}
	err := u.Rename(temp, at)
	if err == nil {
		return nil
	}
	if info, statErr := u.Stat(at); statErr != nil || info.IsDir() || u.Remove(at) != nil {
		return err
	}
	return u.Rename(temp, at)
}

// stampFolders gives the folders their times and permissions, when nothing in them changes any more.
func (u *upload) stampFolders() error {
	entries := u.prober.tree.entries
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		if !e.info.IsDir() {
			continue
		}
		at := u.place(e)
		err := u.Chmod(at, permissions(e.info, true))
		if err == nil {
			err = u.Chtimes(at, e.info.ModTime(), e.info.ModTime())
		}
		if err != nil {
			return u.refused("set times", at, err)
		}
	}
	return nil
}

// permissions are those that a copy gets.
func permissions(info fs.FileInfo, preserve bool) fs.FileMode {
	if preserve {
		return info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	}
	return info.Mode().Perm() &^ othersWrite
}

// besides is a name in the folder of at that nobody else uses.
func besides(at string) string {
	const longest = 200 // of the 255 bytes that a name may have
	dir, name := slash.Split(at)
	return dir + "." + name[:min(len(name), longest)] + ".muster-" + rand.Text()[:8]
}

// parentOf is the folder that a path on a target is in.
func parentOf(at string) string { return slash.Dir(at) }
