package sim

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
)

// Statuses of the health service (grpc.health.v1) and codes of gRPC that an
// answer of the fleet may bear.
const (
	healthServing, healthNotServing, healthLast = 1, 2, 3
	codeOK, codeInvalidArgument, codeNotFound   = 0, 3, 5
	codeUnimplemented, codeLast                 = 12, 16
)

// checkPath is the one method that is served.
const checkPath = "/grpc.health.v1.Health/Check"

// maxCheck bounds a request.
const maxCheck = 4 << 10

func (s *Server) openGRPC(ctx context.Context) error {
	for _, o := range s.fleet.openingsOf(GRPC, GRPCTLS) {
		var config *tls.Config
		if o.service == GRPCTLS {
			config = s.ca.config()
			config.NextProtos = []string{"h2"}
		}
		speak := func(ctx context.Context, c *session) error { return c.serveHTTP2(ctx, config) }
		if err := s.openStream(ctx, o, speak); err != nil {
			return err
		}
	}
	return nil
}

// serveHTTP2 serves the health service on a connection, unless the behaviour of the address
// shows before the first request.
func (c *session) serveHTTP2(ctx context.Context, config *tls.Config) error {
	tap := &counted{Conn: c.raw, gauge: &c.srv.gauge}
	defer func() { c.sent += tap.sent.Load() }()
	c.conn = tap
	if config != nil {
		if err := c.secure(tap, config); err != nil {
			return err
		}
	}
	b := c.srv.script.Load().choose(&c.ep, nil)
	if p, faulty := c.spoiledPreface(b); faulty {
		b.served.Add(1)
		_, err := c.perform(p)
		return err
	}
	ln := &oneConn{conn: c.conn, closed: make(chan struct{})}
	server := &http.Server{
		Handler: http.HandlerFunc(c.check), IdleTimeout: c.srv.fleet.idle(), Protocols: &http.Protocols{},
		ErrorLog:    log.New(io.Discard, "", 0), // what clients do wrong is in the counters
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(ln.closed)
			}
		},
	}
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	_ = server.Serve(ln) // ends with the connection
	return nil
}

// oneConn is a listener that accepts one connection and ends with it.
type oneConn struct {
	conn   net.Conn // nil once accepted
	closed chan struct{}
}

func (o *oneConn) Accept() (net.Conn, error) {
	if c := o.conn; c != nil {
		o.conn = nil
		return c, nil
	}
	<-o.closed
	return nil, net.ErrClosed
}

// Addr implements [net.Listener]; nobody asks for it.
func (o *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func (o *oneConn) Close() error { return nil }

// spoiledPreface is what a behaviour that shows before the first request says: noise, or
// an answer of a server that speaks HTTP/1 only.
func (c *session) spoiledPreface(b *choice) (plan, bool) {
	a := answering{scratch: &c.scratch, script: c.srv.script.Load(), b: &b.Behaviour, rq: &request{}, close: true}
	a.ep = c.ep
	switch {
	case b.Kind == Garbage:
		return a.garbage(), true
	case b.Kind == Conflict:
		return a.respondWith(400, "text/plain", []byte("this server speaks HTTP/1.1\n")), true
	case b.Where == "handshake":
		return plan{end: b.ending()}, true
	}
	return plan{}, false
}

// check answers one call.
func (c *session) check(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(io.LimitReader(r.Body, maxCheck))
	if err != nil {
		return // the client is gone
	}
	c.srv.gauge.requests.Add(1)
	n := c.srv.tally.request(&c.ep)
	sc := c.srv.script.Load()
	b := sc.choose(&c.ep, nil)
	b.served.Add(1)
	wait(r.Context(), sc.delay(&b.Behaviour, &c.ep))
	a := answering{script: sc, b: &b.Behaviour, instance: instance{seed: sc.seed, ep: c.ep, n: n}}
	if c.breakCall(w, r, &a) {
		return
	}
	status, code := a.health(r.URL.Path, request)
	reply := []byte{0x08, byte(status)} // field 1 of HealthCheckResponse
	if a.b.Kind == Oversized {
		reply = protoFiller(reply, a.b.Size)
	}
	w.Header().Set("Content-Type", "application/grpc")
	if code == codeOK {
		c.message(w, r, &a, reply)
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(code))
	if code != codeOK {
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "the simulated fleet says so")
	}
}

// health is the status and the code that an address answers a call with.
func (a *answering) health(path string, request []byte) (status, code int) {
	service, known := checkedService(request)
	switch {
	case path != checkPath:
		return 0, codeUnimplemented
	case !known:
		return 0, codeInvalidArgument
	case bytes.HasPrefix(service, []byte("unknown")):
		return 0, codeNotFound
	}
	n, fails := a.fails()
	switch {
	case !fails:
		return healthServing, codeOK
	case n <= healthLast:
		return n, codeOK
	case n <= codeLast:
		return 0, n
	}
	return healthNotServing, codeOK // it is a status of another service
}

// checkedService reads the frame of a HealthCheckRequest; its one field is the name of a service.
func checkedService(frame []byte) ([]byte, bool) {
	const head = 5 // compression flag, length
	if len(frame) < head || frame[0] != 0 || int(binary.BigEndian.Uint32(frame[1:])) != len(frame)-head {
		return nil, false
	}
	m := frame[head:]
	if len(m) == 0 {
		return nil, true
	}
	size, n := binary.Uvarint(m[1:])
	if m[0] != 0x0a || n <= 0 || uint64(len(m)-1-n) < size {
		return nil, false
	}
	return m[1+n : 1+n+int(size)], true
}

// protoFiller adds a field that nobody knows to a message, to make it size bytes long.
func protoFiller(m []byte, size int64) []byte {
	const unknownField = 15<<3 | 2
	m = binary.AppendUvarint(append(m, unknownField), uint64(size))
	return append(m, bytes.Repeat([]byte{'x'}, int(min(size, 64<<20)))...)
}

// message sends one message, byte by byte if the behaviour says so.
func (c *session) message(w http.ResponseWriter, r *http.Request, a *answering, m []byte) {
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
	if a.b.Kind != Drip {
		_, _ = w.Write(frame) // a client that is gone has nobody to tell
		return
	}
	for i := range frame {
		_, _ = w.Write(frame[i : i+1])
		_ = http.NewResponseController(w).Flush()
		wait(r.Context(), a.b.Interval)
	}
}

// breakCall does what a behaviour that spoils the answer does, and reports whether it did.
func (c *session) breakCall(w http.ResponseWriter, r *http.Request, a *answering) bool {
	if a.b.Kind == HangBody || a.b.Kind == CloseEarly || a.b.Where == "body" {
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8}) // all but the last byte
		_ = http.NewResponseController(w).Flush()
	}
	switch a.b.Kind {
	case Hang, HangBody:
		<-r.Context().Done()
	case Reset:
		_ = c.raw.SetLinger(0)
		_ = c.raw.Close()
	case CloseEarly, CloseBefore:
		_ = c.raw.Close()
	case Endless:
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write([]byte{0, 0xff, 0xff, 0xff, 0xff})
		for r.Context().Err() == nil {
			if _, err := w.Write(fillerBody); err != nil {
				break
			}
		}
	default:
		return false
	}
	return true
}
