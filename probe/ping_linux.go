package probe

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

var _ muster.BatchProber = (*pingProber)(nil)

// Batchable reports that all echo requests fit one event loop.
func (p *pingProber) Batchable(muster.Target) bool { return true }

// ProbeBatch drives the targets of f over one ICMP socket per address family, on the calling goroutine.
func (p *pingProber) ProbeBatch(ctx context.Context, f muster.Feed) {
	probeBatch(ctx, p, f)
}

// Probe pings t over a socket of its own, for which it does not wait: whoever has started too many of them is to
// hear of it.
func (p *pingProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	f := &oneTarget{t: t, left: true}
	began := time.Now()
	if err := probePackets(ctx, p, &returnable{Feed: f}); err != nil {
		f.r = muster.Result{Started: began}
		failIn(&f.r, err, dial.PhaseConnect)
	}
	return f.r
}

// permitted finds out before the first of many targets that none can be pinged. What else may be wrong with
// sockets is for each target to meet.
func (p *pingProber) permitted() error {
	d, family := p.env.Dialer, 4
	if d.Source.Is6() {
		family = 6
	}
	fd, _, err := d.OpenICMP(family)
	if err == nil {
		d.Close(fd)
	}
	if e, ok := errors.AsType[*dial.Error](err); ok && e.Reason == dial.ReasonICMP {
		return muster.Errorf(muster.KindInvalid, "ping: %w", e)
	}
	return nil
}

// oneTarget feeds a single target.
type oneTarget struct {
	t    muster.Target
	r    muster.Result
	left bool
}

func (f *oneTarget) Next() (t muster.Target, ok, more bool) {
	ok, f.left = f.left, false
	return f.t, ok, ok
}
func (f *oneTarget) Done(_ muster.Target, r muster.Result) { f.r = r }
func (f *oneTarget) Flush()                                {}
func (f *oneTarget) Notify(func())                         {}

func (w *icmpWire) open(family int) (int, error) {
	d := w.p.env.Dialer
	fd, raw, err := d.OpenICMP(family)
	if err != nil {
		return -1, err
	}
	if family == 4 {
		w.raw4 = raw
	} else {
		w.raw6 = raw
	}
	if err := w.tune(fd, family); err != nil {
		d.Close(fd)
		return -1, err
	}
	return fd, nil
}

// tune sets the options of a socket, and what a raw one receives.
func (w *icmpWire) tune(fd, family int) error {
	s := &w.p.spec
	level, ttl, receiveTTL, discover := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_RECVTTL, unix.IP_MTU_DISCOVER
	if family == 6 {
		level, ttl, receiveTTL, discover = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_RECVHOPLIMIT, unix.IPV6_MTU_DISCOVER
	}
	fragments := unix.IP_PMTUDISC_DONT
	if s.DontFragment {
		fragments = unix.IP_PMTUDISC_DO
	}
	options := []struct{ name, value int }{{receiveTTL, 1}, {discover, fragments}}
	if s.TTL > 0 {
		options = append(options, struct{ name, value int }{ttl, s.TTL})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt of an icmp socket", err)
		}
	}
	if w.raw(family) {
		return attachFilter(fd, family, w.ident)
	}
	return nil
}
