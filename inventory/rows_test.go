package inventory_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
	"pgregory.net/rapid"
)

// stdin is a host file that reads text.
func stdin(format, text string) hostfile.Reader {
	return hostfile.Reader{Path: "-", Format: format, Stdin: strings.NewReader(text)}
}

// show writes a list as "id labels vars off error" a line.
func show(f *inventory.Frozen) []string {
	var got []string
	for x, err := range f.All() {
		var s strings.Builder
		s.WriteString(x.ID)
		for _, m := range []map[string]string{x.Labels, x.Vars} {
			for _, k := range slices.Sorted(maps.Keys(m)) {
				s.WriteString(" " + k + "=" + m[k])
			}
			s.WriteString(";")
		}
		if x.Off {
			s.WriteString(" off")
		}
		if err != nil {
			s.WriteString(" " + err.Error())
		}
		got = append(got, s.String())
	}
	return got
}

func TestHostfileRows(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		q    inventory.Query
		want []string
	}{
		{
			"lines",
			inventory.Query{Hostfiles: []hostfile.Reader{stdin("lines", "web[1-2] # two\nweb2\nweb 3$\n10.0.0.0/30:80\n")}},
			[]string{"web1;;", "web2;;", `web 3$;; standard input:3: targets "web 3$": column 5: host name "3$": '$' cannot be in it`, "10.0.0.1:80;;", "10.0.0.2:80;;"},
		},
		{
			"csv",
			inventory.Query{Hostfiles: []hostfile.Reader{stdin("csv",
				"id,address,group,off,rack\ngw,10.0.0.1,net,,r1\n,web[1-2],web;db,,r2\n,web3,,yes,\ngw,10.0.0.9,,,\ngw,10.0.0.1,,,r9\nmany,web[4-5],,,\n")}},
			[]string{
				"gw group=net rack=r1; rack=r1;",
				"web1 group=web,db rack=r2; rack=r2;", "web2 group=web,db rack=r2; rack=r2;", "web3;; off",
				`gw;; the id "gw" is taken by another address: give each row an id of its own`,
				`many;; the id "many" stands for several targets: leave it out, or name one address`,
			},
		},
		{
			"a set and a file",
			inventory.Query{Sets: []string{"web[1-100]"}, Hostfiles: []hostfile.Reader{stdin("csv", "address,rack\nweb7,r1\nweb101,r1\n")}, Exclude: []string{"web[1-99]"}},
			[]string{"web100;;", "web101 rack=r1; rack=r1;"},
		},
		{
			"groups of the file, and one of the resolver",
			inventory.Query{
				Hostfiles: []hostfile.Reader{stdin("csv", "address,group\na,web\nb,db\nc,web db\n")}, Groups: []string{"web", "extra"},
				Resolver: groups{"extra": "x", "web": "wrong"},
			},
			[]string{"a group=web;;", "c group=web,db;;", "x group=extra;;"},
		},
		{
			"excluded by id, selected by label",
			inventory.Query{Hostfiles: []hostfile.Reader{stdin("csv", "id,address,rack\ngw1,10.0.0.1,r1\ngw2,10.0.0.2,r1\ngw3,10.0.0.3,r2\n")}, Exclude: []string{"gw2"}, Selector: "rack=r1"},
			[]string{"gw1 rack=r1; rack=r1;"},
		},
		{
			"an id that is another target's address",
			inventory.Query{Sets: []string{"10.0.0.[1-2],10.1.0.[1-200]"}, Hostfiles: []hostfile.Reader{stdin("csv", "id,address\n10.0.0.1,a\n10.1.0.7,b\n10.1.0.8,10.1.0.8\n")}, Exclude: []string{"10.1.0.[1-6],10.1.0.[8-200]"}},
			[]string{
				"10.0.0.1;;", "10.0.0.2;;", "10.1.0.7;;",
				`10.0.0.1;; the id "10.0.0.1" is taken by another address: give each row an id of its own`,
				`10.1.0.7;; the id "10.1.0.7" is taken by another address: give each row an id of its own`,
			},
		},
		{
			"groups in a row",
			inventory.Query{Hostfiles: []hostfile.Reader{stdin("lines", "@web!web2\n")}, Resolver: groups{"web": "web[1-3]"}},
			[]string{"web1 group=web;;", "web3 group=web;;"},
		},
	}
	for _, tt := range tests {
		got := show(freeze(t, tt.q))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, strings.Join(got, "\n     "), strings.Join(tt.want, "\n     "))
		}
	}
}

func TestDefects(t *testing.T) {
	t.Parallel()
	f := freeze(t, inventory.Query{Hostfiles: []hostfile.Reader{stdin("lines", "ok\n"+strings.Repeat("b$d\n", 12))}})
	n, first := f.Defects()
	if n != 12 || len(first) != 10 || !strings.Contains(first[9].Error(), "standard input:11: ") {
		t.Errorf("%d defects, the first %v", n, first)
	}
	if f.Len() != 13 {
		t.Errorf("%d targets, want 13", f.Len())
	}
}

func TestEach(t *testing.T) {
	t.Parallel()
	each := stdin("csv", "id,user,NA\na,ann,\n,bob,x\na,ann,\n")
	f := freeze(t, inventory.Query{Sets: []string{"https://api.example/x"}, Each: &each})
	got := strings.Join(show(f), "|")
	want := "https://api.example/x#a; id=a user=ann;|https://api.example/x#2; user=bob; off|https://api.example/x#a; id=a user=ann;"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if f.Distinct() || !f.FewHosts() || f.Duplicates() != 0 {
		t.Errorf("distinct %v, few hosts %v, duplicates %d", f.Distinct(), f.FewHosts(), f.Duplicates())
	}
	if x, _ := f.At(1); x.Host != "api.example" || x.Port != 443 || x.Path != "/x" || x.Index != 1 {
		t.Errorf("target 1 is %+v", x)
	}
	each = stdin("jsonl", `{"user":"ann"}`)
	f = freeze(t, inventory.Query{Base: "10.0.0.1:80", Each: &each, Selector: "id=~.*#1"})
	if got := show(f); len(got) != 1 || got[0] != "10.0.0.1:80#1; user=ann;" {
		t.Errorf("with a base: %q", got)
	}
	for _, q := range []inventory.Query{{Each: &each}, {Each: &each, Sets: []string{"web[1-2]"}}} {
		if _, err := inventory.Freeze(t.Context(), q); err == nil || !strings.Contains(err.Error(), "--each") {
			t.Errorf("%q: error %v", q.Sets, err)
		}
	}
}

func TestNothingLeft(t *testing.T) {
	t.Parallel()
	csv := func() []hostfile.Reader { return []hostfile.Reader{stdin("csv", "address,group\na,web\nb,db\n")} }
	tests := []struct {
		q    inventory.Query
		want string
	}{
		{inventory.Query{}, "name some with -w, -g or --hostfile"},
		{inventory.Query{Sets: []string{""}}, "no targets"},
		{inventory.Query{Hostfiles: []hostfile.Reader{stdin("lines", "# none\n")}}, "hosts of standard input has none"},
		{inventory.Query{Sets: []string{"a,b"}, Exclude: []string{"a b"}}, "a,b gave 2 and -x took all of them"},
		{inventory.Query{Sets: []string{"a,b"}, Selector: "rack"}, `gave 2 and -l "rack" matches none`},
		{inventory.Query{Sets: []string{"a[1-99]"}, Selector: "rack"}, `gave 99 and -l "rack" matches none`},
		{inventory.Query{Sets: []string{"a,b"}, Exclude: []string{"a"}, Selector: "rack"}, "-x took 1 and"},
		{inventory.Query{Sets: []string{"a[1-9]"}, Limit: muster.Size{Percent: 1}}, "1% of 9 is none"},
		{inventory.Query{Hostfiles: csv(), Groups: []string{"app"}}, "none of its 2 rows is in group app"},
		{inventory.Query{Hostfiles: []hostfile.Reader{{Path: "/nonexistent/hosts"}}}, "/nonexistent/hosts"},
		{inventory.Query{Sets: []string{"a"}, Selector: "=", Exclude: []string{"b["}}, "selector"},
		{inventory.Query{Sets: []string{"a"}, Scheme: "a b"}, "scheme"},
		{inventory.Query{Sets: []string{"a"}, Groups: []string{""}}, "-g"},
	}
	for _, tt := range tests {
		_, err := inventory.Freeze(t.Context(), tt.q)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v:\n got %v\nwant %q in it", tt.q, err, tt.want)
		}
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	all := ids(t, freeze(t, inventory.Query{Sets: []string{"a[1-900],b"}}))
	sample := func(limit string, seed uint64) []string {
		size, err := muster.ParseSize(limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids(t, freeze(t, inventory.Query{Sets: []string{"a[1-900],b"}, Limit: size, Seed: seed}))
	}
	ten := sample("10", 7)
	if len(ten) != 10 || !slices.Equal(ten, sample("10", 7)) || slices.Equal(ten, sample("10", 8)) {
		t.Errorf("sample of 10: %v", ten)
	}
	at := -1
	for _, id := range ten {
		next := slices.Index(all, id)
		if next <= at {
			t.Errorf("%s is out of order", id)
		}
		at = next
	}
	if n := len(sample("10%", 0)); n != 90 {
		t.Errorf("10%% are %d", n)
	}
	if !slices.Equal(sample("2000", 3), all) {
		t.Error("a limit above the number of targets is not all of them")
	}
	// A smaller sample is part of a larger one, so that a fleet can be widened step by step.
	for _, id := range sample("5", 7) {
		if !slices.Contains(ten, id) {
			t.Errorf("%s is among 5 and not among 10", id)
		}
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	queries := []inventory.Query{
		{Sets: []string{"a,b"}},
		{Sets: []string{"b,a"}},
		{Sets: []string{"a"}},
		{Sets: []string{"a:80,b"}},
		{Sets: []string{"10.0.0.0/16"}},
		{Sets: []string{"10.0.0.0/16:80"}},
		{Sets: []string{"10.0.0.0/16 !10.0.3.4"}},
		{Sets: []string{"10.0.0.0/16"}, Limit: muster.Size{N: 5}},
		{Sets: []string{"10.0.0.0/16"}, Limit: muster.Size{N: 5}, Seed: 1},
		{Sets: []string{"@g"}, Resolver: groups{"g": "10.0.0.0/16"}},
		{Sets: []string{"@g"}, Resolver: groups{"g": "a,b"}},
		{Sets: []string{"a,10.0.0.0/16,b"}},
		{Sets: []string{"a,b,10.0.0.0/16"}},
		{Sets: []string{"10.0.0.0/16,a,b"}},
	}
	texts := []string{
		"address,rack\na,r1\nb,r1\n", "address,rack\na,r1\nb,r2\n", "address,rackx\na,r1\nb,r1\n", "id,address\nx,a\n,b\n",
		"address,off\na,yes\nb,\n", "address\na$\nb\n",
	}
	seen := map[[32]byte]string{}
	note := func(name string, make func() inventory.Query) {
		h := freeze(t, make()).Hash()
		if freeze(t, make()).Hash() != h {
			t.Errorf("%s has two hashes", name)
		}
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[h] = name
	}
	for _, q := range queries {
		note(fmt.Sprintf("%q %v %d", q.Sets, q.Limit, q.Seed), func() inventory.Query { return q })
	}
	for _, text := range texts {
		note(text, func() inventory.Query { return inventory.Query{Hostfiles: []hostfile.Reader{stdin("csv", text)}} })
	}
}

func TestHintsAndDescription(t *testing.T) {
	t.Parallel()
	f := freeze(t, inventory.Query{Sets: []string{"127.0.0.1:[8001-8050]"}})
	if f.Distinct() || !f.FewHosts() {
		t.Errorf("one host: distinct %v, few %v", f.Distinct(), f.FewHosts())
	}
	f = freeze(t, inventory.Query{Sets: []string{"127.1.[0-9].[1-200]:80,a:80"}, Exclude: []string{"127.1.0.1"}, Limit: muster.Size{Percent: 50}, Seed: 3})
	if !f.Distinct() || f.FewHosts() {
		t.Errorf("many hosts: distinct %v, few %v", f.Distinct(), f.FewHosts())
	}
	if want := "127.1.[0-9].[1-200]:80,a:80, without 127.1.0.1, a sample of 50% (seed 3)"; f.Describe() != want {
		t.Errorf("described as %q", f.Describe())
	}
	r := hostfile.Reader{
		Path: "https://user:pw@cms.example/q?token=s3cret", Format: "lines",
		Fetch: func(context.Context, string, http.Header) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("a\n")), nil
		},
	}
	f = freeze(t, inventory.Query{Hostfiles: []hostfile.Reader{r}, Groups: nil, Selector: "host=a"})
	if want := `hosts of https://cms.example/q, where host=a`; f.Describe() != want {
		t.Errorf("described as %q", f.Describe())
	}
}

func TestSpooledRowsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("abcXYZ019_-")), 1, 12, -1)
		n := rapid.IntRange(1, 200).Draw(t, "n")
		var csv strings.Builder
		csv.WriteString("id,address,group,k1,k2\n")
		var want []string
		for i := range n {
			id, k1 := "", rapid.SampledFrom([]string{"", "same", "other"}).Draw(t, "k1")
			if rapid.Bool().Draw(t, "has id") {
				id = fmt.Sprintf("id%d-%s", i, text.Draw(t, "id"))
			}
			address := rapid.SampledFrom([]string{"http://h%d/p?q", "10.1.0.%d:80", "[2001:db8::%d]:1", "2001:db8::%d", "h%d.x", "tcp://h%d:7"}).Draw(t, "form")
			address = fmt.Sprintf(address, i+1)
			k2 := text.Draw(t, "k2")
			fmt.Fprintf(&csv, "%s,%s,,%s,%s\n", id, address, k1, k2)
			line := address
			if id != "" {
				line = id
			}
			labels := " k2=" + k2 + ";"
			if k1 != "" {
				labels = " k1=" + k1 + labels
			}
			want = append(want, line+labels+labels)
		}
		f, err := inventory.Freeze(context.Background(), inventory.Query{Hostfiles: []hostfile.Reader{stdin("csv", csv.String())}})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := show(f); !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}
