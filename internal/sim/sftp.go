package sim

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"

	"github.com/pkg/sftp"
)

// files holds what each address was sent over SFTP, in memory.
type files struct {
	mu   sync.Mutex
	tree map[netip.AddrPort]sftp.Handlers
}

func (f *files) of(ap netip.AddrPort) sftp.Handlers {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tree == nil {
		f.tree = map[netip.AddrPort]sftp.Handlers{}
	}
	h, ok := f.tree[ap]
	if !ok {
		h = sftp.InMemHandler()
		f.tree[ap] = h
	}
	return h
}

// transfer serves SFTP on a channel under the behaviour of the address.
func (sh *shell) transfer(ctx context.Context) {
	c, v := sh.session, sh.service
	v.srv.gauge.requests.Add(1)
	n := v.srv.tally.request(&c.ep)
	sc := v.srv.script.Load()
	b := sc.choose(&c.ep, nil)
	b.served.Add(1)
	wait(ctx, sc.delay(&b.Behaviour, &c.ep))
	w := &faultyFiles{
		Handlers:  v.files.of(c.ep.addr),
		answering: answering{script: sc, b: &b.Behaviour, instance: instance{seed: sc.seed, ep: c.ep, n: n}},
	}
	w.breakOff = func() error { return sh.breakOff(ctx, &w.answering, "true") }
	w.lose = sh.channel.Close
	h := sftp.Handlers{FileGet: w.FileGet, FilePut: w, FileCmd: w.FileCmd, FileList: w.FileList}
	server := sftp.NewRequestServer(sh.channel, h)
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	err := server.Serve()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	sh.end(0, err)
}

// faultyFiles takes files as the behaviour of the address has it.
type faultyFiles struct {
	sftp.Handlers
	answering
	breakOff, lose func() error // the connection or the channel
}

// Filewrite implements [sftp.FileWriter].
func (f *faultyFiles) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	status, fails := f.fails()
	switch {
	case fails && status == int(sftp.ErrSSHFxPermissionDenied):
		return nil, sftp.ErrSSHFxPermissionDenied
	case f.b.Kind == Hang || f.b.Kind == CloseBefore || f.b.Kind == Reset && f.b.Where == "":
		return nil, f.breakOff()
	}
	w, err := f.FilePut.Filewrite(r)
	if err != nil {
		return nil, err
	}
	if fails || f.b.Kind == HangBody || f.b.Kind == CloseEarly || f.b.Kind == Reset {
		return &brokenFile{w, f, fails}, nil
	}
	return w, nil
}

// brokenFile takes the first bytes only.
type brokenFile struct {
	io.WriterAt
	files *faultyFiles
	full  bool
}

// WriteAt implements [io.WriterAt].
func (b *brokenFile) WriteAt(p []byte, off int64) (int, error) {
	if b.full {
		return 0, errors.New("no space left on device")
	}
	if off == 0 {
		return b.WriterAt.WriteAt(p, off)
	}
	return 0, errors.Join(b.files.breakOff(), b.files.lose())
}
