//go:build !linux

package dial

import "github.com/musterhq/muster"

// OpenPacket is for event loops on Linux; elsewhere it fails as local.
func (d *Dialer) OpenPacket(int) (fd int, err error) {
	return -1, failed(muster.FailLocal, "event loop", false, errNoBatch)
}

// OpenICMP is for Linux; elsewhere it fails as local.
func (d *Dialer) OpenICMP(int) (fd int, raw bool, err error) {
	return -1, false, failed(muster.FailLocal, "icmp", false, errNoBatch)
}
