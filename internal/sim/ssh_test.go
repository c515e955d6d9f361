package sim

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// login connects to an address of a fleet, with the fleet's host key known.
func login(t testing.TB, s *Server, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	t.Helper()
	if len(auth) == 0 {
		auth = []ssh.AuthMethod{ssh.Password(Password)}
	}
	client, err := loginOn(s, reach(t, s, SSH, "127.5.6.7"), auth...)
	if err == nil {
		t.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func loginOn(s *Server, c net.Conn, auth ...ssh.AuthMethod) (*ssh.Client, error) {
	known, _, _, _, err := ssh.ParseAuthorizedKey(s.HostKey())
	if err != nil {
		return nil, err
	}
	conn, chans, requests, err := ssh.NewClientConn(c, "", &ssh.ClientConfig{
		User: "anybody", Auth: auth, HostKeyCallback: ssh.FixedHostKey(known), HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(conn, chans, requests), nil
}

// ran is what came of a command.
type ran struct {
	stdout, stderr string
	err            error
}

func (r ran) code() int {
	if e, ok := errors.AsType[*ssh.ExitError](r.err); ok {
		return e.ExitStatus()
	}
	return 0
}

func runOn(t testing.TB, client *ssh.Client, stdin, command string) ran {
	t.Helper()
	se, err := client.NewSession()
	if err != nil {
		return ran{err: err}
	}
	defer se.Close()
	var out, errs bytes.Buffer
	se.Stdin, se.Stdout, se.Stderr = strings.NewReader(stdin), &out, &errs
	_ = se.Setenv("LANG", "C") // as asked
	err = se.Run(command)
	return ran{out.String(), errs.String(), err}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{SSH: []string{":0"}, Seed: 3})
	client, err := login(t, s)
	if err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]ran{
		"true": {}, "sleep 10ms": {}, "exit 256": {},
		"echo a  b":    {stdout: "a  b\n"},
		"stderr oops":  {stderr: "oops\n"},
		"hostname":     {stdout: "node-127-5-6-7\n"},
		"cat":          {stdout: "input"},
		"env":          {stdout: "LANG=C\n"},
		"uptime -p; w": {stdout: "127.5.6.7: uptime -p; w\n"},
	} {
		stdin := ""
		if command == "cat" {
			stdin = "input" // the others end without having read theirs, which is an error of the client
		}
		if got := runOn(t, client, stdin, command); got != want {
			t.Errorf("%s: %+v", command, got)
		}
	}
	if got := runOn(t, client, "", "false"); got.code() != 1 {
		t.Errorf("false: %+v", got)
	}
	if got := runOn(t, client, "", "exit 42"); got.code() != 42 {
		t.Errorf("exit 42: %+v", got)
	}
	got, isExit := errors.AsType[*ssh.ExitError](runOn(t, client, "", "kill -SEGV").err)
	if !isExit || got.Signal() != "SEGV" {
		t.Errorf("kill: %v", got)
	}
	if st := s.Stats(); st.Requests != 12 || st.Connections != 1 || st.ByProfile["ok"] != 12 || st.BytesSent == 0 || st.BytesRead == 0 {
		t.Errorf("stats: %+v", st)
	}
}

// A signal ends a command whatever it does.
func TestSignalEndsCommand(t *testing.T) {
	t.Parallel()
	client, err := login(t, start(t, &Fleet{SSH: []string{":0"}}))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"sleep 1000", "cat", "yes"} {
		se, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		in, err := se.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := se.Start(command); err != nil {
			t.Fatal(err)
		}
		if err := se.Signal(ssh.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if got, ok := errors.AsType[*ssh.ExitError](se.Wait()); !ok || got.Signal() != "TERM" {
			t.Errorf("%s: %v", command, got)
		}
		_ = in.Close()
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	hosts := filepath.Join(t.TempDir(), "known_hosts")
	s := start(t, &Fleet{SSH: []string{":0"}, Seed: 9, KnownHostsOut: hosts})
	if _, err := login(t, s, ssh.Password("guess")); err == nil {
		t.Error("a wrong password was accepted")
	}
	key, err := ssh.NewSignerFromKey(derive(1, "some user"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := login(t, s, ssh.PublicKeys(key)); err != nil {
		t.Error("a key was refused:", err)
	}
	if other := start(t, &Fleet{SSH: []string{":0"}, Seed: 10}); bytes.Equal(other.HostKey(), s.HostKey()) {
		t.Error("the seed does not change the host key")
	}
	check, err := knownhosts.New(hosts)
	if err != nil {
		t.Fatal(err)
	}
	known, _, _, _, err := ssh.ParseAuthorizedKey(s.HostKey())
	if err != nil {
		t.Fatal(err)
	}
	addr := at(s, SSH, "127.9.9.9")
	if err := check(addr, net.TCPAddrFromAddrPort(s.ServiceAddr(SSH)), known); err != nil {
		text, _ := os.ReadFile(hosts)
		t.Errorf("%s: %v in\n%s", addr, err, text)
	}
}

func TestSSHBehaviours(t *testing.T) {
	t.Parallel()
	const line = "127.5.6.7: uptime\n"
	lost := func(r ran) bool { _, exited := errors.AsType[*ssh.ExitError](r.err); return r.err != nil && !exited }
	good := func(r ran) bool { return r.err == nil && r.stdout == line }
	cases := map[string]func(ran) bool{
		"ok": good, "slow:20ms": good, "drip:1ms": good, "chunked": good, "once": good, "flaky:0": good,
		"version:8.1":            good,
		"status:3":               func(r ran) bool { return r.code() == 3 && r.stdout == line },
		"status:503":             func(r ran) bool { return r.code() == 1 },
		"warmup(1,7)":            func(r ran) bool { return r.code() == 7 },
		"status:401":             func(r ran) bool { return strings.Contains(r.err.Error(), "unable to authenticate") },
		"conflict":               func(r ran) bool { return strings.Contains(r.err.Error(), "host key mismatch") },
		"garbage":                lost,
		"reset":                  lost,
		"reset:accept":           lost,
		"reset:handshake":        lost,
		"reset:login":            lost,
		"reset:body":             lost,
		"close-before":           lost,
		"close-before:handshake": lost,
		"close-before:login":     lost,
		"close-early":            func(r ran) bool { return lost(r) && r.stdout == line[:len(line)/2] },
		"oversized:100k":         func(r ran) bool { return r.err == nil && len(r.stdout) == 100<<10 },
	}
	for behaviour, want := range cases {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			s := serviceOf(t, SSH, behaviour)
			client, err := loginOnce(t, s)
			got := ran{err: err}
			if err == nil {
				got = runOn(t, client, "", "uptime")
			}
			if !want(got) {
				t.Errorf("got %+v", got)
			}
			if n := s.Stats().ByProfile[behaviourName(t, behaviour)]; n > 1 || n == 0 && behaviour != "reset:accept" && behaviour != "status:401" && behaviour != "conflict" {
				t.Errorf("served %d times", n)
			}
		})
	}
}

// loginOnce is login to an address that may reset the connection while it is made.
func loginOnce(t testing.TB, s *Server) (*ssh.Client, error) {
	c, err := net.Dial("tcp", at(s, SSH, "127.5.6.7"))
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return loginOn(s, c, ssh.Password(Password))
}

// An address that hangs lets go when the client does.
func TestSSHHangs(t *testing.T) {
	t.Parallel()
	for _, behaviour := range []string{"hang", "hang:accept", "hang:handshake", "hang:login", "hang-body", "slow:1h", "endless:head", "endless"} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			s := serviceOf(t, SSH, behaviour)
			c := reach(t, s, SSH, "127.5.6.7")
			var wg sync.WaitGroup
			wg.Go(func() {
				if client, err := loginOn(s, c, ssh.Password(Password)); err == nil {
					runOn(t, client, "", "uptime")
					_ = client.Close()
				}
			})
			eventually(t, s, "service", func(st Stats) bool {
				return st.ByProfile[behaviourName(t, behaviour)] == 1 || behaviour == "slow:1h" && st.Requests == 1
			})
			if st := s.Stats(); st.Open != 1 {
				t.Errorf("stats: %+v", st)
			}
			_ = c.Close()
			wg.Wait()
			eventually(t, s, "the end of the connection", func(st Stats) bool { return st.Open == 0 })
		})
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	s := serviceOf(t, SSH, "ok")
	for range 2 { // the second time, what the first has left is there
		client, err := login(t, s)
		if err != nil {
			t.Fatal(err)
		}
		f, err := sftp.NewClient(client)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Stat("/motd"); err != nil {
			w, err := f.Create("/motd")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(w, strings.NewReader(strings.Repeat("hello", 50_000))); err != nil || w.Close() != nil {
				t.Fatal(err)
			}
		}
		st, err := f.Stat("/motd")
		if err != nil || st.Size() != 250_000 {
			t.Errorf("%+v, %v", st, err)
		}
		_ = f.Close()
		_ = client.Close()
	}
}

func TestFilesFail(t *testing.T) {
	t.Parallel()
	for behaviour, want := range map[string]string{
		"status:3": "permission denied", "status:4": "no space left", "reset": "", "close-early": "", "close-before": "",
	} {
		t.Run(behaviour, func(t *testing.T) {
			t.Parallel()
			client, err := login(t, serviceOf(t, SSH, behaviour))
			if err != nil {
				t.Fatal(err)
			}
			f, err := sftp.NewClient(client)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w, err := f.Create("/motd")
			for i := 0; err == nil && i < 100; i++ {
				_, err = w.Write(make([]byte, 100_000))
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
}

// BenchmarkSSH tells what both ends spend on a login and a command.
func BenchmarkSSH(b *testing.B) {
	s := start(b, &Fleet{SSH: []string{":0"}})
	for b.Loop() {
		client, err := login(b, s)
		if err != nil {
			b.Fatal(err)
		}
		if r := runOn(b, client, "", "true"); r.err != nil {
			b.Fatal(r.err)
		}
		_ = client.Close()
	}
}
