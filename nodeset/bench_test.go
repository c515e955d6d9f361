package nodeset

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func irregular(n int, name func(r *rand.Rand) string) []string {
	r := rand.New(rand.NewPCG(1, 2))
	names := make([]string, n)
	for i := range names {
		names[i] = name(r)
	}
	return names
}

func regular(n int, name func(i int) string) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = name(i)
	}
	return names
}

func address(i int) string {
	return fmt.Sprintf("127.%d.%d.%d:8080", 1+i/64000, i/250%256, 1+i%250)
}

func shuffled(names []string) []string {
	r := rand.New(rand.NewPCG(3, 4))
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// BenchmarkFold folds and writes: what a report of many hosts costs.
func BenchmarkFold(b *testing.B) {
	for name, names := range map[string][]string{
		"irregular1D-100k": irregular(100_000, func(r *rand.Rand) string { return fmt.Sprintf("web%d", r.IntN(1_000_000)) }),
		"irregular4D-100k": irregular(100_000, func(r *rand.Rand) string {
			return fmt.Sprintf("10.%d.%d.%d:8080", r.IntN(4), r.IntN(256), r.IntN(256))
		}),
		"irregular2D-100k": irregular(100_000, func(r *rand.Rand) string {
			return fmt.Sprintf("web%04d:%d", r.IntN(10_000), 8000+r.IntN(40))
		}),
		"hexadecimal-100k": irregular(100_000, func(r *rand.Rand) string {
			return fmt.Sprintf("i-%016x", r.Uint64())
		}),
		"addresses-1M":          regular(1_000_000, address),
		"addresses-1M-shuffled": shuffled(regular(1_000_000, address)),
		"padded-1M":             regular(1_000_000, func(i int) string { return fmt.Sprintf("web%06d", i) }),
		"padded-1M-shuffled":    shuffled(regular(1_000_000, func(i int) string { return fmt.Sprintf("web%06d", i) })),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var text string
			for b.Loop() {
				text = Fold(slices.Values(names)).String()
			}
			b.ReportMetric(float64(len(text)), "text-bytes")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"folded":         "web[001-500,600-900].example.com,127.1.[0-255].[1-250]:8080",
		"list-100k":      strings.Join(regular(100_000, address), ","),
		"rectangles-10k": strings.Join(regular(10_000, func(i int) string { return fmt.Sprintf("r%dn[1-%d]", i, 1+i*7919%97) }), ","),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAll yields a million names an operation.
func BenchmarkAll(b *testing.B) {
	s, err := Parse("127.[1-16].[0-249].[1-250]:8080")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range s.All() {
		}
	}
}

func BenchmarkAt(b *testing.B) {
	s, err := Parse("127.[1-16].[0-249].[1-250]:8080")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.At(i)
		i = (i + 7919) % s.Len()
	}
}

func BenchmarkUnion(b *testing.B) {
	s := New(irregular(100_000, func(r *rand.Rand) string { return fmt.Sprintf("web%d", 2*r.IntN(500_000)) })...)
	t := New(irregular(100_000, func(r *rand.Rand) string { return fmt.Sprintf("web%d", r.IntN(1_000_000)) })...)
	b.ReportAllocs()
	for b.Loop() {
		s.Union(t)
	}
}
