package inventory

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/permute"
)

// fill spools n targets, each with about 100 bytes.
func fill(t testing.TB, s *spool, n int) error {
	t.Helper()
	for i := range n {
		x := spooled(i)
		if err := s.append(&x, x.ID, nil); err != nil {
			return err
		}
	}
	return s.seal()
}

func spooled(i int) muster.Target {
	return muster.Target{
		ID: fmt.Sprintf("http://h%d.example.com:8080/", i), Scheme: "http", Host: fmt.Sprintf("h%d.example.com", i), Port: 8080, Path: "/",
		Labels: map[string]string{"rack": fmt.Sprint("r", i%50)}, Vars: map[string]string{"serial": fmt.Sprint(strings.Repeat("x", i%90), i)},
	}
}

func same(a, b muster.Target) bool {
	return a.ID == b.ID && a.Host == b.Host && a.Scheme == b.Scheme && a.Port == b.Port && a.Path == b.Path &&
		a.Labels["rack"] == b.Labels["rack"] && a.Vars["serial"] == b.Vars["serial"]
}

func TestSpoolOnDiskIsReadInAnyOrder(t *testing.T) {
	t.Parallel()
	const n = 20_001
	dir := t.TempDir()
	s := newSpool(dir)
	if err := fill(t, s, n); err != nil {
		t.Fatal(err)
	}
	if s.file == nil {
		t.Fatal("the spool is still in memory")
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v is in sight in the folder", left[0])
	}
	order := permute.New(n, 1)
	var wg sync.WaitGroup
	for _, place := range []func(int) int{func(i int) int { return i }, order.At, func(i int) int { return n - 1 - i }} {
		wg.Go(func() {
			for k := range n {
				i := place(k)
				x, defect, err := s.at(i)
				if err != nil || defect != nil || !same(x, spooled(i)) {
					t.Errorf("record %d is %+v, %v, %v", i, x, defect, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := s.close(); err != nil {
		t.Error(err)
	}
	if _, _, err := s.at(5); err == nil || !strings.Contains(err.Error(), "read the kept targets") {
		t.Errorf("after close: error %v", err)
	}
}

func TestFullDiskNamesTheFolder(t *testing.T) {
	t.Parallel()
	s := newSpool("/var/spool/small")
	s.open = func(string) (*os.File, error) { return os.OpenFile("/dev/full", os.O_RDWR, 0) }
	err := fill(t, s, 20_000)
	if err == nil || !strings.Contains(err.Error(), "/var/spool/small") || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
	if muster.KindOf(err) != muster.KindUnavailable {
		t.Errorf("kind %v", muster.KindOf(err))
	}
	s.close()
	s = newSpool("/nonexistent/folder")
	if err := fill(t, s, 20_000); err == nil || !strings.Contains(err.Error(), "/nonexistent/folder") {
		t.Errorf("missing folder: error %v", err)
	}
}

func TestManySetsOfLabels(t *testing.T) {
	t.Parallel()
	s := newSpool("")
	const n = 3 * maxShared
	for i := range n {
		x := muster.Target{ID: fmt.Sprint("h", i), Host: fmt.Sprint("h", i), Labels: map[string]string{"a": fmt.Sprint(i), "b": ""}}
		if i%2 == 0 {
			x.Vars = map[string]string{}
		}
		if err := s.append(&x, x.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		x, _, err := s.at(i)
		if b, ok := x.Labels["b"]; err != nil || x.Labels["a"] != fmt.Sprint(i) || !ok || b != "" || len(x.Labels) != 2 || len(x.Vars) != 0 {
			t.Fatalf("record %d is %+v, %v", i, x, err)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestIDSet(t *testing.T) {
	t.Parallel()
	s := newIDSet()
	const n = 100_000
	key := func(i int) []byte { return fmt.Append(nil, "host", i) }
	for i := range n {
		if got := s.has(key(i), key(i)); got != seenNot {
			t.Fatalf("%d is known before it is added: %d", i, got)
		}
		if got := s.add(key(i), key(i)); got != seenNot {
			t.Fatalf("adding %d: %d", i, got)
		}
	}
	slots := 0
	for i := range s.shards {
		slots += len(s.shards[i].slots)
	}
	if perID := float64(slots*16) / n; perID > 32 {
		t.Errorf("%.1f bytes an id", perID)
	}
	for i := range n {
		if got := s.add(key(i), key(i)); got != seenSame {
			t.Fatalf("adding %d again: %d", i, got)
		}
		if got := s.add(key(i), key(i+1)); got != seenOtherAt {
			t.Fatalf("adding %d at another address: %d", i, got)
		}
	}
}

func BenchmarkAtSpool(b *testing.B) {
	const n = 200_000
	s := newSpool(b.TempDir())
	if err := fill(b, s, n); err != nil {
		b.Fatal(err)
	}
	defer s.close()
	order := permute.New(n, 1)
	for name, place := range map[string]func(int) int{"sequential": func(i int) int { return i }, "shuffled": order.At} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, _, err := s.at(place(i % n)); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
