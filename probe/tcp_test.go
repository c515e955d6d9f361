package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

func compileTCPSpec(t testing.TB, s TCP, env Env) *tcpProber {
	t.Helper()
	p, err := newTCP(s, env)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// says writes a text and then waits for the peer to go.
func says(text string) func(*net.TCPConn) {
	return thenHang(func(c *net.TCPConn) { io.WriteString(c, text) })
}

// echoLines greets, then answers each line with another, and closes after QUIT.
func echoLines(c *net.TCPConn) {
	io.WriteString(c, "220 ready\r\n")
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		if lines.Text() == "QUIT" {
			return
		}
		fmt.Fprintf(c, "OK %s\r\n", lines.Text())
	}
}

// trickle writes a byte at a time.
func trickle(text string, every time.Duration) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
				return
			}
			<-tick.C
		}
	}
}

func flood(c *net.TCPConn) {
	for {
		if _, err := io.WriteString(c, strings.Repeat("x", 8192)); err != nil {
			return
		}
	}
}

func resetAfter(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		io.WriteString(c, text)
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	}
}

func TestTCPDialogues(t *testing.T) {
	t.Parallel()
	idle := muster.Duration(400 * time.Millisecond)
	send := func(s string) Step { return Step{Send: s} }
	expect := func(s string) Step { return Step{Expect: s} }
	for _, c := range []struct {
		name   string
		handle func(*net.TCPConn)
		spec   TCP
		want   string // outcome, failure, reason, status
		body   string
	}{
		{"connect", hang, TCP{}, "ok,,,connected", ""},
		{"line by line", echoLines, TCP{Steps: []Step{expect("^220 "), send(`a\r\n`), expect("^OK a$"), send(`b\r\n`), expect("^OK b$")}}, "ok,,,matched", "220 ready\r\nOK a\r\nOK b\r\n"},
		{"lines passed over", says("250-a\r\n250-b\r\n250 c\r\n"), TCP{Steps: []Step{expect("^250 ")}}, "ok,,,matched", "250-a\r\n250-b\r\n250 c\r\n"},
		{"byte by byte", trickle("hello 42\r\n", time.Millisecond), TCP{Steps: []Step{expect(`^hello (\d+)$`)}}, "ok,,,matched", "hello 42\r\n"},
		{"groups sent back", echoLines, TCP{Steps: []Step{expect(`^220 (?P<word>\w+)`), send(`${1} ${word} \$x {{.host}}\n`), expect("^OK ready ready [$]x 127")}}, "ok,,,matched", "220 ready\r\nOK ready ready $x 127.0.0.1\r\n"},
		{"close ends the answer", echoLines, TCP{Steps: []Step{send(`x\nQUIT\n`)}, Until: "close"}, "ok,,,closed", "220 ready\r\nOK x\r\n"},
		{"data kept on idle", echoLines, TCP{Steps: []Step{send(`x\n`)}, IdleTimeout: idle}, "ok,,,idle", "220 ready\r\nOK x\r\n"},
		{"delimiter", echoLines, TCP{Steps: []Step{send(`x\n`)}, Until: `delim:OK x\r\n`}, "ok,,,complete", "220 ready\r\nOK x\r\n"},
		{"length", says("0123456789"), TCP{Until: "len:9"}, "ok,,,complete", "012345678"},
		{"hex", echoLines, TCP{Steps: []Step{{Hex: "68 690a"}, expect("^OK hi$")}}, "ok,,,matched", "220 ready\r\nOK hi\r\n"},
		{"bytes", says("ab\x00\xffcd"), TCP{Steps: []Step{{ExpectBytes: `\x00\xff`}}}, "ok,,,matched", "ab\x00\xff"},
		{"raw prompt", says("login: "), TCP{Steps: []Step{{Expect: `login: $`, Raw: true}}}, "ok,,,matched", "login: "},
		{"prompt once idle", says("login: "), TCP{Steps: []Step{expect(`^login: $`)}, IdleTimeout: idle}, "ok,,,matched", "login: "},
		{"unfinished last line", func(c *net.TCPConn) { io.WriteString(c, "bye") }, TCP{Steps: []Step{expect("^bye$")}}, "ok,,,matched", "bye"},

		{"wrong line, then silence", says("554 go away\r\n"), TCP{Steps: []Step{expect("^220 ")}, IdleTimeout: idle}, "unexpected,,expect ^220 ,no match", "554 go away\r\n"},
		{"wrong line, silence of half the timeout", says("554 go away\r\n"), TCP{Steps: []Step{expect("^220 ")}}, "unexpected,,expect ^220 ,no match", "554 go away\r\n"},
		{"wrong line, then close", func(c *net.TCPConn) { io.WriteString(c, "554\r\n") }, TCP{Steps: []Step{expect("^220 ")}}, "unexpected,,expect ^220 ,no match", "554\r\n"},
		{"wrong bytes", func(c *net.TCPConn) { io.WriteString(c, "abc") }, TCP{Steps: []Step{{ExpectBytes: `\x00`}}}, `unexpected,,expect "\x00",no match`, "abc"},
		{"silence", hang, TCP{Steps: []Step{expect("^220 ")}, IdleTimeout: idle}, "failed,timeout,timeout,", ""},
		{"no reply", hang, TCP{Steps: []Step{send("x")}, IdleTimeout: idle}, "failed,timeout,timeout,", ""},
		{"closed before", func(*net.TCPConn) {}, TCP{Steps: []Step{expect("^220 ")}}, "failed,reset,closed without an answer,", ""},
		{"trickle", trickle("x", 20*time.Millisecond), TCP{Steps: []Step{expect("^220 ")}, IdleTimeout: idle}, "failed,timeout,timeout,", ""},
		{"trickle without steps", trickle("x\n", 20*time.Millisecond), TCP{Until: "idle", IdleTimeout: idle}, "failed,timeout,timeout,", ""},
		{"reset", resetAfter("220 hi\r\n"), TCP{Steps: []Step{expect("^220"), send("x"), expect("^250")}}, "failed,reset,connection reset,", ""},
		{"cut before the delimiter", func(c *net.TCPConn) { io.WriteString(c, "abc") }, TCP{Until: "delim:."}, "failed,protocol,closed before the delimiter,", ""},
		{"cut before the length", func(c *net.TCPConn) { io.WriteString(c, "abc") }, TCP{Until: "len:4"}, "failed,protocol,closed before the length,", ""},
		{"endless", flood, TCP{Until: "idle", BodyLimit: 10000}, "failed,too_large,body too large,", ""},
		{"endless banner", flood, TCP{Steps: []Step{expect("^220")}, BodyLimit: 10000}, "failed,too_large,body too large,", ""},
		{"endless, cut", flood, TCP{Until: "idle", BodyLimit: 10000, Truncate: true}, "ok,,,cut", strings.Repeat("x", 10000)},
		{"just the limit", func(c *net.TCPConn) { io.WriteString(c, "0123456789") }, TCP{Until: "close", BodyLimit: 10}, "ok,,,closed", "0123456789"},
		{"tls against plain text", says("220 hi\r\n"), TCP{Secure: true}, "failed,tls,peer does not speak tls,", ""},
		{"hang in the handshake", hang, TCP{Secure: true}, "failed,timeout,timeout,", ""},
		{"text after starttls was agreed", says("220 go\r\nmore"), TCP{Steps: []Step{expect("^220"), {StartTLS: true}}}, "failed,protocol,plain text before tls,", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, c.handle)
			p := compileTCPSpec(t, c.spec, Env{Timeout: 1500 * time.Millisecond})
			r := p.Probe(t.Context(), target)
			got := fmt.Sprintf("%v,%v,%s,%s", r.Outcome, r.Failure, r.Reason, r.Status)
			if got != c.want || string(r.Body) != c.body {
				t.Errorf("%s %q (%s)\nwant %s %q", got, r.Body, r.Detail, c.want, c.body)
			}
			if !r.Address.IsValid() || r.Timings.Total <= 0 || r.Timings.Connect <= 0 || r.Timings.Total > 6*time.Second {
				t.Errorf("address %v, timings %+v", r.Address, r.Timings)
			}
			if wantSent := !c.spec.Safe() && (r.Outcome == muster.OK || c.name == "no reply"); r.Sent != wantSent && r.Failure != muster.FailReset {
				t.Errorf("sent %v, want %v", r.Sent, wantSent)
			}
		})
	}
}

func TestTCPFields(t *testing.T) {
	t.Parallel()
	target := serve(t, says("SSH-2.0-OpenSSH_9.2 Debian\r\n"))
	spec := TCP{Steps: []Step{{Expect: `^SSH-(?P<proto>[\d.]+)-(?P<software>\S+)(?P<none>x)?`, Fields: []Pair{{Name: "both", Value: "${1}/${software}"}}}}}
	r := compileTCPSpec(t, spec, Env{}).Probe(t.Context(), target)
	got := fmt.Sprint(r.Fields)
	if want := "[{banner SSH-2.0-OpenSSH_9.2 Debian} {proto 2.0} {software OpenSSH_9.2} {none } {both 2.0/OpenSSH_9.2}]"; got != want {
		t.Errorf("fields %s\nwant   %s", got, want)
	}
	if got, want := fmt.Sprint(TraitsOf(spec).Fields), "[banner proto software none both]"; got != want {
		t.Errorf("traits name %s, want %s", got, want)
	}
}

func TestTCPRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := targetAt(l.Addr())
	l.Close()
	r := compileTCPSpec(t, TCP{}, Env{}).Probe(t.Context(), target)
	if r.Failure != muster.FailRefused || r.Sent {
		t.Errorf("%+v", r)
	}
}

func TestTCPCancel(t *testing.T) {
	t.Parallel()
	arrived := make(chan bool, 1)
	target := serve(t, func(c *net.TCPConn) {
		arrived <- true
		hang(c)
	})
	for _, spec := range []TCP{{Secure: true}, {Until: "close"}, {Steps: []Step{{Expect: "x"}}}} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		began := time.Now()
		r := compileTCPSpec(t, spec, Env{Timeout: time.Minute}).Probe(ctx, target)
		if r.Outcome != muster.Canceled || time.Since(began) > 5*time.Second {
			t.Errorf("%v: %v after %v", spec, r.Outcome, time.Since(began))
		}
	}
}

// TestTCPStartTLS upgrades a dialogue, and goes on with it over TLS.
func TestTCPStartTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, _, _ := a.issue("mail.test", time.Now().Add(time.Hour))
	target := serve(t, func(c *net.TCPConn) {
		io.WriteString(c, "220 plain\r\n")
		in := bufio.NewReader(c)
		if line, _ := in.ReadString('\n'); line != "STARTTLS\r\n" {
			return
		}
		io.WriteString(c, "220 go\r\n")
		tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer tc.Close()
		line, _ := bufio.NewReader(tc).ReadString('\n')
		fmt.Fprintf(tc, "250 secret %s for %s\r\n", strings.TrimSpace(line), tc.ConnectionState().ServerName)
	})
	spec := TCP{
		TLS:   TLS{CA: a.ca(), ServerName: "mail.test"},
		Steps: []Step{{Expect: "^220 plain"}, {Send: `STARTTLS\r\n`}, {Expect: "^220"}, {StartTLS: true}, {Send: `EHLO\r\n`}, {Expect: "^250"}},
	}
	r := compileTCPSpec(t, spec, Env{}).Probe(t.Context(), target)
	if r.Outcome != muster.OK || !strings.Contains(string(r.Body), "250 secret EHLO for mail.test") || r.Timings.TLS <= 0 {
		t.Errorf("%v %s %q", r.Outcome, r.Detail, r.Body)
	}
	spec.TLS = TLS{}
	r = compileTCPSpec(t, spec, Env{}).Probe(t.Context(), target)
	if r.Failure != muster.FailTLS {
		t.Errorf("an unknown authority: %v %v %s", r.Outcome, r.Failure, r.Reason)
	}
}

func TestTCPValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spec TCP
		want string
	}{
		{TCP{Port: "x"}, "want 1 to 65535"},
		{TCP{Steps: []Step{{}}}, "step 1: want exactly one of send, hex"},
		{TCP{Steps: []Step{{Send: "a", Expect: "b"}}}, "step 1: want exactly one of send, hex"},
		{TCP{Steps: []Step{{Expect: "("}}}, "missing closing )"},
		{TCP{Steps: []Step{{Send: `\q`}}}, `want \r \n \t`},
		{TCP{Steps: []Step{{Send: "${1}"}}}, "${1}: the expectation before it has 0 groups"},
		{TCP{Steps: []Step{{Expect: "(a)"}, {Send: "${2}"}}}, "${2}: the expectation before it has 1 groups"},
		{TCP{Steps: []Step{{Expect: "(?P<a>.)"}, {Expect: "x"}, {Send: "${b}"}}}, "no expectation before it has a group of that name, (?P<b>…)"},
		{TCP{Steps: []Step{{Send: "${"}}}, `\$ for a dollar sign`},
		{TCP{Steps: []Step{{Hex: "1"}}}, "pairs of hexadecimal digits"},
		{TCP{Steps: []Step{{ExpectBytes: "{{.id}}"}}}, "without variables"},
		{TCP{Steps: []Step{{StartTLS: true}}, Secure: true}, "starttls: the connection speaks TLS"},
		{TCP{Until: "later"}, "want none, close, idle, delim:TEXT or len:BYTES"},
		{TCP{Until: "len:0"}, "want none, close, idle, delim:TEXT or len:BYTES"},
		{TCP{IdleTimeout: -1}, "idle_timeout"},
		{TCP{BodyLimit: -1}, "body_limit"},
	} {
		if err := c.spec.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %q", c.spec, err, c.want)
		}
	}
}

func TestTCPInvalidTargets(t *testing.T) {
	t.Parallel()
	p := compileTCPSpec(t, TCP{Steps: []Step{{Expect: "x"}, {Send: "{{.word}}"}}}, Env{})
	for reason, target := range map[string]muster.Target{
		"missing port":          {ID: "a", Host: "a", Vars: map[string]string{"word": "x"}},
		"missing variable word": {ID: "a:1", Host: "a", Port: 1},
		"invalid host":          {ID: "b c", Host: "b c", Port: 1},
	} {
		r := p.Probe(t.Context(), target)
		if r.Outcome != muster.Invalid || r.Reason != reason || p.Check(&target) == nil {
			t.Errorf("%v %q, want %q", r.Outcome, r.Reason, reason)
		}
	}
}

func TestTCPPreview(t *testing.T) {
	t.Parallel()
	secret := func(string) (muster.Secret, error) { return muster.NewSecret("hunter2"), nil }
	p := compileTCPSpec(t, TCP{Steps: []Step{{Expect: "^220 (.*)"}, {Send: `PASS {{secret "env:X"}} ${1}\r\n`}}}, Env{Secret: secret})
	got, err := p.Preview(&muster.Target{ID: "a", Host: "a", Port: 25})
	want := "# tcp a:25\nexpect   ^220 (.*)\nsend     \"PASS [redacted] ${1}\\r\\n\"\nread     until idle\n"
	if err != nil || got != want {
		t.Errorf("%q, %v\nwant %q", got, err, want)
	}
}
