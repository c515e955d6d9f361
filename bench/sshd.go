package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errAbsent says that a server is not installed, or may not be started.
var errAbsent = errors.New("not installed")

// sshdLog is where a real sshd tells of the logins it has taken.
type sshdLog struct {
	path string
	pid  int
	from int           // size of the log at the last reset
	cpu  time.Duration // of the server at the last reset
}

// prepareSSHD writes the configuration of an OpenSSH server on a free port of every loopback address, and
// the files to log in to it with.
func prepareSSHD(t *tools) (*server, error) {
	if t.sshd == "" || os.Geteuid() != 0 {
		return nil, errAbsent
	}
	s := &server{name: "sshd", log: &sshdLog{path: filepath.Join(t.dir, "sshd.log")}}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a free port: %w", err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	host, user := filepath.Join(t.dir, "host_key"), filepath.Join(t.dir, "authorized_keys")
	hostLine, err := makeKey(host)
	if err != nil {
		return nil, err
	}
	userLine, err := makeKey(t.sshKey())
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("Port %d\nListenAddress 0.0.0.0\nHostKey %s\nAuthorizedKeysFile %s\n", s.port, host, user) +
		"UsePAM no\nStrictModes no\nPermitRootLogin yes\nMaxStartups 1000\nPidFile none\nUseDNS no\nPrintLastLog no\n" +
		// Of this level bash does not read the user's .bashrc, whose cost is not what is measured.
		"SetEnv SHLVL=2\n"
	known := fmt.Appendf(nil, "[127.1.0.*]:%d %s", s.port, hostLine)
	for path, text := range map[string][]byte{
		user: userLine, t.knownHosts(): known, filepath.Join(t.dir, "sshd_config"): []byte(config), s.log.path: nil,
	} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("prepare sshd: %w", err)
		}
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // sshd separates its privileges there
		return nil, fmt.Errorf("prepare sshd: %w", err)
	}
	s.cmd = exec.Command(t.sshd, "-D", "-f", filepath.Join(t.dir, "sshd_config"), "-E", s.log.path)
	return s, nil
}

// startSSHD starts it and waits until it listens.
func startSSHD(t *tools) (*server, error) {
	s, err := prepareSSHD(t)
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sshd: %w", err)
	}
	s.log.pid = s.cmd.Process.Pid
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	for range 500 {
		c, err := net.DialTimeout("tcp4", addr, time.Second)
		if err == nil {
			return s, c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := os.ReadFile(s.log.path)
	return nil, errors.Join(fmt.Errorf("sshd does not listen: %s", tail(text)), s.stop())
}

func (l *sshdLog) zero() error {
	info, err := os.Stat(l.path)
	if err != nil {
		return err
	}
	l.from, l.cpu = int(info.Size()), l.taken()
	return nil
}

// tell counts the logins, and the processor time of those that have ended.
func (l *sshdLog) tell() (served, error) {
	text, err := os.ReadFile(l.path)
	if err != nil {
		return served{}, err
	}
	return served{
		Requests:   bytes.Count(text[min(l.from, len(text)):], []byte("Accepted publickey")),
		CPUSeconds: (l.taken() - l.cpu).Seconds(),
	}, nil
}

// taken is the processor time of the server and of its children that have ended.
func (l *sshdLog) taken() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", l.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	ticks := int64(0)
	for i := 11; i < min(15, len(fields)); i++ { // utime stime cutime cstime
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100)
}
