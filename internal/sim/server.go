package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Server is a running fleet. Its methods are safe for concurrent use.
type Server struct {
	fleet   Fleet
	script  atomic.Pointer[script]
	ledger  ledger
	tally   tally
	gauge   gauge
	ca      *authority // nil without TLS listeners
	admin   net.Listener
	engine  []engine
	served  []served      // by service
	hostKey ssh.PublicKey // nil without SSH listeners

	cancel context.CancelFunc
	done   chan struct{}
	err    error // why the server ended; read after done is closed

	mu    sync.Mutex // guards the fields below
	rules Rules
	since time.Time
	base  cpuBase
}

// engine serves listeners: an event loop, or a goroutine per connection.
type engine interface {
	// run serves until ctx ends, then closes everything it opened.
	run(ctx context.Context) error
	// close releases an engine that never ran.
	close()
	// cpu is the processor time of the engine so far, and whether it is known.
	cpu() (time.Duration, bool)
}

// gauge counts over all addresses.
type gauge struct {
	requests, conns, rejected, aborted, pauses, sent, received atomic.Uint64
	open, peak                                                 atomic.Int64
}

func (g *gauge) opened() {
	g.conns.Add(1)
	open := g.open.Add(1)
	for peak := g.peak.Load(); open > peak && !g.peak.CompareAndSwap(peak, open); {
		peak = g.peak.Load()
	}
}

// Start listens and returns a server that runs until ctx ends or Close is
// called. All its listeners answer when Start returns.
func (f *Fleet) Start(ctx context.Context) (*Server, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	s := &Server{fleet: *f, done: make(chan struct{}), rules: f.Rules}
	sc, err := compile(f, f.Rules, &s.ledger)
	if err != nil {
		return nil, err
	}
	s.script.Store(sc)
	if err := s.listen(ctx); err != nil {
		s.release()
		return nil, err
	}
	s.since, s.base = time.Now(), s.cpuNow()
	ctx, s.cancel = context.WithCancel(ctx)
	go s.serve(ctx)
	return s, nil
}

func (s *Server) listen(ctx context.Context) (err error) {
	if len(s.fleet.TLS)+len(s.fleet.GRPCTLS) > 0 {
		if s.ca, err = newAuthority(s.fleet.Seed); err != nil {
			return err
		}
	}
	for _, open := range []func(context.Context) error{s.openLoops, s.openTLS, s.openSSH, s.openGRPC} {
		if err := open(ctx); err != nil {
			return err
		}
	}
	if s.fleet.CAOut != "" && s.ca != nil {
		if err := os.WriteFile(s.fleet.CAOut, s.ca.pem, 0o644); err != nil {
			return fmt.Errorf("write the authority's certificate: %w", err)
		}
	}
	admin := s.fleet.Admin
	if admin == "" {
		admin = "127.0.0.1:0"
	}
	var lc net.ListenConfig
	if s.admin, err = lc.Listen(ctx, "tcp", admin); err != nil {
		return fmt.Errorf("listen for admin on %s: %w", admin, err)
	}
	return nil
}

// openTLS binds the listeners of HTTP over TLS.
func (s *Server) openTLS(ctx context.Context) error {
	for _, o := range s.fleet.openingsOf(TLS) {
		if err := s.openStream(ctx, o, func(_ context.Context, c *session) error { return c.converse(s.ca.config()) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) release() {
	for _, e := range s.engine {
		e.close()
	}
	if s.admin != nil {
		_ = s.admin.Close() // nothing was served on it
	}
}

// serve runs the engines and the admin endpoint and ends all with the first.
func (s *Server) serve(ctx context.Context) {
	defer close(s.done)
	defer s.cancel()
	admin := http.Server{
		Handler: s.adminHandler(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // a shortage of descriptors is in the counters
	}
	errs := make([]error, len(s.engine)+1)
	var wg sync.WaitGroup
	for i, e := range s.engine {
		wg.Go(func() {
			defer s.cancel()
			errs[i] = e.run(ctx)
		})
	}
	wg.Go(func() {
		defer s.cancel()
		if err := admin.Serve(s.admin); !errors.Is(err, http.ErrServerClosed) {
			errs[len(s.engine)] = err
		}
	})
	<-ctx.Done()
	_ = admin.Close() // the answers in flight are of no use to anyone now
	wg.Wait()
	s.err = errors.Join(errs...)
}

// Wait blocks until the server has ended, and returns nil if it was asked to.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Close ends the server and waits until all its sockets are closed.
func (s *Server) Close() error {
	s.cancel()
	return s.Wait()
}

// Addr is where the first plain HTTP listener is bound, or the first listener of
// another service if there is no such; of a listener on every loopback address, 127.0.0.1.
func (s *Server) Addr() netip.AddrPort { return s.served[0].addr }

// TLSAddr is where the first TLS listener is bound, or invalid without one.
func (s *Server) TLSAddr() netip.AddrPort { return s.ServiceAddr(TLS) }

// Port is the port of Addr as text, to put behind any 127.x.y.z.
func (s *Server) Port() string { return strconv.Itoa(int(s.Addr().Port())) }

// AdminURL is the root of the admin endpoint, without a trailing slash.
func (s *Server) AdminURL() string { return "http://" + s.admin.Addr().String() }

// CA is the certificate of the authority of the TLS listeners in PEM, nil
// without any.
func (s *Server) CA() []byte {
	if s.ca == nil {
		return nil
	}
	return append([]byte{}, s.ca.pem...)
}

// SetRules replaces the rules. Requests that are being answered keep the old ones.
func (s *Server) SetRules(rules Rules) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc, err := compile(&s.fleet, rules, &s.ledger)
	if err != nil {
		return err
	}
	s.rules = rules
	s.script.Store(sc)
	return nil
}

// answer counts a request and plans its answer.
func (s *Server) answer(w *scratch, ep *endpoint, p *parser) plan {
	rq := &p.rq
	s.gauge.requests.Add(1)
	n := s.tally.request(ep)
	sc := s.script.Load()
	switch p.service {
	case TCP:
		return sc.answerLine(w, ep, rq.line, n)
	case DNS:
		return sc.dnsStream(w, ep, rq.line, n)
	}
	if p, ok := sc.echo(w, rq); ok {
		return p
	}
	return sc.answer(w, ep, rq, n)
}

// refuse plans the answer to what is not a request.
func (s *Server) refuse(w *scratch, err error) plan {
	s.gauge.rejected.Add(1)
	status := 400
	if errors.Is(err, errHeadSize) {
		status = 431
	}
	a := answering{scratch: w, rq: &request{}, close: true}
	return a.respondWith(status, "text/plain", []byte(err.Error()+"\n"))
}
