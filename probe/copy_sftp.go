package probe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

const (
	// copyWindow is how many requests of one file are on their way, of 32 KiB each.
	copyWindow = 16
	// copyStreams is how many files are on their way to one target.
	copyStreams = 4
	// copyGrace is how long a copy that is told to stop may take to clean up on the target.
	copyGrace = 400 * time.Millisecond
	// copyTrouble is what is kept of what the server says beside the protocol.
	copyTrouble = 1 << 10
)

// sftpSession is SFTP over one channel of a connection.
type sftpSession struct {
	*sftp.Client
	work    sync.WaitGroup
	listing sftpListing
	trouble []byte // standard error; read it after work
	stop    func() bool
	stopped chan struct{}
}

// openSFTP starts the server's SFTP subsystem. When ctx ends the connection is closed, copyGrace later so
// that what was begun can be removed.
func (c *sshConn) openSFTP(ctx context.Context) (*sftpSession, error) {
	s := &sftpSession{stopped: make(chan struct{})}
	hurry := context.AfterFunc(ctx, func() { c.Conn.Close() })
	err := s.start(c)
	if !hurry() {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		s.work.Wait()
		return nil, s.explain(err)
	}
	s.stop = context.AfterFunc(ctx, func() {
		defer close(s.stopped)
		late := time.AfterFunc(copyGrace, func() { c.Conn.Close() })
		s.Wait() // for the end of the session, which close brings about
		late.Stop()
	})
	return s, nil
}

// start opens the channel and greets the server.
func (s *sftpSession) start(c *sshConn) error {
	ch, reqs, err := c.OpenChannel("session", nil)
	if err != nil {
		return err
	}
	s.work.Go(func() { ssh.DiscardRequests(reqs) })
	s.work.Go(func() { s.trouble = readHead(ch.Stderr(), copyTrouble) })
	ok, err := ch.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	if err != nil {
		return err
	}
	if !ok {
		return &fault{failure: muster.FailProtocol, reason: "SFTP refused", detail: "the server has no SFTP subsystem"}
	}
	s.listing.from = ch
	s.Client, err = sftp.NewClientPipe(&s.listing, ch, sftp.UseConcurrentWrites(true), sftp.MaxConcurrentRequestsPerFile(copyWindow))
	return s.noSFTP(err)
}

// maxListing bounds what a server says of one folder, which is held in memory.
const maxListing = 32 << 20

// sftpListing is what comes from the server, and ends the listing of a folder that has no end.
type sftpListing struct {
	from io.Reader
	room atomic.Int64
	stop atomic.Pointer[context.CancelCauseFunc] // nil while no folder is listed
}

// Read implements [io.Reader].
func (l *sftpListing) Read(b []byte) (int, error) {
	n, err := l.from.Read(b)
	if stop := l.stop.Load(); stop != nil && l.room.Add(-int64(n)) < 0 {
		(*stop)(&fault{failure: muster.FailTooLarge, reason: "too many files", detail: "a folder with more files than can be listed"})
	}
	return n, err
}

// list lists a folder.
func (s *sftpSession) list(ctx context.Context, at string) ([]fs.FileInfo, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.listing.room.Store(maxListing)
	s.listing.stop.Store(&stop)
	defer s.listing.stop.Store(nil)
	inside, err := s.ReadDirContext(ctx, at)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return inside, s.refused("list", at, err)
}

// noSFTP is how an attempt ends whose server does not speak SFTP.
func (s *sftpSession) noSFTP(err error) error {
	if err == nil || lostConnection(err) {
		return err
	}
	return &fault{failure: muster.FailProtocol, reason: "not an SFTP server", detail: "what the server says is not SFTP: " + err.Error()}
}

// explain adds what the server said beside the protocol.
func (s *sftpSession) explain(err error) error {
	said := lastLine(s.trouble)
	if f, ok := err.(*fault); ok && said != "" {
		return &fault{f.failure, f.reason, f.Error() + ": " + said, f.transient}
	}
	if lostConnection(err) {
		return &fault{muster.FailReset, "connection lost", "the server ended the SFTP session " + said, true}
	}
	return err
}

// close ends the session and waits until nothing of it is left.
func (s *sftpSession) close() {
	s.Client.Close()
	if !s.stop() {
		<-s.stopped
	}
	s.work.Wait()
}

// lostConnection reports whether err is the end of the connection or its channel.
func lostConnection(err error) bool {
	return errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, sftp.ErrSSHFxNoConnection) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// sftpRefusal is a target's word that it does not do what it was asked.
type sftpRefusal struct {
	code   int // status of SFTP
	reason string
	doing  string // what was asked
	err    error
}

// Error tells what the server said unless the reason says it all.
func (r *sftpRefusal) Error() string {
	if errors.Is(r.err, fs.ErrNotExist) || errors.Is(r.err, fs.ErrPermission) {
		return r.doing + ": " + r.reason
	}
	return r.doing + ": " + r.reason + " (" + r.err.Error() + ")"
}

// Unwrap returns what the target said.
func (r *sftpRefusal) Unwrap() error { return r.err }

// refused returns how a copy ends that met err while it was doing something with path. What is not the target's
// word is returned as it is.
func (s *sftpSession) refused(doing, path string, err error) error {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	if err == nil {
		return nil
	}
	if lostConnection(err) {
		return &fault{muster.FailReset, "connection lost", doing + " " + path + ": the server ended the session", true}
	}
	r := &sftpRefusal{doing: doing + " " + path, err: err}
	status, isStatus := errors.AsType[*sftp.StatusError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.code, r.reason = int(sftp.ErrSSHFxNoSuchFile), "no such file"
	case errors.Is(err, fs.ErrPermission):
		r.code, r.reason = int(sftp.ErrSSHFxPermissionDenied), "permission denied"
	case !isStatus:
		return &fault{failure: muster.FailProtocol, reason: "malformed SFTP", detail: r.doing + ": " + err.Error()}
	case strings.Contains(strings.ToLower(status.Error()), "no space") || s.full(path):
		r.code, r.reason = int(status.Code), "no space left"
	default:
		r.code, r.reason = int(status.Code), doing+" refused"
	}
	return r
}

// full asks whether the file system of path has no room, which SFTP has no status for.
func (s *sftpSession) full(path string) bool {
	if _, ok := s.HasExtension("statvfs@openssh.com"); !ok {
		return false
	}
	for _, p := range []string{path, parentOf(path)} {
		if v, err := s.StatVFS(p); err == nil {
			return v.Bavail == 0 || v.Files > 0 && v.Favail == 0
		}
	}
	return false
}
