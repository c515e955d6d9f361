package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/musterhq/muster"
)

const (
	// starvedMax bounds how long Dial waits for a local resource when ctx has no deadline.
	starvedMax = muster.DefaultConnectTimeout
	// The pauses between attempts that a local shortage stopped.
	firstPause = 2 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// Dial connects to one address over TCP, with Nagle's algorithm and keep-alive probes off, from the
// dialer's source. The connect phase ends with ctx; the connection outlives it. The policy
// is held against ap again. When descriptors, local ports or kernel memory run short Dial waits for them
// until ctx ends (at most DefaultConnectTimeout without a deadline) before it fails as local; see
// Shortage.
//
// The connection must be closed, which gives its descriptor back to the budget. It reads and
// writes like a [net.TCPConn]. The error is an [*Error].
func (d *Dialer) Dial(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
	return d.open(ctx, ap, connectTCP)
}

// opener opens one socket to an address, from source, whose Close releases b.
type opener func(ctx context.Context, ap netip.AddrPort, source netip.Addr, b *Budget) (net.Conn, error)

func connectTCP(ctx context.Context, ap netip.AddrPort, source netip.Addr, b *Budget) (net.Conn, error) {
	c, err := connect(ctx, ap, source, b)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// open admits ap, takes a descriptor, and waits out a shortage of local resources.
func (d *Dialer) open(ctx context.Context, ap netip.AddrPort, via opener) (net.Conn, error) {
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	s := d.state()
	if e := s.admit(ap); e != nil {
		return nil, e
	}
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	c, err := via(ctx, ap, d.Source, s.budget)
	if err == nil {
		return c, nil
	}
	e := Classify(err, PhaseConnect)
	s.settle(e)
	if !starved(e) {
		return nil, e
	}
	return d.openStarved(ctx, ap, via, e)
}

// admit checks what is known before a socket exists.
func (s *state) admit(ap netip.AddrPort) *Error {
	if !ap.IsValid() || ap.Port() == 0 {
		return invalid(ap.String() + ": want an address with a port from 1 to 65535")
	}
	return s.rules.Check(ap.Addr())
}

// acquire takes a descriptor from the budget. Time that runs out here was not the target's fault.
func (s *state) acquire(ctx context.Context) error {
	err := s.budget.Acquire(ctx)
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return failed(muster.FailLocal, ReasonDescriptors, true, err)
	}
	return Classify(err, PhaseConnect)
}

// settle gives a descriptor back after a failed attempt and counts what ran short.
func (s *state) settle(e *Error) {
	if e.Failure == muster.FailLocal && e.Reason == ReasonDescriptors {
		s.budget.exhausted()
		return
	}
	s.budget.Release()
	s.count(e)
}

func (s *state) count(e *Error) {
	switch {
	case e.Failure != muster.FailLocal:
		return
	case e.Reason == ReasonPorts:
		s.shortPorts.Add(1)
	case e.Reason == ReasonMemory:
		s.shortMemory.Add(1)
	default:
		return
	}
	s.scarce.note(s.budget.InUse(), e.Reason)
}

// starved reports whether waiting may cure e.
func starved(e *Error) bool { return e.Failure == muster.FailLocal && e.Transient }

// openStarved tries again at growing intervals until the shortage e is over.
func (d *Dialer) openStarved(ctx context.Context, ap netip.AddrPort, via opener, e *Error) (net.Conn, error) {
	s := d.state()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, starvedMax)
		defer cancel()
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if err := sleep(ctx, pause); err != nil {
			return nil, stillStarved(err, e)
		}
		if err := s.budget.Acquire(ctx); err != nil {
			return nil, stillStarved(err, e)
		}
		c, err := via(ctx, ap, d.Source, s.budget)
		if err == nil {
			return c, nil
		}
		e = Classify(err, PhaseConnect)
		s.settle(e)
		if !starved(e) {
			return nil, e
		}
	}
}

// stillStarved returns the shortage, unless it was a cancel that ended the wait for its end.
func stillStarved(err error, shortage *Error) error {
	if errors.Is(err, context.Canceled) {
		return Classify(err, PhaseConnect)
	}
	return shortage
}

func sleep(ctx context.Context, pause time.Duration) error {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dialError gives err the form in which package net reports it.
func dialError(ap netip.AddrPort, call string, err error) error {
	if _, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(call, err)
	}
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(ap), Err: err}
}

// sourceError is a source address that cannot be bound: waiting does not cure it.
func sourceError(source netip.Addr, err error) *Error {
	e := failed(muster.FailLocal, "source address", false, err)
	e.Detail = "bind source " + source.String() + ": " + err.Error()
	return e
}
