package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// serveGRPC starts grpc-go's server with its health service. A call with the metadata "want" ends with that message.
func serveGRPC(t testing.TB, cfg *tls.Config) muster.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := []grpc.ServerOption{grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		if want := md.Get("want"); len(want) > 0 {
			return nil, status.Error(codes.Unauthenticated, want[0]+" for "+md.Get(":authority")[0])
		}
		return next(ctx, req)
	})}
	if cfg != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg)))
	}
	s := grpc.NewServer(options...)
	h := health.NewServer()
	h.SetServingStatus("up", healthpb.HealthCheckResponse_SERVING)
	h.SetServingStatus("down", healthpb.HealthCheckResponse_NOT_SERVING)
	h.SetServingStatus("odd", healthpb.HealthCheckResponse_UNKNOWN)
	healthpb.RegisterHealthServer(s, h)
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	return targetAt(l.Addr())
}

func grpcProbe(t testing.TB, g GRPC, env Env) muster.Prober {
	t.Helper()
	p, err := g.Prober(env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	plain, secure := serveGRPC(t, nil), serveGRPC(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	secret := func(string) (muster.Secret, error) { return muster.NewSecret("pw"), nil }
	for name, c := range map[string]struct {
		spec           GRPC
		outcome        muster.Outcome
		status, reason string
		code           int
		call           float64
		body, detail   string
	}{
		"server":          {GRPC{}, muster.OK, "SERVING", "", 1, 0, `{"status":"SERVING"}`, ""},
		"service":         {GRPC{Service: "{{.vars.svc}}"}, muster.OK, "SERVING", "", 1, 0, `{"status":"SERVING"}`, ""},
		"not serving":     {GRPC{Service: "down"}, muster.Unexpected, "NOT_SERVING", "status NOT_SERVING", 2, 0, `{"status":"NOT_SERVING"}`, ""},
		"unknown":         {GRPC{Service: "odd"}, muster.Unexpected, "UNKNOWN", "status UNKNOWN", 0, 0, `{"status":"UNKNOWN"}`, ""},
		"unknown service": {GRPC{Service: "none"}, muster.Unexpected, "NOT_FOUND", "grpc NOT_FOUND", 0, 5, "", "unknown service"},
		"metadata":        {GRPC{Metadata: []Pair{{"Want", `100% {{secret "env:PW"}} ü`}}, Authority: "api"}, muster.Unexpected, "UNAUTHENTICATED", "grpc UNAUTHENTICATED", 0, 16, "", "100% pw ü for api"},
		"long":            {GRPC{Service: strings.Repeat("x", 8000)}, muster.Unexpected, "NOT_FOUND", "grpc NOT_FOUND", 0, 5, "", "unknown service"},
		"too long":        {GRPC{Service: strings.Repeat("x", 9000)}, muster.Invalid, "", "call too large", 0, 0, "", ""},
		"no variable":     {GRPC{Service: "{{.vars.none}}"}, muster.Invalid, "", "missing variable vars.none", 0, 0, "", ""},
	} {
		for where, target := range map[string]muster.Target{"plain": plain, "tls": secure} {
			t.Run(name+"/"+where, func(t *testing.T) {
				t.Parallel()
				spec := c.spec
				spec.Secure, spec.TLS.CA = where == "tls", a.ca()
				target.Vars = map[string]string{"svc": "up"}
				r := grpcProbe(t, spec, Env{Secret: secret}).Probe(t.Context(), target)
				if r.Outcome != c.outcome || r.Status != c.status || r.Reason != c.reason || r.Code != c.code || string(r.Body) != c.body {
					t.Fatalf("%v %q (%s: %s) code %d body %s", r.Outcome, r.Status, r.Reason, r.Detail, r.Code, r.Body)
				}
				if r.Outcome == muster.Invalid {
					return
				}
				if r.Fields[0] != (muster.Field{Name: "grpc_status", Value: c.call}) || r.Fields[1] != (muster.Field{Name: "grpc_message", Value: c.detail}) {
					t.Errorf("fields %v", r.Fields)
				}
				if !r.Sent || r.Address.Port() != target.Port || r.Timings.FirstByte <= 0 || (r.Timings.TLS > 0) != (where == "tls") {
					t.Errorf("sent %v address %v timings %+v", r.Sent, r.Address, r.Timings)
				}
			})
		}
	}
}

func TestGRPCTLS(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	cert, _, _ := a.issue("127.0.0.1", time.Now().Add(time.Hour))
	named, _, _ := a.issue("shop.test", time.Now().Add(time.Hour))
	_, clientCert, clientKey := a.issue("client", time.Now().Add(time.Hour))
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	plain := serveGRPC(t, nil)
	byAddress := serveGRPC(t, &tls.Config{Certificates: []tls.Certificate{cert}})
	byName := serveGRPC(t, &tls.Config{Certificates: []tls.Certificate{named}})
	mutual := serveGRPC(t, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}}
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	for name, c := range map[string]struct {
		target  muster.Target
		tls     TLS
		outcome muster.Outcome
		failure muster.Failure
		reason  string
	}{
		"other authority":     {byAddress, TLS{CA: other.ca()}, muster.Failed, muster.FailTLS, "certificate signed by unknown authority"},
		"insecure":            {byAddress, TLS{Insecure: true}, muster.OK, 0, ""},
		"other name":          {byName, TLS{CA: a.ca()}, muster.Failed, muster.FailTLS, "certificate is for another name"},
		"its name":            {byName, TLS{CA: a.ca(), ServerName: "shop.test"}, muster.OK, 0, ""},
		"no client cert":      {mutual, TLS{CA: a.ca()}, muster.Failed, muster.FailTLS, "tls: certificate required"},
		"client cert":         {mutual, TLS{CA: a.ca(), Cert: clientCert, Key: clientKey}, muster.OK, 0, ""},
		"plain server":        {plain, TLS{CA: a.ca()}, muster.Failed, muster.FailTLS, "peer does not speak tls"},
		"web server, no h2":   {targetAt(web.Listener.Addr()), TLS{CA: a.ca()}, muster.Failed, muster.FailTLS, "tls: no application protocol"},
		"scheme https is tls": {func() muster.Target { t := byAddress; t.Scheme = "https"; return t }(), TLS{CA: a.ca()}, muster.OK, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := grpcProbe(t, GRPC{Secure: c.target.Scheme == "", TLS: c.tls}, Env{}).Probe(t.Context(), c.target)
			if r.Outcome != c.outcome || r.Failure != c.failure || r.Reason != c.reason {
				t.Errorf("%v %v (%s: %s)", r.Outcome, r.Failure, r.Reason, r.Detail)
			}
		})
	}
}

// TestGRPCForeigners asks servers of HTTP/2 that know nothing of health checks.
func TestGRPCForeigners(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.Protocols = new(http.Protocols)
	web.Config.Protocols.SetUnencryptedHTTP2(true)
	web.Start()
	t.Cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bare := grpc.NewServer()
	done := make(chan error)
	go func() { done <- bare.Serve(l) }()
	t.Cleanup(func() {
		bare.Stop()
		<-done
	})
	for reason, target := range map[string]muster.Target{"http status 404": targetAt(web.Listener.Addr()), "grpc UNIMPLEMENTED": targetAt(l.Addr())} {
		r := grpcProbe(t, GRPC{}, Env{}).Probe(t.Context(), target)
		answered := reason == "grpc UNIMPLEMENTED"
		if r.Reason != reason || r.Outcome.Answered() != answered || !answered && r.Failure != muster.FailProtocol {
			t.Errorf("%v %v (%s: %s), want %s", r.Outcome, r.Failure, r.Reason, r.Detail, reason)
		}
	}
}

// TestGRPCFleet asks the simulated fleet, whose faults are made elsewhere.
func TestGRPCFleet(t *testing.T) {
	t.Parallel()
	ends := map[string]string{
		"ok": "ok", "status:2": "unexpected status NOT_SERVING", "status:14": "unexpected grpc UNAVAILABLE", "slow:20ms": "ok",
		"reset": "failed reset", "reset:accept": "failed reset", "hang": "failed timeout", "hang:accept": "failed timeout",
		"hang-body": "failed timeout", "drip:2ms": "ok", "drip:1h": "failed timeout", "garbage": "failed protocol", "conflict": "failed protocol",
		"oversized": "failed too_large", "endless": "failed too_large", "close-early": "failed reset", "close-before": "failed reset",
	}
	f := sim.Fleet{GRPC: []string{":0"}, Listen: []string{":0"}}
	addresses := map[string]string{}
	for i, behaviour := range slices.Sorted(maps.Keys(ends)) {
		addresses[behaviour] = fmt.Sprintf("127.9.1.%d", i+1)
		rule, err := sim.ParseRule(addresses[behaviour] + "=" + behaviour)
		if err != nil {
			t.Fatal(err)
		}
		f.Rules = append(f.Rules, rule)
	}
	s, err := f.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	short, long := grpcProbe(t, GRPC{}, Env{Timeout: time.Second}), grpcProbe(t, GRPC{}, Env{Timeout: time.Minute})
	var wg sync.WaitGroup
	for behaviour, want := range ends {
		wg.Go(func() {
			addr, p := netip.MustParseAddr(addresses[behaviour]), long
			if want == "failed timeout" {
				p = short
			}
			r := p.Probe(t.Context(), muster.Target{Host: addr.String(), Addr: addr, Port: s.ServiceAddr("grpc").Port()})
			why := r.Reason
			if r.Outcome == muster.Failed {
				why = r.Failure.String()
			}
			if got := strings.TrimSpace(r.Outcome.String() + " " + why); got != want {
				t.Errorf("%s ends %s (%s: %s), want %s", behaviour, got, r.Reason, r.Detail, want)
			}
		})
	}
	wg.Wait()
}

// frames returns what fill writes.
func frames(fill func(fr *http2.Framer)) []byte {
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	fr.WriteSettings()
	fill(fr)
	return b.Bytes()
}

// header returns a block of name-value pairs.
func header(pairs ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return b.Bytes()
}

func writeHeader(fr *http2.Framer, end bool, pairs ...string) {
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: header(pairs...), EndHeaders: true, EndStream: end})
}

var (
	serving   = []byte{0, 0, 0, 0, 2, 8, 1}
	grpcHead  = []string{":status", "200", "content-type", "application/grpc"}
	grpcReply = frames(func(fr *http2.Framer) {
		writeHeader(fr, false, grpcHead...)
		fr.WriteData(1, false, serving)
		writeHeader(fr, true, "grpc-status", "0")
	})
)

// grpcCases are servers by what they write once the call has come.
func grpcCases() map[string]struct {
	write   []byte
	failure muster.Failure
	reason  string
} {
	type row = struct {
		write   []byte
		failure muster.Failure
		reason  string
	}
	reply := func(data []byte) []byte {
		return frames(func(fr *http2.Framer) {
			writeHeader(fr, false, grpcHead...)
			fr.WriteData(1, false, data)
			writeHeader(fr, true, "grpc-status", "0")
		})
	}
	only := func(pairs ...string) []byte {
		return frames(func(fr *http2.Framer) { writeHeader(fr, true, pairs...) })
	}
	return map[string]row{
		"ok": {grpcReply, 0, ""},
		"ok, with everything that may come": {frames(func(fr *http2.Framer) {
			fr.WriteSettingsAck()
			fr.WritePing(false, [8]byte{1})
			fr.WriteWindowUpdate(0, 1<<20)
			fr.WriteGoAway(1, http2.ErrCodeNo, nil)
			writeHeader(fr, false, grpcHead...)
			fr.WriteDataPadded(1, false, serving[:3], make([]byte, 9))
			fr.WriteData(1, false, serving[3:])
			writeHeader(fr, true, "grpc-status", "0")
		}), 0, ""},
		"nothing":             {nil, muster.FailReset, "closed without an answer"},
		"settings alone":      {frames(func(*http2.Framer) {}), muster.FailReset, "closed early"},
		"half a frame":        {grpcReply[:len(grpcReply)-3], muster.FailReset, "closed early"},
		"HTTP/1":              {[]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), muster.FailProtocol, "peer speaks HTTP/1"},
		"SSH":                 {[]byte("SSH-2.0-OpenSSH_9.2p1 Debian\r\n"), muster.FailProtocol, "malformed http/2"},
		"zeros":               {make([]byte, 100), muster.FailProtocol, "malformed http/2"},
		"status 404":          {only(":status", "404", "content-type", "text/html"), muster.FailProtocol, "http status 404"},
		"a web page":          {only(":status", "200", "content-type", "text/html"), muster.FailProtocol, "not grpc"},
		"no status":           {frames(func(fr *http2.Framer) { writeHeader(fr, false, grpcHead...); fr.WriteData(1, true, serving) }), muster.FailProtocol, "no grpc-status"},
		"odd status":          {only(append(grpcHead, "grpc-status", "zero")...), muster.FailProtocol, "malformed grpc-status"},
		"no message":          {only(append(grpcHead, "grpc-status", "0")...), muster.FailProtocol, "malformed grpc message"},
		"compressed":          {reply([]byte{1, 0, 0, 0, 2, 8, 1}), muster.FailProtocol, "malformed grpc message"},
		"a wrong length":      {reply([]byte{0, 0, 0, 0, 3, 8, 1}), muster.FailProtocol, "malformed grpc message"},
		"an unknown state":    {reply([]byte{0, 0, 0, 0, 2, 8, 9}), muster.FailProtocol, "malformed health message"},
		"a state of text":     {reply([]byte{0, 0, 0, 0, 3, 10, 1, 'x'}), muster.FailProtocol, "malformed health message"},
		"data first":          {frames(func(fr *http2.Framer) { fr.WriteData(1, false, serving) }), muster.FailProtocol, "malformed http/2: data before the header"},
		"a large message":     {reply(make([]byte, 5000)), muster.FailTooLarge, "answer too large"},
		"a large header":      {only(append(grpcHead, "x", strings.Repeat("y", 9000), "z", strings.Repeat("y", 9000))...), muster.FailTooLarge, "header too large"},
		"stream reset":        {frames(func(fr *http2.Framer) { fr.WriteRSTStream(1, http2.ErrCodeRefusedStream) }), muster.FailReset, "stream reset"},
		"going away":          {frames(func(fr *http2.Framer) { fr.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("calm")) }), muster.FailReset, "goaway"},
		"frame of its own id": {frames(func(fr *http2.Framer) { fr.WriteRawFrame(http2.FramePing, 0, 0, []byte("short")) }), muster.FailProtocol, "malformed http/2"},
	}
}

// takeCall reads what a client says.
func takeCall(c net.Conn) bool {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return false
	}
	for fr := http2.NewFramer(nil, c); ; {
		f, err := fr.ReadFrame()
		if err != nil {
			return false
		}
		if d, ok := f.(*http2.DataFrame); ok && d.StreamEnded() {
			return true
		}
	}
}

func TestGRPCFaults(t *testing.T) {
	t.Parallel()
	for name, c := range grpcCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, func(conn *net.TCPConn) {
				if takeCall(conn) {
					conn.Write(c.write)
					conn.CloseWrite()
					io.Copy(io.Discard, conn)
				}
			})
			r := grpcProbe(t, GRPC{}, Env{Timeout: time.Minute}).Probe(t.Context(), target)
			ok := r.Outcome == muster.OK
			if ok != (c.failure == 0) || r.Failure != c.failure || r.Reason != c.reason || !r.Sent {
				t.Errorf("%v %v (%s: %s)", r.Outcome, r.Failure, r.Reason, r.Detail)
			}
		})
	}
}

func TestGRPCSilence(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, handle := range map[string]func(*net.TCPConn){
		"hang": hang,
		"hang after the header": func(c *net.TCPConn) {
			takeCall(c)
			c.Write(frames(func(fr *http2.Framer) { writeHeader(fr, false, grpcHead...) }))
			hang(c)
		},
		"pings without end": func(c *net.TCPConn) {
			takeCall(c)
			fr := http2.NewFramer(c, c)
			fr.WriteSettings()
			for fr.WritePing(false, [8]byte{}) == nil {
				if _, err := fr.ReadFrame(); err != nil {
					return
				}
			}
		},
	} {
		for _, secure := range []bool{false, name == "hang"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := grpcProbe(t, GRPC{Secure: secure, TLS: TLS{CA: a.ca()}}, Env{Timeout: 300 * time.Millisecond}).Probe(t.Context(), serve(t, handle))
				if r.Failure != muster.FailTimeout || r.Timings.Total > 10*time.Second {
					t.Errorf("%v %v (%s) after %v", r.Outcome, r.Failure, r.Detail, r.Timings.Total)
				}
			})
		}
	}
}

func TestGRPCCancelClosesTheSocket(t *testing.T) {
	t.Parallel()
	asked, gone := make(chan bool), make(chan bool)
	target := serve(t, func(c *net.TCPConn) {
		asked <- takeCall(c)
		hang(c)
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan muster.Result)
	p := grpcProbe(t, GRPC{}, Env{Timeout: time.Minute})
	go func() { done <- p.Probe(ctx, target) }()
	<-asked
	cancel()
	if r := <-done; r.Outcome != muster.Canceled || r.Timings.Total > 5*time.Second {
		t.Errorf("%v %v", r.Outcome, r.Detail)
	}
	<-gone
}

// TestGRPCHeadersOfAnyLength reads with an independent decoder what appendLiteral writes.
func TestGRPCHeadersOfAnyLength(t *testing.T) {
	t.Parallel()
	for n := range 600 {
		for _, length := range []int{n, 1<<14 - 300 + n} {
			name, value := strings.Repeat("n", n+1), strings.Repeat("v", length)
			fs, err := hpack.NewDecoder(4096, nil).DecodeFull(appendLiteral(nil, name, value))
			if err != nil || len(fs) != 1 || fs[0].Name != name || fs[0].Value != value || !fs[0].Sensitive {
				t.Fatalf("%d and %d bytes: %v", n+1, length, err)
			}
		}
	}
}

// FuzzGRPCAnswer reads a server's bytes: they end the call or are an error, within the limits.
func FuzzGRPCAnswer(f *testing.F) {
	for _, c := range grpcCases() {
		f.Add(c.write)
	}
	p := &grpcProber{}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readCall(io.Discard, bytes.NewReader(b))
		if len(a.data) > maxAnswer && err != errAnswer {
			t.Errorf("%d bytes kept", len(a.data))
		}
		var r muster.Result
		if err == nil && p.answered(&r, &a) == nil && !r.Outcome.Answered() {
			t.Errorf("%v", r.Outcome)
		}
	})
}
