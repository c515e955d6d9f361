package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// Two servers with one seed agree on every address, however the requests come;
// another seed gives another fleet.
func TestSameSeedSameFleet(t *testing.T) {
	t.Parallel()
	mix, err := ParseMix("ok*5,status:500*2,slow:0s-3ms*2,status:404")
	if err != nil {
		t.Fatal(err)
	}
	survey := func(seed uint64, from, step int) map[string]string {
		f := &Fleet{Seed: seed, Mix: mix}
		sc, err := compile(f, nil, &ledger{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{}
		for i := range 500 {
			k := (from + i*step) % 500
			ep := newEndpoint(netip.MustParseAddrPort(fmt.Sprintf("127.3.%d.%d:80", k/250, 1+k%250)))
			p := sc.answer(&scratch{}, &ep, &request{path: []byte("/")}, 1)
			seen[ep.addr.String()] = fmt.Sprint(p.delay) + string(p.out)
		}
		return seen
	}
	forward, backward, other := survey(1, 0, 1), survey(1, 499, 499), survey(2, 0, 1)
	if !maps.Equal(forward, backward) {
		t.Error("the order of requests changed the fleet")
	}
	if maps.Equal(forward, other) {
		t.Error("the seed does not change the fleet")
	}
}

func TestBodiesAreDistinct(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{})
	seen := map[string]string{}
	for i := range 50 {
		ip := fmt.Sprintf("127.0.%d.%d", i, 255-i)
		_, body := get(t, s, ip, "/")
		if len(body) < 190 || len(body) > 230 || !json.Valid([]byte(body)) {
			t.Fatalf("body of %d bytes: %s", len(body), body)
		}
		if first, ok := seen[body]; ok {
			t.Fatalf("%s and %s have one body", first, ip)
		}
		seen[body] = ip
	}
}

// What the fleet counts is what clients did.
func TestCountsWhatArrived(t *testing.T) {
	t.Parallel()
	for _, loops := range []int{1, 3} {
		t.Run(fmt.Sprint(loops, " loops"), func(t *testing.T) {
			t.Parallel()
			s := start(t, &Fleet{Loops: loops})
			const addresses, clients = 40, 8
			var wg sync.WaitGroup
			for k := range clients {
				wg.Go(func() {
					for i := range addresses {
						if i >= addresses/2 && k > 0 {
							continue // half the addresses are asked once
						}
						c, err := dialFleet(s, fmt.Sprintf("127.8.0.%d", i+1), false)
						if err != nil {
							t.Error(err)
							return
						}
						if _, _, err := ask(t, c, "/"); err != nil {
							t.Error(err)
						}
						_ = c.Close()
					}
				})
			}
			wg.Wait()
			const total = addresses/2*clients + addresses/2
			eventually(t, s, "the end of the connections", func(st Stats) bool { return st.Open == 0 })
			st := s.Stats()
			if st.Requests != total || st.Connections != total || st.DistinctAddresses != addresses ||
				st.MaxHitsPerAddress != clients || st.ByProfile["ok"] != total {
				t.Errorf("stats: %+v", st)
			}
			var over []Hits
			if err := json.Unmarshal([]byte(admin(t, s, "GET", "/hits?over=1", "")), &over); err != nil || len(over) != addresses/2 {
				t.Errorf("%d addresses hit more than once, want %d (%v)", len(over), addresses/2, err)
			}
			if lines := strings.Count(admin(t, s, "GET", "/hits.csv", ""), "\n"); lines != addresses+1 {
				t.Errorf("hits.csv has %d lines", lines)
			}
			if got := admin(t, s, "GET", "/hits/127.8.0.1", ""); !strings.Contains(got, `"requests":8,"connections":8`) {
				t.Errorf("hits of one address: %s", got)
			}
			admin(t, s, "POST", "/reset", "")
			if st := s.Stats(); st.Requests+st.Connections+uint64(st.DistinctAddresses) != 0 || len(st.ByProfile) != 0 {
				t.Errorf("after reset: %+v", st)
			}
		})
	}
}

func TestPeaks(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{})
	for i, ip := range []string{"127.0.0.1", "127.0.0.1", "127.0.0.2"} {
		if _, _, err := ask(t, wire(t, s, ip, false), "/"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if st := s.Stats(); st.Open != 3 || st.PeakOpen != 3 || st.MaxOpenPerAddress != 2 {
		t.Errorf("stats: %+v", st)
	}
	s.Reset()
	if st := s.Stats(); st.Open != 3 || st.PeakOpen != 3 || st.DistinctAddresses != 0 {
		t.Errorf("stats after reset: %+v", st)
	}
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := start(t, &Fleet{Listen: []string{":0"}, TLS: []string{":0"}, Body: mustBody(t, "{{n}} {{path}} {{method}} {{seed}}{{pad 3}}")})
		c := wire(t, s, "127.9.9.9", secure)
		for i := range 3 {
			if _, body, err := ask(t, c, "/p"); err != nil || body != fmt.Sprintf("%d /p GET 0xxx", i+1) {
				t.Fatalf("request %d: %q, %v", i+1, body, err)
			}
		}
		// Two requests in one segment, the second asking for the end.
		_, err := io.WriteString(c, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(c)
		if got := string(rest); err != nil || !strings.Contains(got, "4 /a") || !strings.Contains(got, "5 /b") {
			t.Errorf("pipelined: %q, %v", got, err)
		}
		eventually(t, s, "one closed connection", func(st Stats) bool { return st.Open == 0 && st.Connections == 1 && st.Requests == 5 })
	}
}

func mustBody(t testing.TB, text string) Body {
	t.Helper()
	b, err := ParseBody(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestConnectionEndsWhenAsked(t *testing.T) {
	t.Parallel()
	plain, once := start(t, &Fleet{}), start(t, &Fleet{NoKeepAlive: true})
	cases := []struct {
		name, request string
		s             *Server
	}{
		{"close", "GET / HTTP/1.1\r\nconnection: Close\r\n\r\n", plain},
		{"1.0", "GET / HTTP/1.0\r\n\r\n", plain},
		{"fleet without keep-alive", "GET / HTTP/1.1\r\n\r\n", once},
		{"bad request", "nonsense\r\n\r\n", plain},
		{"endless head", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", maxHead), plain},
		{"bad length", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", plain},
		{"bad chunk", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", plain},
	}
	for _, tc := range cases {
		c := wire(t, tc.s, "127.0.0.2", false)
		if _, err := io.WriteString(c, tc.request); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(bufio.NewReader(c))
		if err != nil || !strings.Contains(string(got), "Connection: close") {
			t.Errorf("%s: %.100q, %v", tc.name, got, err)
		}
	}
	if st := plain.Stats(); st.Rejected != 4 || st.Requests != 2 {
		t.Errorf("stats: %+v", st)
	}
}

// A request that arrives byte by byte, waits for 100-continue and comes in
// chunks is echoed as sent.
func TestEcho(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := fleetOf(t, "status:500") // behaviours do not touch /echo
		c := wire(t, s, "127.1.1.1", secure)
		head := "PUT /echo?q=1 HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\nX-Two: a\r\nX-Two: b\r\n\r\n"
		for i := range len(head) {
			if _, err := io.WriteString(c, head[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		interim := make([]byte, len(continueLine))
		if _, err := io.ReadFull(c, interim); err != nil || string(interim) != continueLine {
			t.Fatalf("interim answer %q, %v", interim, err)
		}
		if _, err := io.WriteString(c, "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, body, err := answerOn(c)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		var got struct {
			Method, Path, Body string
			Length             int64
			Headers            map[string][]string
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Method != "PUT" || got.Path != "/echo?q=1" || got.Body != "abcde" || got.Length != 5 || len(got.Headers["X-Two"]) != 2 {
			t.Errorf("echo: %s", body)
		}
		if _, body, err := ask(t, c, "/headers"); err != nil || body != `{"headers":{"Host":["fleet"]}}`+"\n" {
			t.Errorf("headers: %q, %v", body, err)
		}
	}
}

func TestRulesChangeAtRunTime(t *testing.T) {
	t.Parallel()
	rules, err := ParseRules("127.1.3.0/24=status:503\n# comment\n*.*.*.7=status:404; path=/slow*=slow:1ms+status:202")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, &Fleet{Rules: rules})
	check := func(ip, path string, want int) {
		t.Helper()
		if resp, _ := get(t, s, ip, path); resp.StatusCode != want {
			t.Errorf("%s of %s: %d, want %d", path, ip, resp.StatusCode, want)
		}
	}
	check("127.1.3.7", "/", 503)
	check("127.1.4.7", "/", 404)
	check("127.1.4.8", "/", 200)
	check("127.1.4.8", "/slow/x?y", 202)
	text := admin(t, s, "GET", "/rules", "")
	admin(t, s, "POST", "/rules", "method=GET&path=/only=status:410")
	check("127.1.3.7", "/", 200)
	check("127.1.3.7", "/only?q", 410)
	admin(t, s, "POST", "/rules", text)
	check("127.1.3.7", "/", 503)
}

func TestIPv6(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{Listen: []string{"[::1]:0"}})
	if _, body := get(t, s, "::1", "/"); !strings.Contains(body, `"hostname":"node---1","addr":"::1"`) {
		t.Errorf("body: %s", body)
	}
	if h := s.Hits(s.Addr()); h.Requests != 1 {
		t.Errorf("hits: %+v", h)
	}
	for h := range s.EachHits {
		if h.Addr != s.Addr() {
			t.Errorf("listed as %s", h.Addr)
		}
	}
}

func TestIdleConnectionsClose(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := start(t, &Fleet{Listen: []string{":0"}, TLS: []string{":0"}, IdleTimeout: 20 * time.Millisecond})
		c := wire(t, s, "127.0.0.1", secure)
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("idle connection: %v", err)
		}
	}
}

// MaxOpen leaves surplus connections in the accept queue until others close.
func TestMaxOpen(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{MaxOpen: 2, Loops: 1})
	a, b, c := wire(t, s, "127.0.0.1", false), wire(t, s, "127.0.0.1", false), wire(t, s, "127.0.0.1", false)
	eventually(t, s, "a pause", func(st Stats) bool { return st.AcceptPauses > 0 && st.Open == 2 })
	_, _ = a.Close(), b.Close()
	if _, _, err := ask(t, c, "/"); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.PeakOpen > 2 || st.MaxOpenPerAddress > 2 {
		t.Errorf("stats: %+v", st)
	}
}

func TestCloseWithOpenConnections(t *testing.T) {
	t.Parallel()
	s := fleetOf(t, "hang")
	for _, secure := range []bool{false, true} {
		c := wire(t, s, "127.0.0.1", secure)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, s, "two requests", func(st Stats) bool { return st.Requests == 2 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Open != 0 || st.Loops < 1 {
		t.Errorf("after close: %+v", st)
	}
	if _, err := dialFleet(s, "127.0.0.1", false); err == nil {
		t.Error("a closed fleet accepts")
	}
}

func TestClientThroughNetHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, &Fleet{})
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := http.Client{Transport: tr}
	for range 3 {
		resp, err := client.Post("http://127.50.0.1:"+s.Port()+"/echo", "text/plain", strings.NewReader(strings.Repeat("x", 200_000)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(b), `"length":200000`) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		_ = resp.Body.Close()
	}
	if st := s.Stats(); st.Connections != 1 || st.Requests != 3 || st.ByProfile["echo"] != 3 {
		t.Errorf("stats: %+v", st)
	}
}
