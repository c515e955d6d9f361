package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
)

// freeze makes a list that the test closes.
func freeze(t testing.TB, q inventory.Query) *inventory.Frozen {
	t.Helper()
	f, err := inventory.Freeze(t.Context(), q)
	if err != nil {
		t.Fatalf("Freeze: %v", err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return f
}

// ids returns the ids of a list, which must have no defects.
func ids(t testing.TB, f *inventory.Frozen) []string {
	t.Helper()
	got := make([]string, 0, f.Len())
	for target, err := range f.All() {
		if err != nil {
			t.Fatalf("target %d: %v", len(got), err)
		}
		if target.Index != len(got) {
			t.Fatalf("target %d has the index %d", len(got), target.Index)
		}
		got = append(got, target.ID)
	}
	return got
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		set, want string // want: the ids by spaces; "…" between stands for a longer row
	}{
		{"web1", "web1"},
		{"web1,web2 web3\n\tweb4", "web1 web2 web3 web4"},
		{" , web1 ,, ", "web1"},
		{"WEB1.Example.COM.", "web1.example.com"},
		{"bücher.example", "bücher.example"},
		{"web_1", "web_1"},
		{"h:8080", "h:8080"},
		{"http://h:80/", "http://h/"},
		{"HTTP://H", "http://h/"},
		{"https://h:443 http://h:443", "https://h/ http://h:443/"},
		{"http://h?a=1,b", "http://h/?a=1,b"},
		{"http://h/x#frag", "http://h/x"},
		{"tcp://h:25", "tcp://h:25"},
		{"ssh://h:22", "ssh://h"},
		{"https://web[1-2]:8443/health?x=1,2&y=[3]!^ web3", "https://web1:8443/health?x=1,2&y=[3]!^ https://web2:8443/health?x=1,2&y=[3]!^ web3"},
		{"https://a,https://b", "https://a/ https://b/"},
		{"web1/health", "web1/health"},
		{"web1/health?x=1&y=2,web2", "web1/health?x=1&y=2 web2"},
		{"web1:80/health", "web1:80/health"},
		{"10.0.0.1/health", "10.0.0.1/health"},
		{"http://10.0.0.0/30", "http://10.0.0.0/30"},
		{"10.0.0.0/30", "10.0.0.1 10.0.0.2"},
		{"10.0.0.2/30", "10.0.0.1 10.0.0.2"},
		{"10.0.0.0/31", "10.0.0.0 10.0.0.1"},
		{"10.0.0.0/32", "10.0.0.0"},
		{"10.0.0.0/30:9100", "10.0.0.1:9100 10.0.0.2:9100"},
		{"10.0.0.0/30:9100/metrics", "10.0.0.1:9100/metrics 10.0.0.2:9100/metrics"},
		{"10.0.0.254-10.0.1.1", "10.0.0.254 10.0.0.255 10.0.1.0 10.0.1.1"},
		{"10.0.0.254-10.0.1.1:80", "10.0.0.254:80 10.0.0.255:80 10.0.1.0:80 10.0.1.1:80"},
		{"10.0.0.1-10.0.0.1", "10.0.0.1"},
		{"::1", "::1"},
		{"[::1]", "::1"},
		{"[::1]:443", "[::1]:443"},
		{"[::1]/x", "[::1]/x"},
		{"https://[::1]:443/x", "https://[::1]/x"},
		{"[::1]:[80-82]", "[::1]:80 [::1]:81 [::1]:82"},
		{"fe80::1%eth0", "fe80::1%eth0"},
		{"2001:db8::/126", "2001:db8:: 2001:db8::1 2001:db8::2 2001:db8::3"},
		{"[2001:db8::/127]:443 [2001:db8::2]/127:443", "[2001:db8::]:443 [2001:db8::1]:443 [2001:db8::2]:443 [2001:db8::3]:443"},
		{"2001:db8::ffff-2001:db8::1:0", "2001:db8::ffff 2001:db8::1:0"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"web[08-11].example.com:8080", "web08.example.com:8080 web09.example.com:8080 web10.example.com:8080 web11.example.com:8080"},
		{"n[9-11]", "n9 n10 n11"},
		{"n[0-6/3,20]", "n0 n3 n6 n20"},
		{"n[3,1,2,1-2]", "n1 n2 n3"},
		{"n[1-2]c[1-2]", "n1c1 n1c2 n2c1 n2c2"},
		{"n1[0-2] n[0-2]5", "n10 n11 n12 n05 n15 n25"},
		{"n[1-2][0-1]", "n10 n11 n20 n21"},
		{"[1-2].example", "1.example 2.example"},
		{"127.1.[0-1].[249-250]:8080", "127.1.0.249:8080 127.1.0.250:8080 127.1.1.249:8080 127.1.1.250:8080"},
		{"n[01-02],n[1-2]", "n01 n02 n1 n2"},
		{"n[1-4]!n2", "n1 n3 n4"},
		{"n[1-4]!n2!n3", "n1 n4"},
		{"n[1-4]!n2,n2", "n1 n3 n4 n2"},
		{"n[1-4] & n[3-9]", "n3 n4"},
		{"n[1-4]^n[3-6]", "n1 n2 n5 n6"},
		{"n[1-3]:80!n2", "n1:80 n3:80"},
		{"n[1-3]:80!n2:81", "n1:80 n2:80 n3:80"},
		{"http://n[1-2]/x !http://n1", "http://n2/x"},
		{"10.0.0.0/29!10.0.0.4/30", "10.0.0.1 10.0.0.2 10.0.0.3"},
		{"10.0.0.0/29!10.0.0.3-10.0.0.5", "10.0.0.1 10.0.0.2 10.0.0.6"},
	}
	for _, tt := range tests {
		got := strings.Join(ids(t, freeze(t, inventory.Query{Sets: []string{tt.set}})), " ")
		if got != tt.want {
			t.Errorf("%q:\n got %s\nwant %s", tt.set, got, tt.want)
		}
	}
}

func TestSetErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		set    string
		column int
		want   string
	}{
		{"web[1-", 4, "bracket not closed"},
		{"a,web[1-3]x[4,9-8]", 15, "backwards"},
		{"web]", 1, "cannot be in it"},
		{"web[1-2]]", 9, "closes nothing"},
		{"web[a-b]", 5, "want numbers"},
		{"web[]", 5, "want numbers"},
		{"web[01-100]", 5, "same width"},
		{"web[1-9/0]", 5, "step"},
		{"a..b", 1, "empty between two dots"},
		{"-web", 1, "hyphen"},
		{"we$b", 1, "cannot be in it"},
		{"10.0.0.256", 1, "neither a name nor an IPv4 address"},
		{"10.0.0.[250-256]", 1, "0 to 255"},
		{"10.0.0.[01-02]", 1, "leading zeros"},
		{"10.0.0.0/33", 1, "no prefix"},
		{"10.0.0.1-50", 1, "10.0.0.[1-50]"},
		{"10.0.0.9-10.0.0.1", 1, "backwards"},
		{"10.0.0.1-::1", 1, "one family"},
		{"2001:db8::/64", 1, "smaller range"},
		{"n[1-9999999]x[1-9999999]", 1, "smaller range"},
		{"n[1-9999999][1-9999999]", 13, "pieces"},
		{"n[1-99999999999999999999]", 3, "want numbers"},
		{"a,web1:99999", 8, "1 to 65535"},
		{"web1:", 6, "nothing follows the colon"},
		{"web1:0", 6, "1 to 65535"},
		{"https://", 9, "host is missing"},
		{"https:///x", 9, "host is missing"},
		{"://x", 1, "scheme"},
		{"https://u:p@h/", 9, "credentials"},
		{"http://h/%zz", 9, "%25"},
		{"[::1]x", 6, "follows the host"},
		{"10.0.0.0/16/8", 12, "length of a prefix"},
		{"a&!b", 3, "follows"},
		{"!b", 1, "nothing before"},
		{"a,b!", 5, "nothing follows"},
		{"a @", 3, "name of a group"},
		{"a @web", 3, "no groups are configured"},
		{"a web*", 3, "no groups are configured"},
		{"@last:broken", 1, "want all, not_ok, ok"},
		{"@last", 1, "no store"},
		{"@last:reason='x", 1, "quote not closed"},
	}
	for _, tt := range tests {
		_, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{tt.set}})
		se, ok := errors.AsType[*inventory.SyntaxError](err)
		if !ok {
			t.Errorf("%q: error %v, want a SyntaxError", tt.set, err)
			continue
		}
		if se.Offset+1 != tt.column || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v\nwant column %d and %q", tt.set, err, tt.column, tt.want)
		}
		if muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%q: kind %v", tt.set, muster.KindOf(err))
		}
	}
}

func TestTargetFields(t *testing.T) {
	t.Parallel()
	f := freeze(t, inventory.Query{
		Sets: []string{"https://web1/x?y 10.0.0.1 [::1]:443 web1:81 http://h 10.[1-2].[0-9].[0-9]:80"}, Scheme: "https", Port: 8443,
	})
	want := []string{
		"https://web1/x?y https web1 invalid IP 443 /x?y",
		"https://10.0.0.1:8443/ https 10.0.0.1 10.0.0.1 8443 /",
		"https://[::1]/ https ::1 ::1 443 /",
		"https://web1:81/ https web1 invalid IP 81 /",
		"http://h/ http h invalid IP 80 /",
		"https://10.1.0.0:80/ https 10.1.0.0 10.1.0.0 80 /",
	}
	for i, want := range want {
		x, err := f.At(i)
		if got := fmt.Sprintf("%s %s %s %v %d %s", x.ID, x.Scheme, x.Host, x.Addr, x.Port, x.Path); got != want || err != nil {
			t.Errorf("target %d: %s, %v\nwant %s", i, got, err, want)
		}
	}
}

// groups is a Resolver over a map from "source:name" or "name" to a text.
type groups map[string]string

func (g groups) Group(_ context.Context, source, name string) (string, error) {
	if source != "" {
		name = source + ":" + name
	}
	text, ok := g[name]
	if !ok {
		return "", errors.New("no such group")
	}
	return text, nil
}

func (g groups) Groups(_ context.Context, source string) ([]string, error) {
	var names []string
	for name := range g {
		if s, n, ok := strings.Cut(name, ":"); ok && s == source {
			names = append(names, n)
		} else if !ok && source == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (g groups) All(context.Context, string) (string, error) { return "", errors.ErrUnsupported }

func TestGroups(t *testing.T) {
	t.Parallel()
	g := groups{
		"web": "web[1-3]:80,@canary", "canary": "c1", "loop": "@loop2", "loop2": "x,@loop",
		"rack1": "a1", "rack2": "a2", "src:x": "s1,@y", "src:y": "s2", "bad": "web[1-",
	}
	good := groups{"web": g["web"], "canary": "c1", "rack1": "a1", "rack2": "a2"}
	tests := []struct {
		q    inventory.Query
		want string
	}{
		{inventory.Query{Sets: []string{"@web"}}, "web1:80=web web2:80=web web3:80=web c1=web,canary"},
		{inventory.Query{Sets: []string{"z,@web!web2,@rack[1-2]"}}, "z= web1:80=web web3:80=web c1=web,canary a1=rack1 a2=rack2"},
		{inventory.Query{Groups: []string{"canary", "rack1"}}, "c1=canary a1=rack1"},
		{inventory.Query{Sets: []string{"@src:x"}}, "s1=x s2=x,y"},
		{inventory.Query{Sets: []string{"@@src"}}, "x= y="},
		{inventory.Query{Sets: []string{"@*"}, Resolver: good}, "c1=canary a1=rack1 a2=rack2 web1:80=web web2:80=web web3:80=web"},
		{inventory.Query{Sets: []string{"web?,a*1:22"}, Resolver: good}, "web1:80=web web2:80=web web3:80=web a1:22=rack1"},
		{inventory.Query{Sets: []string{"@web"}, Selector: "group=canary"}, "c1=web,canary"},
		{inventory.Query{Sets: []string{"@web,q"}, Exclude: []string{"@canary web3"}}, "web1:80=web web2:80=web q="},
	}
	for _, tt := range tests {
		if tt.q.Resolver == nil {
			tt.q.Resolver = g
		}
		var got []string
		for x := range freeze(t, tt.q).All() {
			got = append(got, x.ID+"="+x.Labels["group"])
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt.q, strings.Join(got, " "), tt.want)
		}
	}
	for set, want := range map[string]string{
		"@loop": "@loop leads back to itself", "@none": "@none: no such group", "@bad": `group @bad "web[1-": column 4`,
	} {
		_, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{set}, Resolver: g})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", set, err, want)
		}
	}
	_, err := inventory.Freeze(t.Context(), inventory.Query{Groups: []string{"none"}, Resolver: g})
	if err == nil || !strings.Contains(err.Error(), "@none: no such group") {
		t.Errorf("-g none: error %v", err)
	}
}

func TestStoredRuns(t *testing.T) {
	t.Parallel()
	old := freeze(t, inventory.Query{Hostfiles: []hostfile.Reader{{
		Path: write(t, "f.csv", "id,address,rack\ngw,10.0.0.1:80,r1\n,web2,r2\n,web 3 :,r3\n"),
	}}})
	var asked string
	runs := func(_ context.Context, run, what string) (muster.List, iter.Seq[int], error) {
		asked = run + "|" + what
		if run == "last~9" {
			return nil, nil, errors.New("there are only 3 runs")
		}
		return old, slices.Values([]int{0, 1, 2}), nil
	}
	f, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{`@last:reason="status 503, twice"!web2`}, Runs: runs})
	if err != nil {
		t.Fatal(err)
	}
	if asked != "last|reason=status 503, twice" {
		t.Errorf("asked for %s", asked)
	}
	first, err := f.At(0)
	if first.ID != "gw" || first.Host != "10.0.0.1" || first.Port != 80 || first.Labels["rack"] != "r1" || err != nil {
		t.Errorf("target 0 is %+v, %v", first, err)
	}
	if _, err := f.At(1); f.Len() != 2 || err == nil {
		t.Errorf("%d targets, the second without its defect", f.Len())
	}
	for set, want := range map[string]string{"@261120-183441-k3fz:refused": "261120-183441-k3fz|refused", "@last": "last|all", "@last~2:ok": "last~2|ok", "@last:not_ok": "last|not_ok"} {
		freeze(t, inventory.Query{Sets: []string{set}, Runs: runs})
		if asked != want {
			t.Errorf("%s asked for %s, want %s", set, asked, want)
		}
	}
	if _, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{"@last~9"}, Runs: runs}); err == nil || !strings.Contains(err.Error(), "only 3 runs") {
		t.Errorf("error %v", err)
	}
}

// Sets of a stored run are taken as they are: no blank, comma or bracket of a reason names a target.
func TestStored(t *testing.T) {
	t.Parallel()
	old := freeze(t, inventory.Query{Sets: []string{"web[1-4]"}})
	var asked []string
	runs := func(_ context.Context, run, what string) (muster.List, iter.Seq[int], error) {
		asked = append(asked, run+"|"+what)
		if what == "failed" {
			return old, slices.Values([]int{0, 3}), nil
		}
		return old, slices.Values([]int{0, 2}), nil
	}
	reason := `reason=status 503, "web[9]" and @all!db1 '`
	f, err := inventory.Freeze(t.Context(), inventory.Query{Stored: []inventory.Stored{{Run: "last", What: []string{"failed", reason}}}, Runs: runs})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var ids []string
	for i := range f.Len() {
		target, _ := f.At(i)
		ids = append(ids, target.ID)
	}
	if want := []string{"web1", "web3", "web4"}; !slices.Equal(ids, want) || f.Duplicates() != 0 {
		t.Errorf("targets %q, want %q; %d duplicates", ids, want, f.Duplicates())
	}
	if want := []string{"last|failed", "last|" + reason}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if got, want := f.Describe(), `@last:failed,@last:reason="status 503, \"web[9]\" and @all!db1 '"`; got != want {
		t.Errorf("described as %s, want %s", got, want)
	}
	for _, what := range []string{"", "reason=", "faild", "none"} {
		s := inventory.Stored{Run: "last", What: []string{what}}
		if _, err := inventory.Freeze(t.Context(), inventory.Query{Stored: []inventory.Stored{s}, Runs: runs}); muster.KindOf(err) != muster.KindInvalid {
			t.Errorf("%q: error %v", what, err)
		}
	}
}

// No message, id or description repeats a password, however it is spelled.
func TestPasswordsStayOut(t *testing.T) {
	t.Parallel()
	for _, set := range []string{
		"http://user:hunter2@web1/", "web9,http://user:hunter2@web1", "http://user:hunter2,x@web1", "http://user:hunter2!x@web1",
		"http://user:9[hunter2@web1", "http://user:hunter2@x@web1", "user:hunter2@web1", "a!user:hunter2@web1", "https://hunter2@web1",
	} {
		_, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{set}})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a user or password cannot be part of a target") {
			t.Errorf("%s: error %v", set, err)
		}
		f, err := inventory.Freeze(t.Context(), inventory.Query{Hostfiles: []hostfile.Reader{{Path: write(t, "hosts.csv", "address,x\n\""+set+"\",1\n")}}})
		if err != nil {
			t.Fatal(err)
		}
		target, err := f.At(0)
		if err == nil || strings.Contains(err.Error()+target.ID, "hunter2") {
			t.Errorf("row %s: target %q, error %v", set, target.ID, err)
		}
		f.Close()
	}
	for _, set := range []string{"web1:80,http://web[1-9", "http://web1/a@b web[2", `http://web1,@all:x ,10.0.0.0/99`} {
		_, err := inventory.Freeze(t.Context(), inventory.Query{Sets: []string{set}})
		if err == nil || !strings.Contains(err.Error(), set) {
			t.Errorf("%s: the error does not show it: %v", set, err)
		}
	}
}
