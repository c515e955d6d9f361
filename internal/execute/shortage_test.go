package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// shortage is a job in a process that lacks something, over the fleet at Port or one of its own.
type shortage struct {
	Descriptors int    // RLIMIT_NOFILE; 0 leaves it alone
	Spare       int    // descriptors left when the dialer has counted on thousands; 0 leaves them alone
	Ports       string // the range of local ports of a network of its own; "" is the machine's network
	Port        uint16 // of the fleet; with Ports, of the fleet that the process starts
	Params      string
	Plan        muster.Plan
	Reuse       bool
	Targets     int
	One         bool // all targets are one host
}

// shortageReport is what became of it.
type shortageReport struct {
	Outcomes map[string]int // results by outcome, failure and reason
	Reasons  map[string]int // how often each reason was seen in the status
	Took     time.Duration
}

// run is the child's part.
func (s *shortage) run(ctx context.Context) error {
	if s.Ports != "" {
		if err := narrowPorts(s.Ports); err != nil {
			return err
		}
		f := sim.Fleet{Listen: []string{fmt.Sprintf(":%d", s.Port)}, Rules: lasting()}
		server, err := f.Start(ctx)
		if err != nil {
			return err
		}
		defer server.Close()
	}
	if s.Descriptors > 0 {
		if err := limitDescriptors(s.Descriptors); err != nil {
			return err
		}
	}
	w, err := Compile(spec(s.Params, s.Plan), Surroundings{FewHosts: s.Reuse})
	if err != nil {
		return err
	}
	defer w.Close()
	if s.Spare > 0 {
		w.dialer.Headroom(0)
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return err
		}
		if err := limitDescriptors(len(open) - 1 + s.Spare); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(s.report(ctx, w))
}

func limitDescriptors(n int) error {
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)})
}

// lasting makes a fleet slow enough for a shortage to last.
func lasting() sim.Rules {
	rs, _ := sim.ParseRules("*=slow:30ms") // read by every other test too
	return rs
}

func (s *shortage) report(ctx context.Context, w *Work) shortageReport {
	rep := shortageReport{Outcomes: map[string]int{}, Reasons: map[string]int{}}
	run := w.Start(crowd{n: s.Targets, port: s.Port, one: s.One}, nil)
	begun, watched, over := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				rep.Reasons[run.Status().Reason]++
			case <-over:
				return
			}
		}
	}()
	for batch := range run.Batches(ctx) {
		for i := range batch {
			r := &batch[i]
			rep.Outcomes[fmt.Sprintf("%s %s %s", r.Outcome, r.Failure, r.Reason)]++
		}
	}
	close(over)
	<-watched
	rep.Took = time.Since(begun)
	return rep
}

// narrowPorts brings up the loopback interface of a new network, and leaves it few local ports.
func narrowPorts(span string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte(span), 0)
}

// play runs the job in a process of its own.
func (s *shortage) play(t *testing.T, space uintptr) shortageReport {
	t.Helper()
	c := child{Role: "shortage", Shortage: s, Space: space}
	var rep shortageReport
	begun := time.Now()
	if err := json.NewDecoder(c.start(t)).Decode(&rep); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v of %v: %v, reasons %v", rep.Took, time.Since(begun), rep.Outcomes, rep.Reasons)
	return rep
}

// TestFewDescriptorsSlowDownAndFailNothing gives a job 64 descriptors for 2,000 targets.
func TestFewDescriptorsSlowDownAndFailNothing(t *testing.T) {
	t.Parallel()
	s := fleet(t, sim.Fleet{Listen: []string{":0"}, TLS: []string{":0"}, Rules: lasting()})
	for name, job := range map[string]shortage{
		"event loop": {Params: `{"url":"/"}`, Port: s.Addr().Port(), Targets: 2000},
		"goroutines": {Params: `{"url":"/"}`, Port: s.Addr().Port(), Targets: 2000, Reuse: true},
		"TLS":        {Params: `{"url":"/","scheme":"https","tls":{"insecure":true}}`, Port: s.TLSAddr().Port(), Targets: 200},
		"a fixed fanout": {
			Params: `{"url":"/"}`, Port: s.Addr().Port(), Targets: 2000,
			Plan: muster.Plan{Fanout: 1000, FanoutFixed: true},
		},
		"event loop, others take them": {Params: `{"url":"/"}`, Port: s.Addr().Port(), Targets: 2000, Spare: 30},
		"goroutines, others take them": {Params: `{"url":"/"}`, Port: s.Addr().Port(), Targets: 2000, Spare: 30, Reuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			if job.Spare == 0 {
				job.Descriptors = 64
			}
			rep := job.play(t, 0)
			if rep.Outcomes["ok  "] != job.Targets {
				t.Errorf("outcomes: %v, want all ok", rep.Outcomes)
			}
			if rep.Reasons["descriptors"] == 0 {
				t.Errorf("reasons: %v, want descriptors", rep.Reasons)
			}
		})
	}
}

// TestFewPortsSlowDownAndFailNothing gives a job 40 local ports for one server.
func TestFewPortsSlowDownAndFailNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("a network of its own needs root")
	}
	for name, job := range map[string]shortage{
		"event loop": {Params: `{"url":"/"}`},
		"net/http":   {Params: `{"url":"/","follow":1}`},
		"kept":       {Params: `{"url":"/"}`, Reuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			job.Ports, job.Port, job.Targets, job.One = "40000 40039", 8080, 1000, true
			rep := job.play(t, unix.CLONE_NEWNET)
			if rep.Outcomes["ok  "] != job.Targets {
				t.Errorf("outcomes: %v, want all ok", rep.Outcomes)
			}
			if rep.Reasons["ports"] == 0 {
				t.Errorf("reasons: %v, want ports", rep.Reasons)
			}
		})
	}
}

// crowd is a list of n addresses of 127.64.0.0/10, or of one of them n times.
type crowd struct {
	n    int
	port uint16
	one  bool
}

func (c crowd) Len() int { return c.n }

func (c crowd) At(i int) (muster.Target, error) {
	a := netip.AddrFrom4([4]byte{127, 64 + byte(i>>16)&63, byte(i >> 8), byte(i)})
	if c.one {
		a = netip.AddrFrom4([4]byte{127, 64, 0, 1})
	}
	return muster.Target{
		Index: i, ID: strconv.Itoa(i), Host: a.String(), Addr: a, Port: c.port,
		Labels: map[string]string{"rack": strconv.Itoa(i % 3)},
	}, nil
}

func (c crowd) Hash() (h [32]byte) { return h }

// netipPort is where a target with an address is.
func netipPort(t muster.Target) netip.AddrPort { return netip.AddrPortFrom(t.Addr, t.Port) }
