package sim

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Password is the one that the SSH service accepts from every user.
const Password = "sim"

// loginLimit ends SSH handshakes and logins that do not come to an end.
const loginLimit = time.Minute

var errLogin = errors.New("refused by the fleet's script")

// sshService is what all SSH listeners of a server share.
type sshService struct {
	srv          *Server
	key, another ssh.Signer // of the fleet, and of addresses whose key has changed
	files        files
}

func (s *Server) openSSH(ctx context.Context) error {
	listeners := s.fleet.openingsOf(SSH)
	if len(listeners) == 0 {
		return nil
	}
	v := &sshService{srv: s}
	var errs [2]error
	v.key, errs[0] = ssh.NewSignerFromKey(derive(s.fleet.Seed, "host key"))
	v.another, errs[1] = ssh.NewSignerFromKey(derive(s.fleet.Seed, "another host key"))
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("make the sim's host keys: %w", err)
	}
	s.hostKey = v.key.PublicKey()
	for _, o := range listeners {
		if err := s.openStream(ctx, o, v.speak); err != nil {
			return err
		}
	}
	return v.writeKnownHosts()
}

// writeKnownHosts writes the fleet's lines of a known_hosts file.
func (v *sshService) writeKnownHosts() error {
	if v.srv.fleet.KnownHostsOut == "" {
		return nil
	}
	var lines []byte
	for _, ap := range v.srv.ServiceAddrs(SSH) {
		lines = fmt.Appendf(lines, "[*]:%d %s\n", ap.Port(), v.srv.HostKey())
	}
	if err := os.WriteFile(v.srv.fleet.KnownHostsOut, lines, 0o644); err != nil {
		return fmt.Errorf("write the fleet's known_hosts: %w", err)
	}
	return nil
}

// HostKey is the public key of the SSH listeners as known_hosts and authorized_keys
// write it, without a line feed; nil without any. It depends on the seed alone.
func (s *Server) HostKey() []byte {
	if s.hostKey == nil {
		return nil
	}
	return bytes.TrimSuffix(ssh.MarshalAuthorizedKey(s.hostKey), []byte{'\n'})
}

// speak serves one connection.
func (v *sshService) speak(ctx context.Context, c *session) error {
	b := v.srv.script.Load().choose(&c.ep, nil)
	if p, faulty := v.spoiledHello(c, b); faulty {
		b.served.Add(1)
		if err := c.write(p.out); err != nil {
			return err
		}
		_, err := c.perform(plan{filler: p.filler, fill: p.fill, end: p.end})
		return err
	}
	_ = c.raw.SetDeadline(time.Now().Add(loginLimit))
	tap := &counted{Conn: c.raw, gauge: &v.srv.gauge}
	defer func() { c.sent += tap.sent.Load() }()
	conn, channels, requests, err := ssh.NewServerConn(tap, v.config(b))
	if err != nil {
		return errGone // refused, or left
	}
	defer func() {
		_ = conn.Close()
		_ = conn.Wait() // it says only that it is closed
	}()
	_ = c.raw.SetDeadline(time.Time{})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { ssh.DiscardRequests(requests) })
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for nc := range channels {
		if b.Where == "login" {
			b.served.Add(1)
			if b.Kind == Hang {
				continue // the client waits for an answer
			}
			_, err := c.end(b.ending())
			return err
		}
		v.open(ctx, &wg, c, nc)
	}
	return nil
}

// open accepts a session channel and serves it aside.
func (v *sshService) open(ctx context.Context, wg *sync.WaitGroup, c *session, nc ssh.NewChannel) {
	if nc.ChannelType() != "session" {
		_ = nc.Reject(ssh.UnknownChannelType, "only sessions are simulated")
		return
	}
	channel, requests, err := nc.Accept()
	if err != nil {
		return // the connection is gone, which ends the loop of the caller
	}
	sh := &shell{service: v, session: c, channel: channel}
	wg.Go(func() { sh.serve(ctx, requests) })
}

// spoiledHello is what a behaviour that shows before or in the handshake says instead.
func (v *sshService) spoiledHello(c *session, b *choice) (plan, bool) {
	switch {
	case b.Kind == Garbage:
		a := answering{scratch: &c.scratch, script: v.srv.script.Load(), b: &b.Behaviour}
		a.ep = c.ep
		return a.garbage(), true
	case b.Kind == Endless && b.Where == "head":
		return plan{filler: fillerBody, fill: -1}, true
	case b.Where == "handshake":
		return plan{out: append([]byte(ident(b)), "\r\n"...), end: b.ending()}, true
	}
	return plan{}, false
}

// ending is what becomes of a connection under a behaviour that ends it.
func (b *Behaviour) ending() ending {
	switch b.Kind {
	case Reset:
		return endRST
	case Hang:
		return endHang
	}
	return endFIN
}

// ident is the version that an address tells before the handshake.
func ident(b *choice) string {
	if b.Version != "" {
		return "SSH-2.0-muster-sim_" + b.Version
	}
	return "SSH-2.0-muster-sim"
}

// config accepts every user who has a key or knows the password, unless the
// behaviour is to refuse.
func (v *sshService) config(b *choice) *ssh.ServerConfig {
	refused := b.Kind == Status && (b.Status == 401 || b.Status == 403)
	config := &ssh.ServerConfig{
		ServerVersion: ident(b),
		PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if refused || subtle.ConstantTimeCompare(password, []byte(Password)) != 1 {
				return nil, errLogin
			}
			return nil, nil
		},
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
			if refused {
				return nil, errLogin
			}
			return nil, nil
		},
	}
	key := v.key
	if b.Kind == Conflict {
		key = v.another
	}
	config.AddHostKey(key)
	return config
}

// counted counts what passes through a connection.
type counted struct {
	net.Conn
	gauge *gauge
	sent  atomic.Uint64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gauge.received.Add(uint64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(uint64(n))
	c.gauge.sent.Add(uint64(n))
	return n, err
}
