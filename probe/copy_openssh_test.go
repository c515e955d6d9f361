package probe

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
)

const sftpServer = "Subsystem sftp internal-sftp"

// copying compiles a copy to or from s.
func (s *sshd) copying(t testing.TB, c Copy) *copyProber {
	t.Helper()
	c.SSHLogin = s.login()
	return compileCopyTest(t, c, Env{Timeout: 20 * time.Second})
}

func compileCopyTest(t testing.TB, c Copy, env Env) *copyProber {
	t.Helper()
	p, err := compileCopy(c, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// plant makes files below a new folder: "mode path" with its content, or a folder if the path ends in a slash.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, key := range slices.Sorted(func(yield func(string) bool) {
		for k := range files {
			if !yield(k) {
				return
			}
		}
	}) {
		var mode fs.FileMode
		var name string
		fmt.Sscanf(key, "%o %s", &mode, &name)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			path = filepath.Clean(path)
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, path, []byte(files[key]))
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// grown lists what is below a folder in the form that plant takes.
func grown(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			files[fmt.Sprintf("%o %s/", info.Mode().Perm(), rel)] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		files[fmt.Sprintf("%o %s", info.Mode().Perm(), rel)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestCopyFolder(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, sftpServer)
	source := plant(t, map[string]string{"755 run.sh": "#!/bin/sh\n", "640 etc/app.conf": "a=1\n", "666 etc/empty": "", "700 var/": ""})
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, name := range []string{"run.sh", "var", ""} {
		if err := os.Chtimes(filepath.Join(source, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	dest := filepath.Join(t.TempDir(), "some", "where")
	for _, preserve := range []bool{false, true, true} { // the last time over what is there
		p := s.copying(t, Copy{Sources: []string{source}, Dest: dest, Preserve: preserve})
		r := p.Probe(t.Context(), s.target)
		if r.Outcome != muster.OK || r.Status != "copied" || !r.Sent || r.Address.Port() != s.target.Port {
			t.Fatalf("%+v", r)
		}
		want := map[string]string{"755 run.sh": "#!/bin/sh\n", "750 etc/": "", "640 etc/app.conf": "a=1\n", "644 etc/empty": "", "755 var/": ""}
		if preserve {
			want = map[string]string{"755 run.sh": "#!/bin/sh\n", "755 etc/": "", "640 etc/app.conf": "a=1\n", "666 etc/empty": "", "700 var/": ""}
		} else {
			delete(want, "750 etc/")
			want["755 etc/"] = ""
		}
		if diff := cmp.Diff(want, grown(t, dest)); diff != "" {
			t.Error(diff)
		}
		if n, _ := r.Field("files"); n != 3.0 {
			t.Errorf("files %v", n)
		}
		if n, _ := r.Field("bytes"); n != 14.0 {
			t.Errorf("bytes %v", n)
		}
		if lines := strings.Count(string(r.Body), "  "+dest+"/"); lines != 3 {
			t.Errorf("body %s", r.Body)
		}
		for _, name := range []string{"run.sh", "var", ""} {
			info, err := os.Stat(filepath.Join(dest, name))
			if err != nil || info.ModTime().Equal(old) != preserve {
				t.Errorf("%q is of %v, %v", name, info.ModTime(), err)
			}
		}
	}
}

func TestCopyPlaces(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, "Subsystem sftp /usr/lib/openssh/sftp-server") // a program of its own
	source := plant(t, map[string]string{"644 a": "A", "644 b": "B", "644 dir/c": "C"})
	of := func(names ...string) (paths []string) {
		for _, n := range names {
			paths = append(paths, filepath.Join(source, n))
		}
		return paths
	}
	for name, tc := range map[string]struct {
		sources []string
		dest    string
		want    map[string]string
	}{
		"as":           {of("a"), "x/{{.id}}.conf", map[string]string{"755 x/": "", "644 x/host.conf": "A"}},
		"into":         {of("a"), "x/", map[string]string{"755 x/": "", "644 x/a": "A"}},
		"several":      {of("a", "b"), "x", map[string]string{"755 x/": "", "644 x/a": "A", "644 x/b": "B"}},
		"folder as":    {of("dir"), "x", map[string]string{"755 x/": "", "644 x/c": "C"}},
		"folder into":  {of("dir"), "x/y/", map[string]string{"755 x/": "", "755 x/y/": "", "755 x/y/dir/": "", "644 x/y/dir/c": "C"}},
		"with slashes": {of("dir/"), "x/./y//", map[string]string{"755 x/": "", "755 x/y/": "", "755 x/y/dir/": "", "644 x/y/dir/c": "C"}},
	} {
		dest := t.TempDir()
		p := s.copying(t, Copy{Sources: tc.sources, Dest: dest + "/" + tc.dest})
		if err := p.Check(&s.target); err != nil {
			t.Error(name, err)
		}
		if r := p.Probe(t.Context(), s.target); r.Outcome != muster.OK {
			t.Errorf("%s: %+v", name, r)
		}
		if diff := cmp.Diff(tc.want, grown(t, dest)); diff != "" {
			t.Error(name, diff)
		}
	}
}

// A user without rights, and folders where files should be and files where folders should be.
func TestCopyRefused(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, sftpServer)
	source := plant(t, map[string]string{"644 a": "A", "644 dir/c": "C"})
	there := plant(t, map[string]string{"644 file": "", "755 folder/": "", "755 folder/in/": ""})
	login := s.login()
	login.User = "nobody"
	for path, mode := range map[string]fs.FileMode{filepath.Dir(s.dir): 0o755, filepath.Join(s.dir, "authorized"): 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		spec   Copy
		reason string
		code   int
	}{
		"not allowed":             {Copy{Sources: []string{source + "/a"}, Dest: there + "/new", SSHLogin: login}, "permission denied", 3},
		"folder not allowed":      {Copy{Sources: []string{source + "/dir"}, Dest: there + "/new", SSHLogin: login}, "permission denied", 3},
		"a folder is there":       {Copy{Sources: []string{source + "/a"}, Dest: there + "/folder", SSHLogin: s.login()}, "is a folder", 4},
		"a file is there":         {Copy{Sources: []string{source + "/dir"}, Dest: there + "/file", SSHLogin: s.login()}, "not a folder", 4},
		"not allowed to read":     {Copy{Fetch: true, Sources: []string{s.id}, Dest: t.TempDir(), SSHLogin: login}, "permission denied", 3},
		"nothing there":           {Copy{Fetch: true, Sources: []string{there + "/nothing"}, Dest: t.TempDir(), SSHLogin: s.login()}, "no such file", 2},
		"neither file nor folder": {Copy{Fetch: true, Sources: []string{"/dev/null"}, Dest: t.TempDir(), SSHLogin: s.login()}, "not a file", 4},
	} {
		p := compileCopyTest(t, tc.spec, Env{Timeout: 20 * time.Second})
		r := p.Probe(t.Context(), s.target)
		if r.Outcome != muster.Unexpected || r.Reason != tc.reason || r.Code != tc.code || r.Detail == "" {
			t.Errorf("%s: %v %v %q %d %q", name, r.Outcome, r.Failure, r.Reason, r.Code, r.Detail)
		}
	}
	want := map[string]string{"644 file": "", "755 folder/": "", "755 folder/in/": ""}
	if diff := cmp.Diff(want, grown(t, there)); diff != "" {
		t.Error("something was left:", diff)
	}
}

// A copy that is cancelled ends at once and leaves nothing, there or here.
func TestCopyCanceled(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, sftpServer)
	source := t.TempDir()
	write(t, source+"/big", nil)
	if err := os.Truncate(source+"/big", 200<<20); err != nil {
		t.Fatal(err)
	}
	for _, fetch := range []bool{false, true} {
		dest := t.TempDir()
		c, lands := Copy{Sources: []string{source + "/big"}, Dest: dest + "/big"}, dest
		if fetch {
			c.Fetch, c.Dest, lands = true, dest, filepath.Join(dest, s.target.ID, source)
		}
		p := s.copying(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var stopped time.Time
		wg.Go(func() {
			for ctx.Err() == nil {
				if files, _ := os.ReadDir(lands); len(files) > 0 {
					stopped = time.Now()
					cancel()
				}
			}
		})
		r := p.Probe(ctx, s.target)
		took := time.Since(stopped)
		cancel()
		wg.Wait()
		if r.Outcome != muster.Canceled || took > time.Second {
			t.Errorf("%v %q after %v", r.Outcome, r.Detail, took)
		}
		if left, err := os.ReadDir(lands); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, sftpServer)
	source := plant(t, map[string]string{"640 etc/app.conf": "a=1\n", "600 etc/key": "k", "755 bin/run": "x", "700 empty/": ""})
	for link, to := range map[string]string{"etc/link": "app.conf", "etc/circle": "..", "etc/broken": "nothing"} {
		if err := os.Symlink(to, filepath.Join(source, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(source, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(t.TempDir(), "collected")
	s.target.ID = "http://host/a"
	for range 2 { // the second time over what is there
		r := s.copying(t, Copy{Fetch: true, Preserve: true, Sources: []string{source}, Dest: dest}).Probe(t.Context(), s.target)
		if r.Outcome != muster.OK {
			t.Fatalf("%+v", r)
		}
		if n, _ := r.Field("skipped"); n != 3.0 {
			t.Errorf("skipped %v", n)
		}
		want := map[string]string{
			"755 etc/": "", "640 etc/app.conf": "a=1\n", "640 etc/link": "a=1\n", "600 etc/key": "k",
			"755 bin/": "", "755 bin/run": "x", "700 empty/": "",
		}
		if diff := cmp.Diff(want, grown(t, filepath.Join(dest, "http:%2F%2Fhost%2Fa", source))); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFetchTooMuch(t *testing.T) {
	t.Parallel()
	s := startSSHD(t, sftpServer)
	source, dest := plant(t, map[string]string{"644 a": strings.Repeat("x", 1000), "644 b": strings.Repeat("x", 1000)}), t.TempDir()
	r := s.copying(t, Copy{Fetch: true, SizeLimit: 1500, Sources: []string{source}, Dest: dest}).Probe(t.Context(), s.target)
	if r.Failure != muster.FailTooLarge {
		t.Errorf("%v %q", r.Failure, r.Detail)
	}
	if n, _ := r.Field("bytes"); n != 1000.0 {
		t.Errorf("bytes %v", n)
	}
	if files := grown(t, filepath.Join(dest, "host", source)); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
	blocked := plant(t, map[string]string{"644 file": ""})
	r = s.copying(t, Copy{Fetch: true, Sources: []string{source}, Dest: blocked + "/file"}).Probe(t.Context(), s.target)
	if r.Failure != muster.FailLocal {
		t.Errorf("%v %q", r.Failure, r.Detail)
	}
}

func TestCopyWithoutSFTP(t *testing.T) {
	t.Parallel()
	source := plant(t, map[string]string{"644 a": "A"})
	for config, reason := range map[string]string{
		"MaxSessions 10":                     "SFTP refused",
		"Subsystem sftp /bin/echo not SFTP ": "not an SFTP server",
		"Subsystem sftp /bin/false":          "connection lost",
	} {
		s := startSSHD(t, config)
		r := s.copying(t, Copy{Sources: []string{source + "/a"}, Dest: "/tmp/never"}).Probe(t.Context(), s.target)
		if r.Outcome != muster.Failed || r.Reason != reason || r.Sent {
			t.Errorf("%s: %v %q %q %v", config, r.Failure, r.Reason, r.Detail, r.Sent)
		}
	}
}
