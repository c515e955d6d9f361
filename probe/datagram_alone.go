package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// listener judges the datagrams that a peer sends.
type listener interface {
	// take looks at one datagram, which it does not keep. done ends the exchange; else next, when it is
	// not 0, is how long another one is waited for, and no datagram is sent again.
	take(b []byte) (done bool, next time.Duration)
	// ended fills in the result once the exchange is over, for which the given number of datagrams was sent. err is what
	// ended it early: nil, a passed deadline, or an error of the socket.
	ended(r *muster.Result, sent int, err error)
}

// datagramTalk is one exchange of datagrams on a goroutine.
type datagramTalk struct {
	env      *Env
	patience patience
	datagram []byte
	end      time.Time // of the attempt
}

// datagramBuffers hands out buffers for any datagram.
type datagramBuffers struct{ pool sync.Pool }

func (p *datagramBuffers) get() *[largeBuffer]byte {
	if b, ok := p.pool.Get().(*[largeBuffer]byte); ok {
		return b
	}
	return new([largeBuffer]byte)
}

func (p *datagramBuffers) put(b *[largeBuffer]byte) { p.pool.Put(b) }

// resolve turns the target's host into an address; when it is not ok, r says why.
func resolve(ctx context.Context, env *Env, t *muster.Target, port uint16, r *muster.Result) (netip.AddrPort, bool) {
	ap, known, err := env.Dialer.ResolveCached(t.Host, t.Addr, port)
	if !known {
		ctx, stop := context.WithDeadline(ctx, r.Started.Add(env.Timeout))
		defer stop()
		ap, err = env.Dialer.Resolve(ctx, t.Host, t.Addr, port)
		r.Timings.Resolve = time.Since(r.Started)
	}
	if err != nil {
		if !cancel(ctx, r) {
			failIn(r, err, dial.PhaseResolve)
		}
		return ap, false
	}
	r.Address = ap
	return ap, true
}

// run does the exchange with ap, whose end l reports into r.
func (k *datagramTalk) run(ctx context.Context, ap netip.AddrPort, l listener, buf []byte, r *muster.Result) {
	dctx, stop := context.WithDeadline(ctx, earlier(time.Now().Add(k.env.ConnectTimeout), k.end))
	c, err := k.env.Dialer.DialUDP(dctx, ap)
	stop()
	if err != nil {
		if !cancel(ctx, r) {
			failIn(r, err, dial.PhaseConnect)
		}
		return
	}
	hangUp := context.AfterFunc(ctx, func() { c.Close() })
	sent, err := k.converse(c, l, buf, r)
	hangUp()
	c.Close()
	if err == nil || !cancel(ctx, r) {
		l.ended(r, sent, err)
	}
}

// converse sends, and sends again, until l has heard enough.
func (k *datagramTalk) converse(c net.Conn, l listener, buf []byte, r *muster.Result) (sent int, err error) {
	heard := false
	for try := range k.patience.tries {
		if _, err := c.Write(k.datagram); err != nil {
			return sent, err
		}
		sent++
		r.Sent = true
		written := time.Now()
		until := earlier(written.Add(k.patience.after(try)), k.end)
		for {
			done, next, err := k.hear(c, l, buf, until)
			if err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) && !heard && until.Before(k.end) {
					break // the next try
				}
				return sent, err
			}
			if !done && next == 0 {
				continue // nothing that counts
			}
			if r.Timings.FirstByte == 0 {
				r.Timings.FirstByte = time.Since(written)
			}
			if done {
				return sent, nil
			}
			heard, until = true, earlier(time.Now().Add(next), k.end)
		}
	}
	return sent, os.ErrDeadlineExceeded
}

// hear waits for one datagram.
func (k *datagramTalk) hear(c net.Conn, l listener, buf []byte, until time.Time) (done bool, next time.Duration, err error) {
	if err := c.SetReadDeadline(until); err != nil {
		return false, 0, err
	}
	n, err := c.Read(buf)
	if err != nil {
		return false, 0, err
	}
	done, next = l.take(buf[:n])
	return done, next, nil
}

func noReplyDetail(sent int, waited time.Duration) string {
	waited = waited.Round(time.Millisecond)
	if sent == 1 {
		return fmt.Sprintf("no reply within %v", waited)
	}
	return fmt.Sprintf("no reply to %d datagrams within %v", sent, waited)
}
