package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
)

// rowsReader yields n rows of CSV without holding them.
type rowsReader struct {
	n, i int
	buf  []byte
}

func (r *rowsReader) Read(p []byte) (int, error) {
	for len(r.buf) < len(p) && r.i <= r.n {
		if r.i == 0 {
			r.buf = append(r.buf, "address,rack,serial\n"...)
		} else {
			r.buf = fmt.Appendf(r.buf, "host-%d.dc%d.example.com,rack%d,SN%09d\n", r.i, r.i%7, r.i%500, r.i)
		}
		r.i++
	}
	if len(r.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.buf)
	r.buf = r.buf[:copy(r.buf, r.buf[n:])]
	return n, nil
}

func TestAMillionRowsInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a million rows take seconds")
	}
	const n = 1_000_000
	dir := t.TempDir()
	peak := uint64(0)
	var m runtime.MemStats
	src := &rowsReader{n: n}
	watch := readerFunc(func(p []byte) (int, error) {
		if src.i%50_000 < 500 {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.Sys-m.HeapReleased)
		}
		return src.Read(p)
	})
	f := freeze(t, inventory.Query{Hostfiles: []hostfile.Reader{{Path: "-", Format: "csv", Stdin: watch}}, SpoolDir: dir})
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%d rows: peak %d MiB of the process while reading, heap %d MiB afterwards", f.Len(), peak>>20, m.HeapAlloc>>20)
	if f.Len() != n {
		t.Fatalf("%d targets", f.Len())
	}
	if peak > 100<<20 {
		t.Errorf("the process took %d MiB", peak>>20)
	}
	if m.HeapAlloc > 24<<20 {
		t.Errorf("the list keeps %d MiB", m.HeapAlloc>>20)
	}
	for _, i := range []int{0, 63, 64, n / 2, n - 1, 5} {
		x, err := f.At(i)
		if err != nil || x.Index != i || x.ID != fmt.Sprintf("host-%d.dc%d.example.com", i+1, (i+1)%7) || x.Vars["serial"] != fmt.Sprintf("SN%09d", i+1) {
			t.Errorf("target %d is %+v, %v", i, x, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestARangeOfMillionsCostsNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f := freeze(t, inventory.Query{Sets: []string{"10.0.0.0/8 10.0.0.0/9,10.128.0.0-10.128.255.255"}, Exclude: []string{"10.5.0.0/16"}})
	runtime.ReadMemStats(&after)
	if want := 1<<24 - 2 - 1<<16; f.Len() != want {
		t.Errorf("%d targets, want %d", f.Len(), want)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 1<<20 {
		t.Errorf("%d bytes allocated", spent)
	}
	if x, _ := f.At(f.Len() - 1); x.ID != "10.255.255.254" {
		t.Errorf("the last is %s", x.ID)
	}
}

func TestFreezeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	src := &rowsReader{n: 1 << 40}
	n := 0
	in := readerFunc(func(p []byte) (int, error) {
		if n++; n == 20 {
			cancel(why)
		}
		return src.Read(p)
	})
	_, err := inventory.Freeze(ctx, inventory.Query{Hostfiles: []hostfile.Reader{{Path: "-", Format: "csv", Stdin: in}}})
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	_, err = inventory.Freeze(ctx, inventory.Query{Sets: []string{"10.0.0.0/8"}, Selector: "host=x"})
	if !errors.Is(err, why) {
		t.Errorf("a range: error %v", err)
	}
}
