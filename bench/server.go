package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/musterhq/muster/internal/sim"
)

// simCommand makes this program serve a simulated fleet.
const simCommand = "serve-sim"

// serveSim serves until interrupted, and prints its port and where it tells of
// itself.
func serveSim() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f := sim.Fleet{OnReady: func(s *sim.Server) { fmt.Println(s.Port(), s.AdminURL()) }}
	if len(os.Args) > 3 { // over SSH, with the host keys in this file
		f.SSH, f.KnownHostsOut = []string{":0"}, os.Args[3]
	} else if len(os.Args) > 2 { // over TLS, with the authority's certificate in this file
		f.TLS, f.CAOut = []string{":0"}, os.Args[2]
		f.OnReady = func(s *sim.Server) { fmt.Println(s.TLSAddr().Port(), s.AdminURL()) }
	}
	return f.Run(ctx)
}

// server is a running fleet, in a process of its own.
type server struct {
	name         string
	cmd          *exec.Cmd
	port         int
	stats, reset string   // URLs
	method       string   // of the reset
	echoes       int      // of the kernel at the last reset
	log          *sshdLog // of a real sshd; nil of all others
}

// kernelServer is the name of the server that answers echo requests, and has no process.
const kernelServer = "kernel"

// served is what a server tells of itself since its last reset.
type served struct {
	Requests    int     `json:"requests"`
	Connections int     `json:"connections"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	Idle        float64 `json:"idle_percent"`
}

// startServer starts the C server ("c") or the simulated fleet ("sim"); the kernel needs no start.
func startServer(t *tools, name string) (*server, error) {
	s := &server{name: name}
	switch name {
	case kernelServer:
		return s, nil
	case "c":
		s.cmd = exec.Command(t.server, "-p", "0")
	case "sim":
		s.cmd = exec.Command(t.self, simCommand)
	case "ssh":
		s.cmd = exec.Command(t.self, simCommand, name, t.knownHosts())
	case "sshd":
		return startSSHD(t)
	case "tls":
		s.cmd = exec.Command(t.self, simCommand, t.ca())
	default:
		return nil, fmt.Errorf("server %q: want c, sim, tls, ssh or sshd", name)
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read from server %s: %w", name, err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start server %s: %w", name, err)
	}
	admin := ""
	if name != "c" {
		_, err = fmt.Fscan(out, &s.port, &admin)
		s.stats, s.reset, s.method = admin+"/stats", admin+"/reset", http.MethodPost
	} else {
		_, err = fmt.Fscan(out, &s.port)
		admin = fmt.Sprintf("http://127.0.0.1:%d", s.port)
		s.stats, s.reset, s.method = admin+"/__stats", admin+"/__reset", http.MethodGet
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("server %s did not tell its port: %w", name, err), s.stop())
	}
	return s, nil
}

// stop ends the server; being ended by a signal is no error.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	err := s.cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil
	}
	return err
}

func (s *server) zero(ctx context.Context) (err error) {
	if s.cmd == nil {
		s.echoes, err = echoesReceived()
		return err
	}
	if s.log != nil {
		return s.log.zero()
	}
	_, err = s.call(ctx, s.method, s.reset)
	return err
}

func (s *server) tell(ctx context.Context) (served, error) {
	var v served
	if s.cmd == nil {
		now, err := echoesReceived()
		return served{Requests: now - s.echoes}, err
	}
	if s.log != nil {
		return s.log.tell()
	}
	b, err := s.call(ctx, http.MethodGet, s.stats)
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	return v, err
}

func (s *server) call(ctx context.Context, method, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask server %s: %w", s.name, err)
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
