package dial

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
)

// Batch reports whether Open works on this system.
func (d *Dialer) Batch() bool { return true }

// Open starts a non-blocking TCP connect and returns the socket: for event loops on Linux, which
// wait until it is writable and then ask Connected. connected says that the connect is over already.
// It never waits: when descriptors, ports or memory run short it fails as local and transient, and the loop
// should hold that target until one of its sockets is closed, or a moment has passed. Nagle's
// algorithm stays on, which one write per socket does not notice.
//
// The socket belongs to the caller, who must give it to Close, and to nothing else. The error is an [*Error].
func (d *Dialer) Open(ap netip.AddrPort) (fd int, connected bool, err error) {
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	s := d.state()
	if e := s.admit(ap); e != nil {
		return -1, false, e
	}
	if !s.budget.TryAcquire() {
		return -1, false, failed(muster.FailLocal, ReasonDescriptors, true, nil)
	}
	fd, connected, err = startConnect(ap, d.Source)
	if err != nil {
		e := Classify(err, PhaseConnect)
		s.settle(e)
		return -1, false, e
	}
	return fd, connected, nil
}

// Connected returns how the connect of a socket of Open to ap ended once the socket is writable or in
// error. pending says that it has not ended. The error is an [*Error].
func (d *Dialer) Connected(fd int, ap netip.AddrPort) (pending bool, err error) {
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	err = socketError(fd)
	if err == unix.EINPROGRESS {
		return true, nil
	}
	if err == nil {
		return false, d.Established(fd, ap)
	}
	return false, d.connectFailed(ap, err)
}

// Established is Connected for a socket that is writable, and neither in error nor hung up, as epoll says: a connect
// that is under way or has failed never is. What is left to be found out is whether a loopback socket has met itself.
func (d *Dialer) Established(fd int, ap netip.AddrPort) error {
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	if selfConnected(ap, func() netip.AddrPort { return localOf(fd) }) {
		return d.connectFailed(ap, unix.ECONNREFUSED)
	}
	return nil
}

func (d *Dialer) connectFailed(ap netip.AddrPort, err error) error {
	e := Classify(dialError(ap, "connect", err), PhaseConnect)
	d.state().count(e)
	return e
}

// Close closes a socket of Open and gives its descriptor back to the budget.
func (d *Dialer) Close(fd int) error {
	err := unix.Close(fd)
	d.state().budget.Release()
	return err
}
