package execute

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
)

// cServer starts bench/server.c for the duration of the benchmark and returns its port.
func cServer(b *testing.B) int {
	b.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Skip("no C compiler for the server: ", err)
	}
	bin := filepath.Join(b.TempDir(), "server")
	if out, err := exec.Command(gcc, "-O2", "-o", bin, "../../bench/server.c").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin, "-p", "0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		b.Fatal("the server does not say its port: ", err)
	}
	return port
}

// BenchmarkKeepAlive sends 100,000 requests to one server, a row each, and stores the results.
func BenchmarkKeepAlive(b *testing.B) {
	const n = 100_000
	rows := filepath.Join(b.TempDir(), "rows.csv")
	text := []byte("n\n")
	for i := range n {
		text = fmt.Appendf(text, "%d\n", i)
	}
	if err := os.WriteFile(rows, text, 0o600); err != nil {
		b.Fatal(err)
	}
	q := inventory.Query{
		Sets: []string{fmt.Sprintf("127.0.0.1:%d", cServer(b))}, Each: &hostfile.Reader{Path: rows, Each: true},
	}
	each := func(d time.Duration) float64 { return float64(d) / n / 1e3 }
	for b.Loop() {
		begun, used := time.Now(), cpu()
		l, err := inventory.Freeze(b.Context(), q)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(each(cpu()-used), "freeze-µs/target")
		w, err := Compile(spec(`{"url":"/?n={{.n}}"}`, muster.Plan{}), Surroundings{FewHosts: l.FewHosts()})
		if err != nil {
			b.Fatal(err)
		}
		st, rec := recorder(b, l)
		b.ReportMetric(each(cpu()-used), "begin-µs/target")
		led := drive(b, w, l, rec)
		b.ReportMetric(each(time.Since(begun)), "wall-µs/target")
		b.ReportMetric(each(cpu()-used), "cpu-µs/target")
		if led.Count(muster.OK) != n {
			b.Errorf("ledger = %s", &led)
		}
		if err := st.Close(); err != nil {
			b.Error(err)
		}
		w.Close()
		l.Close()
	}
}

// recorder opens a store of its own and begins a job over l.
func recorder(b *testing.B, l muster.List) (*store.Store, *store.Recorder) {
	b.Helper()
	st, err := store.Open(b.Context(), store.Config{Path: filepath.Join(b.TempDir(), "m.db")})
	if err != nil {
		b.Fatal(err)
	}
	job := muster.Job{ID: muster.NewJobID(time.Now()), Ledger: muster.Ledger{Targets: l.Len()}}
	rec, err := st.Begin(b.Context(), &job, l)
	if err != nil {
		b.Fatal(err)
	}
	return st, rec
}
