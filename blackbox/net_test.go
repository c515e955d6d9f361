package blackbox_test

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/miekg/dns"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/musterhq/muster"
)

// converses starts a server that does the same with every connection until that ends.
func converses(t *testing.T, with func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				with(c)
			}()
		}
	}()
	return l.Addr().String()
}

// lines answers each line as replies says; "TLS" goes on over TLS, "HANG" says nothing more.
func lines(cfg *tls.Config, greeting string, replies map[string]string) func(net.Conn) {
	return func(c net.Conn) {
		io.WriteString(c, greeting)
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			reply := replies[strings.TrimSpace(line)]
			text, upgrade := strings.CutSuffix(reply, "TLS")
			io.WriteString(c, text)
			if upgrade {
				c = tls.Server(c, cfg)
				in = bufio.NewReader(c)
			}
			if reply == "HANG" {
				io.Copy(io.Discard, c)
			}
		}
	}
}

const tcpModules = `
modules:
  connect: {prober: tcp, timeout: 900ms}
  tls: {prober: tcp, timeout: 900ms, tcp: {tls: true, tls_config: {ca_file: CA}}}
  tls_insecure: {prober: tcp, timeout: 900ms, tcp: {tls: true, tls_config: {insecure_skip_verify: true}}}
  banner: {prober: tcp, timeout: 900ms, tcp: {query_response: [{expect: '^SSH-2.0-'}, {send: SSH-2.0-probe}]}}
  any_line: {prober: tcp, timeout: 900ms, tcp: {query_response: [{expect: ''}]}}
  irc:
    prober: tcp
    timeout: 900ms
    tcp:
      query_response:
        - send: NICK prober
        - expect: 'PING :(?P<token>[^ ]+)( x)?'
          send: 'PONG $token${2}$9'
        - expect: '^:[^ ]+ 001'
  cost: {prober: tcp, timeout: 900ms, tcp: {query_response: [{send: 'costs $1 and {{this}}'}, {expect: '^received$'}]}}
  smtp:
    prober: tcp
    timeout: 900ms
    tcp:
      query_response:
        - expect: "^220 ([^ ]+) ESMTP"
        - send: "EHLO prober\r"
        - expect: "^250-STARTTLS"
        - send: "STARTTLS\r"
        - expect: "^220"
        - starttls: true
        - send: "EHLO prober\r"
        - expect: "^250-AUTH"
        - send: "QUIT\r"
      tls_config: {ca_file: CA}
  smtp_distrust:
    prober: tcp
    timeout: 900ms
    tcp: {query_response: [{expect: ^220}, {send: "STARTTLS\r"}, {expect: ^220}, {starttls: true}]}
  ip6: {prober: tcp, timeout: 900ms, tcp: {preferred_ip_protocol: ip6, ip_protocol_fallback: false}}
  from: {prober: tcp, timeout: 900ms, tcp: {source_ip_address: 127.0.0.9}}
`

func TestTCPAgreesWithTheExporter(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	cfg := &tls.Config{Certificates: s.TLS.Certificates}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	smtp := map[string]string{"EHLO prober": "250-hello\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 DONE\r\n", "STARTTLS": "220 go\r\nTLS", "QUIT": "221 bye\r\n"}
	f, path := write(t, strings.ReplaceAll(tcpModules, "CA", ca))
	verdicts(t, f, exporter(t, path), map[string]string{
		"refused": closedPort(t), "silence": converses(t, func(c net.Conn) { io.Copy(io.Discard, c) }),
		"ssh": converses(t, lines(cfg, "SSH-2.0-OpenSSH_9\r\n", nil)), "other": converses(t, lines(cfg, "hello\n", nil)),
		"unfinished": converses(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x") }),
		"half":       converses(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x"); io.Copy(io.Discard, c) }),
		"late":       converses(t, func(c net.Conn) { io.WriteString(c, "hello\nSSH-2.0-x\n220 a ESMTP b\n"); io.Copy(io.Discard, c) }),
		"irc":        converses(t, lines(cfg, ":irc NOTICE\r\n", map[string]string{"NICK prober": "PING :abc\r\n", "PONG abc": ":irc 001 welcome\r\n"})),
		"irc x":      converses(t, lines(cfg, "", map[string]string{"NICK prober": "PING :abc x\r\n", "PONG abc x": ":irc 001 welcome\r\n"})),
		"irc hangs":  converses(t, lines(cfg, "", map[string]string{"NICK prober": "PING :abc\r\n", "PONG abc": "HANG"})),
		"cost":       converses(t, lines(cfg, "", map[string]string{"costs $1 and {{this}}": "received\n"})),
		"smtp":       converses(t, lines(cfg, "220 mx ESMTP ready\r\n", smtp)), "no smtp": converses(t, lines(cfg, "554 no\r\n", nil)),
		"tls": s.Listener.Addr().String(), "closes": converses(t, func(net.Conn) {}), "named": strings.Replace(s.Listener.Addr().String(), "127.0.0.1", "localhost", 1),
	})
}

// TestExpectBytes covers what came after Debian's version.
func TestExpectBytes(t *testing.T) {
	t.Parallel()
	f, _ := write(t, `
modules:
  postgres: {prober: tcp, timeout: 900ms, tcp: {query_response: [{send: !!binary AAAACATSFi8=}, {expect_bytes: S}]}}
  labels: {prober: tcp, timeout: 900ms, tcp: {query_response: [{expect: '^SSH-([^-]+)-(.*)', labels: [{name: version, value: 'v${1}'}, {name: rest, value: $2}]}]}}
`)
	asked := func(reply string) string {
		return converses(t, func(c net.Conn) {
			b := make([]byte, 9)
			if _, err := io.ReadFull(c, b); err == nil && string(b) == "\x00\x00\x00\x08\x04\xd2\x16\x2f\n" {
				io.WriteString(c, reply)
			}
			io.Copy(io.Discard, c)
		})
	}
	for reply, want := range map[string]muster.Outcome{"S": muster.OK, "N": muster.Unexpected, "NS": muster.Unexpected, "": muster.Failed} {
		if r := run(t, f, "postgres", asked(reply)); r.Outcome != want {
			t.Errorf("%q: %v %s %s, want %v", reply, r.Outcome, r.Reason, r.Detail, want)
		}
	}
	r := run(t, f, "labels", converses(t, lines(nil, "SSH-2.0-x\r\n", nil)))
	version, _ := r.Field("version")
	rest, _ := r.Field("rest")
	if version != "v2.0" || rest != "x" {
		t.Errorf("%v %s: %v", r.Outcome, r.Reason, r.Fields)
	}
}

const dnsModules = `
modules:
  a: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A}}
  any: {prober: dns, timeout: 900ms, dns: {query_name: a.test}}
  tcp: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, transport_protocol: tcp}}
  nx: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, valid_rcodes: [NXDOMAIN, SERVFAIL]}}
  none_valid: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, valid_rcodes: []}}
  norec: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, recursion_desired: false}}
  matches: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_answer_rrs: {fail_if_matches_regexp: ['127\.0\.0\.1$', never]}}}
  not_matches: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ["^a.test.\t300\tIN\tA\t127", A]}}}
  all_match: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_answer_rrs: {fail_if_all_match_regexp: ['127\.0\.0\.1$']}}}
  none_match: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_answer_rrs: {fail_if_none_matches_regexp: [never, '127\.0\.0\.2$']}}}
  authority: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_authority_rrs: {fail_if_not_matches_regexp: ["NS\tns[0-9].test.$"]}}}
  additional: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_additional_rrs: {fail_if_none_matches_regexp: ['10\.0\.0\.9'], fail_if_matches_regexp: ['^ns2']}}}
  additional_all: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_additional_rrs: {fail_if_not_matches_regexp: ["\tIN\tA\t"]}}}
  answer_all: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_answer_rrs: {fail_if_not_matches_regexp: ["\tIN\t"]}, validate_authority_rrs: {fail_if_all_match_regexp: ["\tIN\tNS\t"]}}}
  sections: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, validate_answer_rrs: {fail_if_matches_regexp: [ns]}, validate_authority_rrs: {fail_if_matches_regexp: ['^ns|^a']}, validate_additional_rrs: {fail_if_matches_regexp: [test.$]}}}
  from: {prober: dns, timeout: 900ms, dns: {query_name: a.test, query_type: A, source_ip_address: 127.0.0.9}}
`

// nameServer answers with records over UDP and TCP on one port.
func nameServer(t *testing.T, answer func(*dns.Msg)) string {
	t.Helper()
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if answer(m); m.Rcode != -1 {
			w.WriteMsg(m)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Skipf("the port is taken: %v", err)
	}
	for _, s := range []*dns.Server{{Listener: l, Handler: handler}, {PacketConn: pc, Handler: handler}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return l.Addr().String()
}

func records(t *testing.T, texts ...string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, text := range texts {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

func TestDNSAgreesWithTheExporter(t *testing.T) {
	t.Parallel()
	one, two := records(t, "a.test. 300 IN A 127.0.0.1"), records(t, "a.test. 300 IN A 127.0.0.1", "a.test. 300 IN A 127.0.0.2")
	other := records(t, "a.test. 60 IN CNAME b.test.", "b.test. 60 IN A 10.1.1.1")
	ns, extra := records(t, "test. 60 IN NS ns1.test.", "test. 60 IN NS ns2.test."), records(t, "ns1.test. 60 IN A 10.0.0.9")
	more := records(t, "ns2.test. 60 IN A 10.0.0.8")
	f, path := write(t, dnsModules)
	verdicts(t, f, exporter(t, path), map[string]string{
		"one": nameServer(t, func(m *dns.Msg) { m.Answer = one }), "two": nameServer(t, func(m *dns.Msg) { m.Answer, m.Ns, m.Extra = two, ns, extra }),
		"other":    nameServer(t, func(m *dns.Msg) { m.Answer, m.Extra = other, append(extra[:1:1], more...) }),
		"empty":    nameServer(t, func(*dns.Msg) {}),
		"referral": nameServer(t, func(m *dns.Msg) { m.Ns, m.Extra = ns, extra }),
		"alias":    nameServer(t, func(m *dns.Msg) { m.Answer, m.Ns = one, records(t, "test. 60 IN SOA a.test. b.test. 1 2 3 4 5") }),
		"nx":       nameServer(t, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }), "refused": nameServer(t, func(m *dns.Msg) { m.Rcode = dns.RcodeRefused }),
		"truncated": nameServer(t, func(m *dns.Msg) { m.Truncated = true }),
		"recursive": nameServer(t, func(m *dns.Msg) {
			if m.RecursionDesired {
				m.Rcode = dns.RcodeServerFailure
			}
		}),
		"silent": nameServer(t, func(m *dns.Msg) { m.Rcode = -1 }), "closed": closedPort(t),
	})
}

func TestGRPCAgreesWithTheExporter(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(healthy bool, opts ...grpc.ServerOption) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(opts...)
		if healthy {
			h := health.NewServer()
			h.SetServingStatus("sick", healthpb.HealthCheckResponse_NOT_SERVING)
			h.SetServingStatus("well", healthpb.HealthCheckResponse_SERVING)
			healthpb.RegisterHealthServer(server, h)
		}
		go server.Serve(l)
		t.Cleanup(server.Stop)
		return l.Addr().String()
	}
	secure := grpc.Creds(credentials.NewServerTLSFromCert(&s.TLS.Certificates[0]))
	f, path := write(t, strings.ReplaceAll(`
modules:
  plain: {prober: grpc, timeout: 900ms, grpc: {tls: false}}
  well: {prober: grpc, timeout: 900ms, grpc: {service: well}}
  sick: {prober: grpc, timeout: 900ms, grpc: {service: sick}}
  unknown: {prober: grpc, timeout: 900ms, grpc: {service: nobody}}
  tls: {prober: grpc, timeout: 900ms, grpc: {tls: true, tls_config: {ca_file: CA}}}
  tls_distrust: {prober: grpc, timeout: 900ms, grpc: {tls: true, service: well}}
  tls_insecure: {prober: grpc, timeout: 900ms, grpc: {tls: true, service: well, tls_config: {insecure_skip_verify: true}}}
`, "CA", ca))
	verdicts(t, f, exporter(t, path), map[string]string{
		"plain": serve(true), "tls": serve(true, secure), "no health": serve(false), "http": says(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "refused": closedPort(t),
	})
}

func TestICMPAgreesWithTheExporter(t *testing.T) {
	t.Parallel()
	f, path := write(t, `
modules:
  ping: {prober: icmp, timeout: 900ms}
  large: {prober: icmp, timeout: 900ms, icmp: {payload_size: 1000, dont_fragment: true, preferred_ip_protocol: ip4}}
  tiny: {prober: icmp, timeout: 900ms, icmp: {payload_size: 1, ttl: 1}}
  from: {prober: icmp, timeout: 900ms, icmp: {source_ip_address: 127.0.0.9, preferred_ip_protocol: ip4}}
  ip6: {prober: icmp, timeout: 900ms, icmp: {ip_protocol_fallback: false}}
`)
	if r := run(t, f, "ping", "127.0.0.1"); r.Outcome == muster.Failed && r.Failure == muster.FailLocal {
		t.Skip(r.Detail)
	}
	verdicts(t, f, exporter(t, path), map[string]string{"here": "127.0.0.1", "there": "127.9.9.9", "nowhere": "240.0.0.1", "no name": "name.invalid"})
}

// TestWebSocketModules follows the exporter's own source: an expectation is held against the very next message.
func TestWebSocketModules(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "user" || password != "pass{{word" || r.Header.Get("X-Some-Header") != "my_header" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.Write(r.Context(), websocket.MessageText, []byte("Hello, bob"))
		for {
			_, m, err := c.Read(r.Context())
			if err != nil {
				return
			}
			c.Write(r.Context(), websocket.MessageText, append([]byte("Welcome "), m...))
		}
	}))
	t.Cleanup(s.Close)
	f, _ := write(t, strings.ReplaceAll(`
modules:
  upgrade: {prober: websocket, timeout: 900ms, websocket: {LOGIN}}
  dialogue: {prober: websocket, timeout: 900ms, websocket: {LOGIN, query_response: [{expect: '^Hello,\s(.+)', send: 'I am ${1}'}, {expect: '^Welcome I am bob$'}]}}
  next: {prober: websocket, timeout: 900ms, websocket: {LOGIN, query_response: [{send: x}, {expect: '^Welcome'}]}}
  sends: {prober: websocket, timeout: 900ms, websocket: {LOGIN, query_response: [{expect: Hello}, {send: x}]}}
  stranger: {prober: websocket, timeout: 900ms}
`, "LOGIN", "http_config: {basic_auth: {username: user, password: 'pass{{word'}}, headers: {X-Some-Header: my_header}"))
	for module, want := range map[string]string{
		"upgrade": "", "dialogue": "", "sends": "", "next": "expect ^Welcome", "stranger": "status 403",
	} {
		r := run(t, f, module, s.URL)
		if (r.Outcome == muster.OK) != (want == "") || r.Reason != want {
			t.Errorf("%s: %v %q %s, want %q", module, r.Outcome, r.Reason, r.Detail, want)
		}
	}
}
