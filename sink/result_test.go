package sink

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

var equal = cmp.Options{
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
}

func TestJSONLGolden(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &JSONL{W: &out}
	if err := s.Write(t.Context(), results()); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(&Summary{Schema: SummarySchema}, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "results.jsonl", write(t, s, nil, &out))
	for line := range strings.Lines(out.String()) {
		var v struct {
			Kind string `json:"kind"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Kind != "result" && v.Kind != "summary" {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestContractKeys(t *testing.T) {
	t.Parallel()
	var m map[string]any
	if err := json.Unmarshal(AppendResult(nil, &muster.Result{Outcome: muster.Invalid}), &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"kind", "target", "address", "index", "outcome", "failure", "reason", "status", "code", "ms", "timings", "attempts", "fields"} {
		if _, ok := m[key]; !ok {
			t.Errorf("%s is missing", key)
		}
		delete(m, key)
	}
	if len(m) != 0 {
		t.Errorf("an empty result has also %v", m)
	}
}

// drawn draws a result of which nothing is lost in a line.
func drawn(t *rapid.T) muster.Result {
	text := rapid.String()
	d := func(name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, name)) * time.Microsecond / 1000 / 1000 * 1000
	}
	r := muster.Result{
		Index: rapid.IntRange(0, 1<<31).Draw(t, "index"), Target: text.Draw(t, "target"),
		Outcome: rapid.SampledFrom(muster.Outcomes()).Draw(t, "outcome"),
		Reason:  text.Draw(t, "reason"), Detail: text.Draw(t, "detail"), Status: text.Draw(t, "status"),
		Code: rapid.Int().Draw(t, "code"), Attempts: rapid.Int().Draw(t, "attempts"),
		Timings:   muster.Timings{Resolve: d("resolve"), Connect: d("connect"), TLS: d("tls"), FirstByte: d("first"), Total: d("total")},
		Truncated: rapid.Bool().Draw(t, "truncated"),
		Body:      rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "body"),
	}
	if r.Outcome == muster.Failed {
		r.Failure = rapid.SampledFrom(muster.Failures()).Draw(t, "failure")
	}
	if rapid.Bool().Draw(t, "text body") {
		r.Body = []byte(text.Draw(t, "body text"))
	}
	if len(r.Body) == 0 {
		r.Body = nil
	}
	if rapid.Bool().Draw(t, "started") {
		r.Started = time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "at")).UTC()
	}
	r.Address = rapid.SampledFrom([]netip.AddrPort{{}, netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort(`[fe80::1%e"\n]:1`), netip.MustParseAddrPort("10.0.0.1:0"), netip.MustParseAddrPort(`[fe80::1%e"\n]:0`)}).Draw(t, "address")
	for _, name := range rapid.SliceOfNDistinct(text, 0, 4, rapid.ID).Draw(t, "fields") {
		v := rapid.OneOf(rapid.Just[any](nil), rapid.Just[any](true), rapid.Float64().AsAny(), text.AsAny()).Draw(t, "value")
		r.Fields = append(r.Fields, muster.Field{Name: name, Value: v})
	}
	for range rapid.IntRange(0, 20).Draw(t, "headers") {
		name := rapid.SampledFrom([]string{"a", "b", "c", "ü"}).Draw(t, "name")
		r.Header = append(r.Header, muster.HeaderField{Name: name, Value: text.Draw(t, "value")})
	}
	return r
}

func byName(h []muster.HeaderField) []muster.HeaderField {
	h = slices.Clone(h)
	slices.SortStableFunc(h, func(a, b muster.HeaderField) int { return strings.Compare(a.Name, b.Name) })
	return h
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawn(t)
		line := AppendResult([]byte("x"), &want)[1:]
		if !json.Valid(line) || bytes.ContainsAny(line, "\n\r\x00") {
			t.Fatalf("not a line of JSON: %q", line)
		}
		got, err := DecodeResult(line)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got.Header, want.Header = byName(got.Header), byName(want.Header)
		if d := cmp.Diff(want, got, equal); d != "" {
			t.Fatalf("%s\n%s", d, line)
		}
	})
}

func TestNumbersInJSON(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0: "0", 1e6: "1000000", -3: "-3", 0.1: "0.1", 1e-9: "1e-09", 1e300: "1e+300", 1 << 53: "9007199254740992",
		math.Inf(1): "null", math.MaxFloat64: "1.7976931348623157e+308", 123456789.5: "123456789.5",
	} {
		if got := string(appendNumber(nil, v)); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0", -5 * time.Second: "0", time.Millisecond: "1", 1500 * time.Microsecond: "1.500", 1499: "0.001", time.Minute: "60000",
	} {
		if got := string(appendMillis(nil, d)); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// A line stays a line, and JSON, for every reader.
func TestStringsInJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": `""`, "a\"b\\c/d": `"a\"b\\c/d"`, "\t\r\n\b\x00\x7f": `"\t\r\n\u0008\u0000\u007f"`,
		"\u2028\u2029": `"\u2028\u2029"`, "\u2027ü漢😀": `"` + "\u2027ü漢😀" + `"`, "a\xffb\xe6\xbc": `"` + "a\ufffdb\ufffd\ufffd" + `"`,
	} {
		if got := string(appendString(nil, in)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if got := string(appendString(nil, []byte(in))); got != want {
			t.Errorf("bytes %q: %s, want %s", in, got, want)
		}
	}
}

// A peer that sends very many headers does not slow us down.
func TestManyHeaders(t *testing.T) {
	t.Parallel()
	r := muster.Result{Outcome: muster.OK}
	for i := range 100_000 {
		r.Header = append(r.Header, muster.HeaderField{Name: string(rune('a' + i%7)), Value: "x"})
	}
	got, err := DecodeResult(AppendResult(nil, &r))
	if err != nil || len(got.Header) != len(r.Header) {
		t.Errorf("%d headers, %v", len(got.Header), err)
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "{", "[]", "null", `{"kind":"summary"}`, `{"kind":"result"}`, `{"kind":"result","outcome":"fine"}`,
		`{"kind":"result","outcome":"ok","index":-1}`, `{"kind":"result","outcome":"ok","address":"x"}`,
		`{"kind":"result","outcome":"ok","ms":-1}`, `{"kind":"result","outcome":"ok","ms":1e300}`,
		`{"kind":"result","outcome":"ok","fields":[]}`, `{"kind":"result","outcome":"ok","fields":{"a":{}}}`,
		`{"kind":"result","outcome":"ok","headers":{"a":1}}`, `{"kind":"result","outcome":"ok","body_b64":"!"}`,
	} {
		if _, err := DecodeResult([]byte(s)); muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzResult(f *testing.F) {
	for _, r := range results() {
		f.Add(AppendResult(nil, &r))
	}
	f.Add([]byte(`{"kind":"result","outcome":"ok","body":"\ud800","headers":{"a":["x",null],"a":"y"},"fields":{"a":1e999}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := DecodeResult(line)
		if err != nil {
			// Whatever the bytes are, they can be a body or a text.
			r = muster.Result{Outcome: muster.OK, Target: string(line), Body: line, Status: string(line)}
		}
		again := AppendResult(nil, &r)
		if !json.Valid(again) {
			t.Fatalf("invalid: %q", again)
		}
		back, err := DecodeResult(again)
		if err != nil {
			t.Fatalf("%v: %s", err, again)
		}
		if !bytes.Equal(back.Body, r.Body) {
			t.Fatalf("body %q became %q", r.Body, back.Body)
		}
		if third := AppendResult(nil, &back); !bytes.Equal(third, again) {
			t.Fatalf("%s\nbecame\n%s", again, third)
		}
	})
}

func BenchmarkAppendResult(b *testing.B) {
	r := results()[0]
	r.Body = []byte(strings.Repeat("0123456789abcdef 12\n", 10))
	r.Fields = []muster.Field{{Name: "version", Value: "1.27.3"}, {Name: "load", Value: 0.25}}
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = AppendResult(dst[:0], &r)
	}
}

func BenchmarkDecodeResult(b *testing.B) {
	line := AppendResult(nil, &results()[1])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeResult(line); err != nil {
			b.Fatal(err)
		}
	}
}
