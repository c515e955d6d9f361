package extract

import (
	"testing"

	"github.com/musterhq/muster"
)

func BenchmarkApply(b *testing.B) {
	for _, c := range []struct {
		name, expect string
		rules        []string
	}{
		{"nothing", "", nil},
		{"status", "status == 200", nil},
		{"regexp", "", []string{`v=re:"version":"([^"]+)"`}},
		{"jsonpath", "", []string{"v=$.version"}},
		{"json", "json.version == vars.want", nil},
		{"all", "status == 200 && v == vars.want && any(json.list, # == 3)", []string{"v=$.version", "s=header:server"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			j, t, r := compile(b, c.expect, c.rules...), target(), answer()
			b.ReportAllocs()
			for b.Loop() {
				if j.Apply(t, &r); r.Outcome != muster.OK {
					b.Fatal(r.Reason)
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	p, err := ParseJSONPath("$.store.book[?@.price<10].title")
	if err != nil {
		b.Fatal(err)
	}
	doc := decode(b, bookstore)
	b.ReportAllocs()
	for b.Loop() {
		if nodes, err := p.Find(doc); err != nil || len(nodes) != 2 {
			b.Fatal(nodes, err)
		}
	}
}
