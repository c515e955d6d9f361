package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// copyFleet is a fleet that takes files, and a login to it.
func copyFleet(t testing.TB, mix string) (*sim.Server, Copy) {
	t.Helper()
	m, err := sim.ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := (&sim.Fleet{Seed: 7, Mix: m, SSH: []string{":0"}, KnownHostsOut: dir + "/known"}).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	newKey(t, dir+"/id", "")
	write(t, dir+"/file", []byte(strings.Repeat("content\n", 50_000)))
	return s, Copy{
		Sources: []string{dir + "/file"}, Dest: "/srv/{{.id}}/file",
		SSHLogin: SSHLogin{User: "anybody", Identity: []string{dir + "/id"}, Agent: "none", Config: "none", KnownHosts: []string{dir + "/known"}},
	}
}

func fleetHost(ip string, s *sim.Server) muster.Target {
	return muster.Target{ID: ip, Host: ip, Addr: mustAddr(ip), Port: s.ServiceAddr(sim.SSH).Port()}
}

func TestCopyFaults(t *testing.T) {
	t.Parallel()
	for mix, want := range map[string]struct {
		failure muster.Failure
		reason  string
	}{
		"ok":           {},
		"slow:10ms":    {},
		"status:3":     {muster.NoFailure, "permission denied"},
		"status:4":     {muster.NoFailure, "no space left"},
		"status:401":   {muster.FailAuth, "login refused"},
		"conflict":     {muster.FailAuth, "host key changed"},
		"reset":        {muster.FailReset, "connection lost"},
		"reset:body":   {muster.FailReset, "connection lost"},
		"close-before": {muster.FailReset, "connection lost"},
		"close-early":  {muster.FailReset, "connection lost"},
		"hang":         {muster.FailTimeout, "timeout"},
		"hang-body":    {muster.FailTimeout, "timeout"},
		"hang:login":   {muster.FailTimeout, "timeout"},
	} {
		t.Run(mix, func(t *testing.T) {
			t.Parallel()
			s, spec := copyFleet(t, mix)
			env := Env{Timeout: 20 * time.Second}
			if strings.HasPrefix(mix, "hang") {
				env.Timeout = 500 * time.Millisecond
			}
			p := compileCopyTest(t, spec, env)
			r := p.Probe(t.Context(), fleetHost("127.5.6.7", s))
			if r.Failure != want.failure || r.Reason != want.reason || r.Timings.Total > 15*time.Second {
				t.Errorf("%v %v %q %q after %v", r.Outcome, r.Failure, r.Reason, r.Detail, r.Timings.Total)
			}
		})
	}
}

// Many targets get one set of files at once, and give it back.
func TestCopyToManyAndBack(t *testing.T) {
	t.Parallel()
	s, spec := copyFleet(t, "ok")
	up := compileCopyTest(t, spec, Env{})
	back := t.TempDir()
	spec.Fetch, spec.Sources, spec.Dest = true, []string{"/srv/{{.id}}"}, back
	down := compileCopyTest(t, spec, Env{})
	want, err := os.ReadFile(up.spec.Sources[0])
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, ip := range []string{"127.5.0.1", "127.5.0.2", "127.5.0.3", "127.5.0.4", "127.5.0.5", "127.5.0.6"} {
		wg.Go(func() {
			host := fleetHost(ip, s)
			sent, fetched := up.Probe(t.Context(), host), down.Probe(t.Context(), host)
			a, _ := sent.Field("sha256")
			b, _ := fetched.Field("sha256")
			if sent.Outcome != muster.OK || fetched.Outcome != muster.OK || a == nil || a != b {
				t.Errorf("%s: %+v, %+v", ip, sent, fetched)
			}
			got, err := os.ReadFile(filepath.Join(back, ip, "srv", ip, "file"))
			if err != nil || string(got) != string(want) {
				t.Errorf("%s: %d bytes, %v", ip, len(got), err)
			}
		})
	}
	wg.Wait()
}

// What is too large to be held is read again for each target, unless it has changed.
func TestLocalFileChanges(t *testing.T) {
	t.Parallel()
	s, spec := copyFleet(t, "ok")
	p := compileCopyTest(t, spec, Env{})
	p.tree = localTree{kept: keptSources}
	if err := p.tree.add(spec.Sources[0]); err != nil {
		t.Fatal(err)
	}
	host := fleetHost("127.5.0.1", s)
	if r := p.Probe(t.Context(), host); r.Outcome != muster.OK {
		t.Fatalf("%+v", r)
	}
	if err := os.Chtimes(spec.Sources[0], time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if r := p.Probe(t.Context(), host); r.Failure != muster.FailLocal || r.Reason != "local file changed" {
		t.Errorf("%+v", r)
	}
}

func TestCopyMistakes(t *testing.T) {
	t.Parallel()
	dir := plant(t, map[string]string{"644 dir/a": ""})
	if err := os.Symlink("dir", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	login := SSHLogin{Config: "none", Agent: "none"}
	for want, c := range map[string]Copy{
		"sources: there are none": {Dest: "/x", SSHLogin: login},
		"dest: want a path":       {Sources: []string{dir}, SSHLogin: login},
		"no such file":            {Sources: []string{dir + "/nothing"}, Dest: "/x", SSHLogin: login},
		"neither a file":          {Sources: []string{"/dev/null"}, Dest: "/x", SSHLogin: login},
		"leads to a folder":       {Sources: []string{dir}, Dest: "/x", SSHLogin: login},
		"size_limit: it is":       {Sources: []string{dir + "/dir"}, Dest: "/x", SizeLimit: 5, SSHLogin: login},
		"size_limit -1":           {Sources: []string{"/x"}, Dest: dir, Fetch: true, SizeLimit: -1, SSHLogin: login},
		`port "x"`:                {Sources: []string{dir + "/dir"}, Dest: "/x", SSHLogin: SSHLogin{Port: "x"}},
		"unclosed action":         {Sources: []string{dir + "/dir"}, Dest: "/{{.x", SSHLogin: login},
	} {
		p, err := compileCopy(c, Env{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
		if err == nil {
			p.Close()
		}
	}
	p := compileCopyTest(t, Copy{Sources: []string{dir + "/link"}, Dest: "{{.where}}", SSHLogin: login}, Env{})
	for where, ok := range map[string]bool{"/a": true, "~/a": true, "a": true, "": false, "~x/a": false, "a\x00": false} {
		err := p.Check(&muster.Target{ID: "a", Host: "a", Vars: map[string]string{"where": where}})
		if (err == nil) != ok {
			t.Errorf("%q: %v", where, err)
		}
	}
	if err := p.Check(&muster.Target{ID: "a", Host: "a"}); err == nil || !strings.Contains(err.Error(), "where") {
		t.Errorf("missing variable: %v", err)
	}
}

func TestCopyPreview(t *testing.T) {
	t.Parallel()
	s, spec := copyFleet(t, "ok")
	host := fleetHost("127.5.6.7", s)
	got, err := compileCopyTest(t, spec, Env{}).Preview(&host)
	if err != nil || !strings.Contains(got, "put "+spec.Sources[0]+" /srv/127.5.6.7/file (400000 bytes)\n") {
		t.Errorf("%s %v", got, err)
	}
	spec.Fetch, spec.Sources, spec.Dest = true, []string{"~/x"}, "out"
	got, err = compileCopyTest(t, spec, Env{}).Preview(&host)
	if err != nil || !strings.Contains(got, "get ./x out/127.5.6.7/x\n") {
		t.Errorf("%s %v", got, err)
	}
	if st := s.Stats(); st.Connections != 0 {
		t.Errorf("stats: %+v", st)
	}
}

// Whatever a target calls itself or its files, what comes from it stays below its folder.
func FuzzLocalPath(f *testing.F) {
	for _, s := range []string{"/etc/hosts", "../../x", "a/../..", ".", "..", "", "http://h/../x", "a%2Fb", `c:\x`} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, remote, id string) {
		if p := localPath(remote); !filepath.IsLocal(p) {
			t.Errorf("%q lands in %q", remote, p)
		}
		name := folderOf(id)
		if id != "" && (name != filepath.Base(name) || name == "." || name == "..") {
			t.Errorf("%q has the folder %q", id, name)
		}
		if id != remote && folderOf(remote) == name {
			t.Errorf("%q and %q share the folder %q", id, remote, name)
		}
	})
}

// Many small files go side by side, each once, and are told of in their order.
func TestCopyManyFiles(t *testing.T) {
	t.Parallel()
	s, spec := copyFleet(t, "ok")
	const n = 200
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("644 %d/%03d", i%7, i)] = fmt.Sprint("content ", i)
	}
	spec.Sources, spec.Dest = []string{plant(t, files)}, "/srv"
	up := compileCopyTest(t, spec, Env{})
	r := up.Probe(t.Context(), fleetHost("127.5.6.7", s))
	lines := strings.Split(strings.TrimSpace(string(r.Body)), "\n")
	paths := make([]string, len(lines))
	for i, line := range lines {
		_, paths[i], _ = strings.Cut(line, "  ")
	}
	if r.Outcome != muster.OK || len(lines) != n || !slices.IsSorted(paths) {
		t.Fatalf("%+v: %d lines", r, len(lines))
	}
	back := t.TempDir()
	spec.Fetch, spec.Sources, spec.Dest = true, []string{"/srv"}, back
	if r := compileCopyTest(t, spec, Env{}).Probe(t.Context(), fleetHost("127.5.6.7", s)); r.Outcome != muster.OK {
		t.Fatalf("%+v", r)
	}
	got := map[string]string{}
	for name, text := range grown(t, filepath.Join(back, "127.5.6.7", "srv")) {
		if !strings.HasSuffix(name, "/") {
			got[name] = text
		}
	}
	if diff := cmp.Diff(files, got); diff != "" {
		t.Error(diff)
	}
}
