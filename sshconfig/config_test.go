package sshconfig_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/sshconfig"
)

// load reads one text as a user's configuration.
func load(t testing.TB, text string, more ...string) *sshconfig.Config {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, ".ssh")
	if err := os.MkdirAll(filepath.Join(dir, "config.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"config": text}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = more[i+1]
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := sshconfig.Load(sshconfig.Source{Files: []string{filepath.Join(dir, "config"), "/nonexistent"}, Home: home, User: "me"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLookup(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, config, host, user string
		want                     sshconfig.Host
	}{
		{"nothing said", "", "a", "", sshconfig.Host{}},
		{"before any host", "Port 7\nUser=bob", "a", "", sshconfig.Host{Port: 7, User: "bob"}},
		{"first wins", "Host a\n Port 1\nHost *\n Port 2\n User u", "a", "", sshconfig.Host{Port: 1, User: "u"}},
		{"pattern before exact", "Host *\n Port 2\nHost a\n Port 1", "a", "", sshconfig.Host{Port: 2}},
		{"given user stands", "User u", "a", "me2", sshconfig.Host{User: "me2"}},
		{"negation", "Host *.x !b.x\n Port 2", "b.x", "", sshconfig.Host{}},
		{"negation of others", "Host *.x !b.x\n Port 2", "a.x", "", sshconfig.Host{Port: 2}},
		{"negation alone never matches", "Host !b\n Port 2", "a", "", sshconfig.Host{}},
		{"question mark", "Host web?\n Port 2", "web1", "", sshconfig.Host{Port: 2}},
		{"case", "Host WEB*\n Port 2", "web1", "", sshconfig.Host{Port: 2}},
		{"host name token", "Host a\n HostName %h.example.com", "a", "", sshconfig.Host{HostName: "a.example.com"}},
		{"keys add up", "IdentityFile ~/a\nHost a\n IdentityFile \"~/b c\"\n IdentitiesOnly yes", "a", "", sshconfig.Host{IdentityFiles: []string{"~/a", "~/b c"}, IdentitiesOnly: true}},
		{"known hosts", "UserKnownHostsFile a b # two\nGlobalKnownHostsFile none", "h", "", sshconfig.Host{KnownHosts: []string{"a", "b"}, GlobalKnownHosts: []string{"none"}}},
		{"jump", "ProxyJump a,b:22", "h", "", sshconfig.Host{ProxyJump: "a,b:22"}},
		{"jump before command", "ProxyJump a\nProxyCommand nc %h", "h", "", sshconfig.Host{ProxyJump: "a"}},
		{"command before jump", "ProxyCommand nc \"%h\" 22\nProxyJump a", "h", "", sshconfig.Host{ProxyCommand: `nc "%h" 22`}},
		{"strict", "StrictHostKeyChecking ACCEPT-new", "h", "", sshconfig.Host{StrictHostKeyChecking: "accept-new"}},
		{"match user", "Match user root\n Port 3", "h", "root", sshconfig.Host{User: "root", Port: 3}},
		{"match other user", "Match user root\n Port 3", "h", "bob", sshconfig.Host{User: "bob"}},
		{"match host name found before", "Host a\n HostName b\nMatch host b\n Port 3", "a", "", sshconfig.Host{HostName: "b", Port: 3}},
		{"match negated", "Match !host a\n Port 3", "b", "", sshconfig.Host{Port: 3}},
		{"match all", "Host b\n Port 1\nMatch all\n Port 3", "a", "", sshconfig.Host{Port: 3}},
		{"match exec is never run", "Match exec true\n Port 3", "a", "", sshconfig.Host{}},
		{"local user", "Match localuser me\n Port 3", "a", "", sshconfig.Host{Port: 3}},
		{"several names of one block", "Host a b a\n Port 3", "b", "", sshconfig.Host{Port: 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, load(t, tt.config).Lookup(tt.host, tt.user)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestInclude(t *testing.T) {
	t.Parallel()
	c := load(t, "Host a*\n  Include config.d/*.conf\n  Port 9\nHost *\n  User last\n",
		"config.d/1.conf", "User one\nHost a2\n  HostName two\n")
	want := map[string]sshconfig.Host{
		"a1": {User: "one", Port: 9},
		"a2": {User: "one", HostName: "two", Port: 9},
		"b":  {User: "last"},
	}
	for name, w := range want {
		if diff := cmp.Diff(w, c.Lookup(name, "")); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestMistakesNameFileAndLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"User a\nPort ssh":           "config line 2: Port \"ssh\"",
		"Host":                       "config line 1: host has no value",
		"HostName \"a":               "config line 1: a quote",
		"Match host":                 "config line 1: Match host has no value",
		"# x\n\nInclude sub\nPort 1": "sub line 1: Port \"x\"",
		"Include config":             "deeper than",
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{"config": text, "sub": "Port x"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := sshconfig.Load(sshconfig.Source{Files: []string{filepath.Join(dir, "config")}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if err != nil && strings.Count(err.Error(), "line") > 1 {
			t.Errorf("%q: error %v names more than one line", text, err)
		}
	}
	if _, err := sshconfig.Load(sshconfig.Source{Files: []string{t.TempDir()}}); muster.KindOf(err) != muster.KindInvalid {
		t.Errorf("a folder: %v", err)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	tokens := sshconfig.Tokens{Home: "/h", LocalUser: "l", Host: "host", User: "r", Port: "22"}
	for in, want := range map[string]string{
		"~/.ssh/id": "/h/.ssh/id", "~": "/h", "~bob/x": "~bob/x", "%d/%u/%h/%r/%n/%p/%%": "/h/l/host/r/host/22/%", "%k": "%k",
	} {
		if got := tokens.Expand(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// FuzzLoad holds that whatever a file says is read or refused, and that a lookup then ends.
func FuzzLoad(f *testing.F) {
	f.Add("Host a b*\n Port 22\n HostName \"%h\" # x\nMatch user a,b host !c\nInclude x")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := sshconfig.Load(sshconfig.Source{Files: []string{path}})
		if err == nil {
			c.Lookup("a", "b")
		}
	})
}

// BenchmarkLookup looks up one of 100,000 hosts that have blocks of their own.
func BenchmarkLookup(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "Host h%d\n HostName 10.0.0.%d\n", i, i%256)
	}
	text.WriteString("Host *\n User root\n")
	c := load(b, text.String())
	b.ReportAllocs()
	for b.Loop() {
		c.Lookup("h77777", "")
	}
}
