package cli_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/musterhq/muster/internal/cli"
	"github.com/musterhq/muster/internal/sim"
)

// TestMain makes the program available to tests as a process of its own, named muster. Most
// tests wait for it most of the time, so more of them run at once than there are processors.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"muster": func() { os.Exit(cli.Main("test")) }})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("MUSTER_STATE_DIR", filepath.Join(e.WorkDir, "state"))
			e.Setenv("MUSTER_CONFIG_DIR", filepath.Join(e.WorkDir, "config"))
			e.Setenv("HOME", e.WorkDir)
			e.Values[serverKey{}] = new(*sim.Server)
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("condition %q: want root", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fleet": fleet, "served": served, "exits": exits, "jq": query, "expand": expand, "jobs": jobs, "sockets": sockets,
		},
	})
}

// fleet starts a simulated fleet: fleet [mix=…] [rule=…]… [tls] [tcp] [udp] [ssh] [dns] [grpc]; it sets $PORT, $CA and
// $KNOWN_HOSTS,
// and the port of each service, such as $TLSPORT or $TCPPORT, and ends with the script.
func fleet(ts *testscript.TestScript, neg bool, args []string) {
	f := sim.Fleet{Seed: 1}
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		var err error
		switch key {
		case "mix":
			err = f.Mix.UnmarshalText([]byte(value))
		case "rule":
			var r sim.Rule
			r, err = sim.ParseRule(value)
			f.Rules = append(f.Rules, r)
		case "versions":
			err = f.Versions.UnmarshalText([]byte(value))
		case "body":
			err = f.Body.UnmarshalText([]byte(value))
		case "tls":
			f.Listen, f.TLS = []string{":0"}, []string{":0"}
			f.CAOut = ts.MkAbs("ca.pem")
		case "tcp":
			f.Listen, f.TCP = []string{":0"}, []string{":0"}
		case "ssh":
			f.Listen, f.SSH = []string{":0"}, []string{":0"}
			f.KnownHostsOut = ts.MkAbs("known_hosts")
		case "grpc":
			f.Listen, f.GRPC, f.GRPCTLS = []string{":0"}, []string{":0"}, []string{":0"}
			f.CAOut = ts.MkAbs("ca.pem")
		case "dns":
			f.Listen, f.DNS = []string{":0"}, []string{":0"}
		case "udp":
			f.Listen, f.UDP = []string{":0"}, []string{":0"}
		default:
			ts.Fatalf("fleet: %s: want mix=, rule=, versions=, body=, tls, tcp, udp, ssh, dns or grpc", a)
		}
		ts.Check(err)
	}
	s, err := f.Start(context.Background())
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	ts.Setenv("PORT", s.Port())
	ts.Setenv("CA", f.CAOut)
	ts.Setenv("KNOWN_HOSTS", f.KnownHostsOut)
	for _, service := range s.Services() {
		port := strconv.Itoa(int(s.ServiceAddr(service).Port()))
		ts.Setenv(strings.ToUpper(strings.ReplaceAll(string(service), "-", ""))+"PORT", port)
	}
	*ts.Value(serverKey{}).(**sim.Server) = s
}

// serverKey is where a script keeps its fleet.
type serverKey struct{}

// served checks how many requests really arrived: served 10, served -max 1.
func served(ts *testscript.TestScript, neg bool, args []string) {
	stats := (*ts.Value(serverKey{}).(**sim.Server)).Stats()
	got := fmt.Sprint(stats.Requests)
	if args[0] == "-max" {
		got, args = fmt.Sprint(stats.MaxHitsPerAddress), args[1:]
	}
	if (got == args[0]) == neg {
		ts.Fatalf("the fleet counted %s, want %s", got, args[0])
	}
}

// exits runs a command and checks its exit code: exits 2 muster run ….
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// expand replaces $NAME in files by the script's environment: expand hosts.csv.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// query checks a member of the JSON document on standard output: jq ledger.ok 10.
func query(ts *testscript.TestScript, neg bool, args []string) {
	var doc any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &doc))
	for key := range strings.SplitSeq(args[0], ".") {
		if list, ok := doc.([]any); ok {
			i, err := strconv.Atoi(key)
			ts.Check(err)
			doc = list[i]
			continue
		}
		m, ok := doc.(map[string]any)
		if !ok {
			ts.Fatalf("%s: there is no %s", args[0], key)
		}
		doc = m[key]
	}
	if got := fmt.Sprint(doc); (got == args[1]) == neg {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}
