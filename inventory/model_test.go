package inventory_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/musterhq/muster/inventory"
	"pgregory.net/rapid"
)

// member is one target of the model: its id, its host, and what else its term says.
type member struct {
	id, host, port string
	bare           bool // an address that a trimmed prefix has only as an operand of ! and &
}

// drawn is a term as text and as members.
type drawn struct {
	text    string
	members []member
}

// drawTerm draws a term out of few hosts, so that terms overlap.
func drawTerm(t *rapid.T) drawn {
	port := rapid.SampledFrom([]string{"", "", ":80", ":81"}).Draw(t, "port")
	var d drawn
	add := func(host string, bare bool) {
		d.members = append(d.members, member{host + port, host, port, bare})
	}
	from := rapid.IntRange(0, 400).Draw(t, "from")
	to := from + rapid.SampledFrom([]int{0, 1, 5, 70, 300}).Draw(t, "length")
	net := rapid.IntRange(0, 1).Draw(t, "net")
	address := func(n int) string { return fmt.Sprintf("10.%d.%d.%d", net, n>>8, n&255) }
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		d.text = fmt.Sprintf("web[%d-%d]", from, to)
		for n := from; n <= to; n++ {
			add(fmt.Sprintf("web%d", n), false)
		}
	case 1:
		step := rapid.IntRange(1, 7).Draw(t, "step")
		d.text = fmt.Sprintf("web[%03d-%03d/%d]", from, to, step)
		for n := from; n <= to; n += step {
			add(fmt.Sprintf("web%03d", n), false)
		}
	case 2:
		d.text = address(from) + "-" + address(to)
		for n := from; n <= to; n++ {
			add(address(n), false)
		}
	case 3:
		bits := rapid.IntRange(22, 32).Draw(t, "bits")
		p, _ := netip.AddrFrom4([4]byte{10, byte(net), byte(from >> 8), byte(from)}).Prefix(bits)
		d.text = p.String()
		first := from &^ (1<<(32-bits) - 1)
		last := first + 1<<(32-bits) - 1
		for n := first; n <= last; n++ {
			add(address(n), bits < 31 && (n == first || n == last))
		}
	case 4:
		a, b := from%4, from%256
		d.text = fmt.Sprintf("10.[0-%d].[0-%d].[%d-%d]", net, a, b, min(b+90, 255))
		for i := range (net + 1) * (a + 1) {
			for k := b; k <= min(b+90, 255); k++ {
				add(fmt.Sprintf("10.%d.%d.%d", i/(a+1), i%(a+1), k), false)
			}
		}
	case 5:
		d.text = fmt.Sprintf("web%d[%d-9]", from%40, to%10)
		for n := to % 10; n <= 9; n++ {
			add(fmt.Sprintf("web%d%d", from%40, n), false)
		}
	default:
		d.text = fmt.Sprintf("web%d", from)
		add(d.text, false)
	}
	d.text += port
	return d
}

// matches reports whether the operand says nothing against m.
func (d drawn) matches(m member) bool {
	return slices.ContainsFunc(d.members, func(o member) bool { return o.host == m.host && (o.port == "" || o.port == m.port) })
}

func anyMatches(ds []drawn, m member) bool {
	return slices.ContainsFunc(ds, func(d drawn) bool { return d.matches(m) })
}

func filter(ms []member, keep func(member) bool) []member {
	return slices.DeleteFunc(slices.Clone(ms), func(m member) bool { return !keep(m) })
}

// drawSet draws an expression and the members it lists, repetitions included.
func drawSet(t *rapid.T) (string, []member) {
	first := drawTerm(t)
	text, list := first.text, slices.Clone(first.members)
	operators := []string{",", ",", " ", "!", "&", "^"}
	for range rapid.IntRange(0, 4).Draw(t, "terms") {
		op, d := rapid.SampledFrom(operators).Draw(t, "operator"), drawTerm(t)
		text += op + d.text
		switch op {
		case "!":
			list = filter(list, func(m member) bool { return !d.matches(m) })
		case "&":
			list = filter(list, d.matches)
		case "^":
			left := drawn{members: list}
			list = append(filter(list, func(m member) bool { return !d.matches(m) }),
				filter(d.members, func(m member) bool { return !left.matches(m) })...)
		default:
			list = append(slices.Clip(list), d.members...)
		}
	}
	return text, filter(list, func(m member) bool { return !m.bare })
}

func TestSetsAgreeWithAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q inventory.Query
		var list []member
		for range rapid.IntRange(1, 3).Draw(t, "sets") {
			text, members := drawSet(t)
			q.Sets, list = append(q.Sets, text), append(list, members...)
		}
		var excluded []drawn
		for range rapid.IntRange(0, 2).Draw(t, "excludes") {
			d := drawTerm(t)
			q.Exclude, excluded = append(q.Exclude, d.text), append(excluded, d)
		}
		list = filter(list, func(m member) bool { return !anyMatches(excluded, m) })
		seen := map[string]bool{}
		var want []string
		hosts := map[string]bool{}
		for _, m := range list {
			if !seen[m.id] {
				want = append(want, m.id)
				hosts[m.host] = true
			}
			seen[m.id] = true
		}
		f, err := inventory.Freeze(t.Context(), q)
		if len(want) == 0 {
			if err == nil || !strings.Contains(err.Error(), "no targets") {
				t.Fatalf("%v gives %v, want an error that it is empty", q, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%v: %v", q, err)
		}
		defer f.Close()
		var got []string
		for x, err := range f.All() {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, x.ID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q without %q:\n got %d %v\nwant %d %v", q.Sets, q.Exclude, len(got), got, len(want), want)
		}
		if d := len(list) - len(want); f.Duplicates() != d {
			t.Fatalf("%q without %q: %d duplicates, want %d", q.Sets, q.Exclude, f.Duplicates(), d)
		}
		if f.Distinct() && len(hosts) != len(want) {
			t.Fatalf("%q: said to be distinct with %d hosts of %d targets", q.Sets, len(hosts), len(want))
		}
	})
}
