package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// FuzzRequest feeds a request whole and in pieces; both ways must agree, and
// never consume beyond the input.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), uint8(3))
	f.Add([]byte("\r\nPOST http://h/echo?x HTTP/1.0\nContent-Length: 3\nConnection: keep-alive\n\nabcGET"), uint8(1))
	f.Add([]byte("PUT /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\nrest"), uint8(2))
	f.Add([]byte("X"), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole, pieces := &parser{}, &parser{}
		used, done, err := whole.feed(data)
		usedPieces, donePieces, errPieces := feedPieces(pieces, data, int(step)+1)
		if done != donePieces || (err == nil) != (errPieces == nil) {
			t.Fatalf("whole: %d %v %v; pieces: %d %v %v", used, done, err, usedPieces, donePieces, errPieces)
		}
		if used > len(data) || done && used != usedPieces {
			t.Fatalf("used %d whole, %d in pieces of %d", used, usedPieces, len(data))
		}
		if a, b := whole.rq, pieces.rq; done && (!bytes.Equal(a.method, b.method) || !bytes.Equal(a.path, b.path) ||
			!bytes.Equal(a.headers, b.headers) || !bytes.Equal(a.body, b.body) || a.close != b.close || a.length != b.length) {
			t.Fatalf("whole: %+v\npieces: %+v", a, b)
		}
		if done {
			_ = headerMap(whole.rq.headers)
		}
	})
}

// feedPieces reuses one buffer for all pieces, as a connection does.
func feedPieces(p *parser, data []byte, step int) (used int, done bool, err error) {
	buf := make([]byte, step)
	for len(data) > 0 && !done && err == nil {
		n := copy(buf, data)
		var took int
		took, done, err = p.feed(buf[:n])
		if !done && err == nil && took != n {
			return used, false, errors.New("an unfinished request left bytes")
		}
		used, data = used+took, data[n:]
		if !done {
			clear(buf)
		}
	}
	return used, done, err
}

// FuzzRule: what is read prints as something that reads back the same.
func FuzzRule(f *testing.F) {
	for _, s := range []string{
		"127.1.3.0/24=hang", "*.*.*.7=status:503", "path=/slow=slow:2s", "[1-3].2-4.*.9&port=80&method=POST&path=/a*=reset(body)",
		"::1=slow:normal(1s,2ms)+version:3+flaky(0.5,500)", "*=redirect:http://x/y", "127.0.0.1=slow:lognormal(1s,0.5)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRule(s)
		if err != nil {
			return
		}
		again, err := ParseRule(r.String())
		if err != nil {
			t.Fatalf("%q printed as %q: %v", s, r, err)
		}
		if again.Addr == "*" && r.Addr == "" {
			again.Addr = ""
		}
		if !reflect.DeepEqual(r, again) {
			t.Fatalf("%q is %+v, but %q is %+v", s, r, r.String(), again)
		}
	})
}

// FuzzBody: a template that parses expands without surprises.
func FuzzBody(f *testing.F) {
	f.Add(DefaultBody)
	f.Add("{{n}}{{pad 10}}{{hex 3}}}}{{ path }}")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBody(s)
		if err != nil {
			return
		}
		in := &instance{ep: newEndpoint(netip.MustParseAddrPort("127.0.0.1:80")), rq: &request{path: []byte("/")}}
		if got := b.appendTo(nil, in); !strings.Contains(s, "{{") && string(got) != s {
			t.Fatalf("literal %q became %q", s, got)
		}
	})
}

func TestParseErrorsNameTheInput(t *testing.T) {
	t.Parallel()
	cases := map[string]error{}
	collect := func(text string, err error) { cases[text] = err }
	for _, s := range []string{"hang", "127.1.2=hang", "127.1.2.300=hang", "port=0=hang", "path=x=hang", "a=b=hang", "127.3-1.0.0=ok"} {
		_, err := ParseRules("\n" + s)
		collect(s, err)
	}
	for _, s := range []string{"ok*-1", "ok*NaN", "ok*0", "ok*+Inf"} {
		_, err := ParseMix(s)
		collect(s, err)
	}
	for _, s := range []string{"{{nope}}", "{{pad}}", "{{pad -1}}", "{{addr"} {
		_, err := ParseBody(s)
		collect(s, err)
	}
	for _, s := range []string{"8080", ":x", "host:1", "127.0.0.1:65536"} {
		collect(s, (&Fleet{Listen: []string{s}}).Validate())
	}
	_, err := ParseVersions(`a"b`)
	collect("versions", err)
	collect("many", (&Fleet{Admin: "x", Loops: -1, MaxOpen: -1, Rules: Rules{{Addr: "x"}}}).Validate())
	for text, err := range cases {
		if err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
	if n := strings.Count(cases["many"].Error(), "\n"); n != 3 {
		t.Errorf("want all four problems at once, got %v", cases["many"])
	}
}

func TestFleetAsJSON(t *testing.T) {
	t.Parallel()
	const text = `{"seed":7,"listen":[":0"],"mix":"ok*9,flaky(0.5,503)*1","rules":["127.1.0.0/16=slow:1s-2s+hang"],` +
		`"body":"{{addr}}","versions":"1*2,2*1","idle_timeout":5000000000}`
	var f Fleet
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	if f.Mix[1].Behaviour.Share != 0.5 || f.Rules[0].Behaviour.Kind != Hang || f.Versions[1].Weight != 1 || f.IdleTimeout != 5*time.Second {
		t.Errorf("fleet: %+v", f)
	}
	got, err := json.Marshal(&f)
	if err != nil || string(got) != text {
		t.Errorf("got  %s\nwant %s (%v)", got, text, err)
	}
	if got, err := json.Marshal(&Fleet{}); err != nil || string(got) != `{}` {
		t.Errorf("zero fleet: %s, %v", got, err)
	}
}

// The tally agrees with a map, whatever the order of operations.
func TestTallyProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var ta tally
		want := map[uint64]count{}
		for range rapid.IntRange(0, 300).Draw(t, "ops") {
			ep := endpoint4([4]byte{127, 0, 0, rapid.Byte().Draw(t, "addr")}, 80)
			c := want[ep.key]
			c.key = ep.key
			switch rapid.IntRange(0, 2).Draw(t, "op") {
			case 0:
				ta.opened(&ep)
				c.conns++
				c.open++
				c.peak = max(c.peak, c.open)
			case 1:
				c.requests++
				if n := ta.request(&ep); n != uint64(c.requests) {
					t.Fatalf("request number %d, want %d", n, c.requests)
				}
			case 2:
				if c.open == 0 {
					continue
				}
				ta.closed(&ep, 5)
				c.open--
				c.bytes += 5
			}
			want[ep.key] = c
		}
		seen := 0
		for addr, c := range ta.each {
			seen++
			if key := newEndpoint(addr).key; want[key] != c {
				t.Fatalf("%s: %+v, want %+v", addr, c, want[key])
			}
		}
		if seen != len(want) {
			t.Fatalf("%d addresses, want %d", seen, len(want))
		}
		ta.reset()
		for _, c := range want {
			if got := ta.get(c.key); got.open != c.open || got.requests != 0 || got.peak != c.open {
				t.Fatalf("after reset %+v, was %+v", got, c)
			}
		}
	})
}

func TestLatencyShapes(t *testing.T) {
	t.Parallel()
	cases := map[string][2]time.Duration{ // bounds of the mean over many addresses
		"50ms": {50 * time.Millisecond, 50 * time.Millisecond}, "10ms-20ms": {14500 * time.Microsecond, 15500 * time.Microsecond},
		"exp(100ms)": {90 * time.Millisecond, 110 * time.Millisecond}, "normal(100ms,20ms)": {98 * time.Millisecond, 102 * time.Millisecond},
		"lognormal(100ms,0.5)": {107 * time.Millisecond, 120 * time.Millisecond}, // mean = median * exp(sigma^2/2)
	}
	for text, bounds := range cases {
		l, err := ParseLatency(text)
		if err != nil {
			t.Fatal(err)
		}
		sum := time.Duration(0)
		const n = 5000
		for i := range uint64(n) {
			sum += l.at(unit(draw(1, i, saltLatency)), unit(draw(1, i, saltLatency2)))
		}
		if mean := sum / n; mean < bounds[0] || mean > bounds[1] {
			t.Errorf("%s: mean %s", text, mean)
		}
		if again, err := ParseLatency(l.String()); err != nil || again != l {
			t.Errorf("%s prints as %s: %v", text, l, err)
		}
	}
}

// The shares of a mix come out as weighted.
func TestMixShares(t *testing.T) {
	t.Parallel()
	mix, err := ParseMix("ok*90,status:500*9,reset")
	if err != nil {
		t.Fatal(err)
	}
	sc, err := compile(&Fleet{Mix: mix}, nil, &ledger{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[Kind]int{}
	for i := range 100_000 {
		ep := endpoint4([4]byte{127, byte(i >> 16), byte(i >> 8), byte(i)}, 80)
		got[sc.choose(&ep, nil).Kind]++
	}
	if got[OK] < 89_500 || got[OK] > 90_500 || got[Status] < 8_700 || got[Status] > 9_300 || got[Reset] < 850 || got[Reset] > 1150 {
		t.Errorf("shares: %v", got)
	}
}

func BenchmarkAnswer(b *testing.B) {
	sc, err := compile(&Fleet{}, nil, &ledger{})
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{}
	s.script.Store(sc)
	var w scratch
	var p parser
	data := []byte("GET /status HTTP/1.1\r\nHost: fleet\r\nUser-Agent: bench\r\nConnection: close\r\n\r\n")
	ep := endpoint4([4]byte{127, 1, 2, 3}, 80)
	b.ReportAllocs()
	for b.Loop() {
		if _, done, err := p.feed(data); !done || err != nil {
			b.Fatal(done, err)
		}
		s.answer(&w, &ep, &p)
		p.reset()
	}
}
