package store

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// genResult draws any result that a store can be given, of target index.
func genResult(t *rapid.T, index int) muster.Result {
	text := rapid.SampledFrom([]string{"", "200 OK", "status 503", "refused", "\x00\xff odd", "ünï"})
	durations := rapid.Int64Range(0, 1<<40)
	us := func(name string) time.Duration { return time.Duration(durations.Draw(t, name)) * time.Microsecond }
	r := muster.Result{
		Index:   index,
		Outcome: rapid.SampledFrom(muster.Outcomes()).Draw(t, "outcome"),
		Status:  text.Draw(t, "status"), Reason: text.Draw(t, "reason"), Detail: rapid.String().Draw(t, "detail"),
		Code:     rapid.IntRange(-5, 1000).Draw(t, "code"),
		Attempts: rapid.IntRange(0, 9).Draw(t, "attempts"),
		Address:  genAddress(t),
		Timings: muster.Timings{
			Resolve: us("resolve"), Connect: us("connect"), TLS: us("tls"), FirstByte: us("first"), Total: us("total"),
		},
		Truncated: rapid.Bool().Draw(t, "truncated"), Transient: rapid.Bool().Draw(t, "transient"),
		Sent: rapid.Bool().Draw(t, "sent"), Pushback: rapid.Bool().Draw(t, "pushback"),
	}
	if r.Outcome == muster.Failed {
		r.Failure = rapid.SampledFrom(muster.Failures()).Draw(t, "failure")
	}
	if rapid.Bool().Draw(t, "began") {
		r.Started = time.UnixMicro(rapid.Int64Range(-1<<50, 1<<52).Draw(t, "started")).UTC()
	}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		r.Fields = append(r.Fields, muster.Field{Name: text.Draw(t, "name"), Value: genValue(t)})
	}
	for range rapid.IntRange(0, 2).Draw(t, "headers") {
		r.Header = append(r.Header, muster.HeaderField{Name: text.Draw(t, "name"), Value: rapid.String().Draw(t, "value")})
	}
	r.Body = genBody(t)
	return r
}

func genBody(t *rapid.T) []byte {
	switch rapid.IntRange(0, 4).Draw(t, "body") {
	case 0:
		return nil
	case 1:
		return []byte("the same small body")
	case 2:
		return bytes.Repeat([]byte("large "), 300)
	case 3:
		return bytes.Repeat([]byte{byte(rapid.IntRange(1, 200).Draw(t, "fill"))}, rapid.IntRange(900, 3000).Draw(t, "length"))
	}
	return rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "bytes")
}

func genAddress(t *rapid.T) netip.AddrPort {
	s := rapid.SampledFrom([]string{
		"", "10.1.2.3:80", "255.0.0.1:0", "[::1]:65535", "[fe80::1%eth0]:22", "[::ffff:10.0.0.1]:443", "[2001:db8::5]:8080",
	}).Draw(t, "address")
	if s == "" {
		return netip.AddrPort{}
	}
	return netip.MustParseAddrPort(s)
}

func genValue(t *rapid.T) any {
	return rapid.SampledFrom([]any{
		nil, true, false, 0.0, 1.0, -7.0, 0.5, 1e300, math.Copysign(0, -1), float64(maxExactInt), math.Inf(1), "", "text", "a longer text \x00",
	}).Draw(t, "value")
}

var sameResult = []cmp.Option{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}

// decodeAll opens a segment and returns its results.
func decodeAll(p *packer, s segment, large []largeBody, targets int) ([]muster.Result, error) {
	h, err := p.openHead(s.head, targets)
	if err != nil {
		return nil, err
	}
	o, err := p.open(s, h, true)
	if err != nil {
		return nil, err
	}
	rs := make([]muster.Result, len(o.rows))
	for i := range rs {
		rs[i] = o.result(i)
		n := o.rows[i].body
		switch {
		case n < 0:
		case o.bodies[n].large && large != nil:
			rs[i].Body = large[o.bodies[n].at].data
		case !o.bodies[n].large:
			if rs[i].Body, err = o.smallBody(n); err != nil {
				return nil, err
			}
		}
	}
	return rs, nil
}

func TestSegmentRoundTrip(t *testing.T) {
	t.Parallel()
	p := newPacker()
	e := newSegmentEncoder(p)
	rapid.Check(t, func(t *rapid.T) {
		index := rapid.Permutation(slices.Collect(seq(rapid.IntRange(1, 15).Draw(t, "rows")))).Draw(t, "order")
		want := make([]muster.Result, len(index))
		for i, n := range index {
			want[i] = genResult(t, n)
			e.add(&want[i], true)
		}
		s, large := e.seal()
		large = slices.Clone(large)
		refs := make([]int, len(large))
		if len(refs) > 0 {
			s.refs = appendDeltas(nil, refs)
		}
		got, err := decodeAll(p, s, large, len(index))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameResult...); diff != "" {
			t.Fatalf("results (-want +got):\n%s", diff)
		}
	})
}

func seq(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

func TestMicrosRoundUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]uint64{0: 0, 1: 1, 1000: 1, 1001: 2, 999_999: 1000} {
		if got := micros(d); got != want {
			t.Errorf("%d ns: %d", d, got)
		}
	}
}

// unpacked is raw in the form of pack, without zstd: a fuzzer is to search this package's paths,
// whose coverage then depends on nothing but the input.
func unpacked(raw []byte) []byte {
	return append(appendUint([]byte{packRaw}, uint64(len(raw))), raw...)
}

// FuzzSegment opens hostile bytes: damage is an error, never a panic or a lot of memory.
func FuzzSegment(f *testing.F) {
	p := newPacker()
	e := newSegmentEncoder(p)
	for _, n := range []int{1, 3, 20} {
		for i := range n {
			r := okResult(i)
			r.Fields = []muster.Field{{Name: "version", Value: "1.2"}, {Name: "load", Value: 0.5}}
			r.Header = []muster.HeaderField{{Name: "server", Value: "sim"}}
			e.add(&r, true)
		}
		s, _ := e.seal()
		head, rest := must(p.unpack(s.head)), must(p.unpack(s.rest))
		f.Add(head, rest, s.bodies, []byte{}, false)
		f.Add(s.head, s.rest, s.bodies, []byte{}, true)
	}
	f.Fuzz(func(t *testing.T, head, rest, bodies, refs []byte, packed bool) {
		s := segment{head: head, rest: rest, bodies: bodies, refs: refs}
		if !packed {
			s.head, s.rest = unpacked(head), unpacked(rest)
		}
		if rs, err := decodeAll(p, s, nil, 1000); err == nil && len(rs) > segmentRows {
			t.Fatalf("%d rows", len(rs))
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
