//go:build !linux

package dial

import (
	"errors"
	"net/netip"

	"github.com/musterhq/muster"
)

var errNoBatch = errors.ErrUnsupported

// Batch reports whether Open works on this system.
func (d *Dialer) Batch() bool { return false }

// Open is for event loops on Linux; elsewhere it fails as local.
func (d *Dialer) Open(netip.AddrPort) (fd int, connected bool, err error) {
	return -1, false, failed(muster.FailLocal, "event loop", false, errNoBatch)
}

// Connected is for sockets of Open.
func (d *Dialer) Connected(int, netip.AddrPort) (pending bool, err error) {
	return false, failed(muster.FailLocal, "event loop", false, errNoBatch)
}

// Established is for sockets of Open.
func (d *Dialer) Established(int, netip.AddrPort) error {
	return failed(muster.FailLocal, "event loop", false, errNoBatch)
}

// Close is for sockets of Open.
func (d *Dialer) Close(int) error { return errNoBatch }
