package execute

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
)

// BenchmarkKeepAlive sends 100,000 requests to the one server at 127.0.0.1:18081, a row each.
func BenchmarkKeepAlive(b *testing.B) {
	rows := filepath.Join(b.TempDir(), "rows.csv")
	text := []byte("n\n")
	for i := range 100_000 {
		text = fmt.Appendf(text, "%d\n", i)
	}
	if err := os.WriteFile(rows, text, 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		begun, used := time.Now(), cpu()
		l, err := inventory.Freeze(b.Context(), inventory.Query{Sets: []string{"127.0.0.1:18081"}, Each: &hostfile.Reader{Path: rows, Each: true}})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(cpu()-used)/float64(l.Len())/1e3, "freeze-µs/target")
		w, err := Compile(spec(`{"url":"/?n={{.n}}"}`, muster.Plan{}), Surroundings{FewHosts: l.FewHosts()})
		if err != nil {
			b.Fatal(err)
		}
		st, err := store.Open(b.Context(), store.Config{Path: filepath.Join(b.TempDir(), "m.db")})
		if err != nil {
			b.Fatal(err)
		}
		job := muster.Job{ID: muster.NewJobID(time.Now()), Ledger: muster.Ledger{Targets: l.Len()}}
		rec, err := st.Begin(b.Context(), &job, l)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(cpu()-used)/float64(l.Len())/1e3, "begin-µs/target")
		led := drive(b, w, l, rec)
		b.ReportMetric(float64(time.Since(begun))/float64(l.Len())/1e3, "wall-µs/target")
		b.ReportMetric(float64(cpu()-used)/float64(l.Len())/1e3, "cpu-µs/target")
		if led.Count(muster.OK) != l.Len() {
			b.Errorf("ledger = %s", &led)
		}
		st.Close()
		l.Close()
	}
}
