package sink

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// names is a list of targets of which only the ids matter.
type names []string

func (n names) Len() int { return len(n) }

func (n names) At(i int) (muster.Target, error) { return muster.Target{Index: i, ID: n[i]}, nil }

func (n names) Hash() [32]byte { return [32]byte{} }

var fleet = names{"web1", "web2", "web3", "web4", "db1", "db2", "[::1]:80"}

var start = time.Date(2026, 11, 20, 18, 34, 41, 123456789, time.UTC)

// results is one of each kind.
func results() []muster.Result {
	ok := muster.Result{
		Target: "web1", Outcome: muster.OK, Status: "200 OK", Code: 200, Attempts: 1, Started: start,
		Address: netip.MustParseAddrPort("10.0.0.1:80"),
		Timings: muster.Timings{Connect: time.Millisecond, FirstByte: 2345678, Total: 3500 * time.Microsecond},
		Body:    []byte("nginx 1.27\n\x1b[31mred\x1b[0m\r\nlast"),
	}
	fields := ok
	fields.Index, fields.Target = 1, "web2"
	fields.Fields = []muster.Field{{Name: "v", Value: "=1.27 beta"}, {Name: "n", Value: -2.5}, {Name: "up", Value: true}, {Name: "none"}}
	fields.Header = []muster.HeaderField{{Name: "server", Value: "nginx"}, {Name: "via", Value: "a"}, {Name: "date", Value: "x"}, {Name: "via", Value: "b"}}
	odd := ok
	odd.Index, odd.Target, odd.Outcome, odd.Reason = 2, "web3", muster.Unexpected, "status 503"
	odd.Status, odd.Code, odd.Body, odd.Truncated = "503 Service \"Unavailable\"", 503, []byte("bad \xff bytes"), true
	empty := muster.Result{Index: 3, Target: "web4", Outcome: muster.OK, Status: "204 No Content", Code: 204, Attempts: 1}
	refused := muster.Result{Index: 4, Target: "db1", Attempts: 3}.Fail(muster.FailRefused, "dial tcp 10.0.0.5:80:\nconnection refused")
	never := muster.Result{Index: 5, Target: "db2", Outcome: muster.NotAttempted}
	denied := muster.Result{Index: 6, Target: "[::1]:80", Outcome: muster.Denied, Reason: "denied loopback"}
	return []muster.Result{ok, fields, odd, empty, refused, never, denied}
}

// write gives all results to a sink that writes to the buffer, and closes it.
func write(t *testing.T, s muster.Sink, rs []muster.Result, out *bytes.Buffer) []byte {
	t.Helper()
	for len(rs) > 0 {
		n := min(2, len(rs))
		if err := s.Write(t.Context(), rs[:n]); err != nil {
			t.Fatal(err)
		}
		rs = rs[n:]
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
