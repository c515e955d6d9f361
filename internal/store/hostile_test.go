package store

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// A damaged length does not cost the memory that it names. Not parallel: it counts what this process allocates.
func TestDamagedLengthIsNotAllocated(t *testing.T) {
	p := newPacker()
	frame := p.pack(nil, bytes.Repeat([]byte("some text, again and again. "), 10_000))
	in := scanner{b: frame[1:]}
	in.uint()
	lie := append(appendUint([]byte{packZstd}, maxUnpacked), in.b...)
	lie = append(lie, make([]byte, maxUnpacked/maxRatio)...) // or the ratio would tell
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := p.unpack(lie)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("no error")
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("allocated %d MiB for %d bytes", n>>20, len(lie))
	}
}

// What compresses better than usual comes back too.
func TestUnpackGrows(t *testing.T) {
	t.Parallel()
	p := newPacker()
	for _, n := range []int{0, minPack, minUnpack, minUnpack + 1, 10 * minUnpack, 100 * minUnpack} {
		want := bytes.Repeat([]byte{7}, n)
		got, err := p.unpack(p.pack(nil, want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
}

// A list of names that no row has values for is not walked once per row: that could take minutes.
func TestHostileShapeIsNotWalked(t *testing.T) {
	t.Parallel()
	one, all := openHostile(t, 1), openHostile(t, segmentRows)
	if all > 20*one {
		t.Errorf("%v for one row, %v for %d", one, all, segmentRows)
	}
}

// openHostile returns how long it takes to refuse a segment whose rows name a shape of 2 Mi names, without a value.
func openHostile(t *testing.T, rows int) time.Duration {
	t.Helper()
	const names = 2 << 20
	var cols [numColumns][]byte
	cols[colShapes] = append(appendUint(nil, names), make([]byte, names)...)
	for i := range cols {
		switch i {
		case colFieldShape:
			cols[i] = bytes.Repeat([]byte{1}, rows)
		case colAddress, colStatus, colReason, colDetail, colFlags, colResolve, colConnect, colTLS, colFirstByte, colTotal,
			colAttempts, colHeadShape, colBody:
			cols[i] = make([]byte, rows)
		}
	}
	var rest []byte
	for _, c := range cols {
		rest = appendText(rest, c)
	}
	h := headColumns{index: make([]int, rows)}
	start := time.Now()
	if _, err := newPacker().open(segment{rest: unpacked(rest)}, h, true); err == nil {
		t.Error("no error")
	}
	return time.Since(start)
}
