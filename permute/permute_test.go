package permute_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/musterhq/muster/permute"
	"pgregory.net/rapid"
)

func TestEverySmallSizeIsABijection(t *testing.T) {
	t.Parallel()
	step := 1
	if testing.Short() {
		step = 37
	}
	for n := 0; n <= 5000; n += step {
		p := permute.New(n, uint64(n)*3+1)
		if p.Len() != n {
			t.Fatalf("Len = %d, want %d", p.Len(), n)
		}
		seen := make([]bool, n)
		for i := range n {
			v := p.At(i)
			if v < 0 || v >= n || seen[v] {
				t.Fatalf("n=%d: At(%d) = %d is out of range or taken", n, i, v)
			}
			seen[v] = true
			if j := p.Index(v); j != i {
				t.Fatalf("n=%d: Index(At(%d)) = %d", n, i, j)
			}
		}
	}
}

func TestBigSizesInvert(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, math.MaxInt).Draw(t, "n")
		p := permute.New(n, rapid.Uint64().Draw(t, "seed"))
		i := rapid.IntRange(0, n-1).Draw(t, "i")
		v := p.At(i)
		if v < 0 || v >= n {
			t.Fatalf("At(%d) = %d of %d", i, v, n)
		}
		if j := p.Index(v); j != i {
			t.Fatalf("Index(At(%d)) = %d", i, j)
		}
	})
}

func TestNeighboursAreSpread(t *testing.T) {
	t.Parallel()
	// The first 256 places of /16-sized fleets should visit about 256*(1-1/e) of its 256
	// subnets: 162. Far fewer would hammer one subnet.
	for seed := range uint64(50) {
		p := permute.New(1<<16, seed)
		subnets := map[int]bool{}
		for i := range 256 {
			subnets[p.At(i)>>8] = true
		}
		if len(subnets) < 130 || len(subnets) > 195 {
			t.Errorf("seed %d: 256 places visit %d subnets, want about 162", seed, len(subnets))
		}
	}
}

func TestSamplesAreFair(t *testing.T) {
	t.Parallel()
	// Each of 10 numbers should be first in about a tenth of the seeds. 5 standard
	// deviations of the binomial distribution are 5*sqrt(20000*0.1*0.9) = 212.
	const n, seeds = 10, 20000
	var first [n]int
	for seed := range uint64(seeds) {
		first[permute.New(n, seed).At(0)]++
	}
	for v, count := range first {
		if math.Abs(float64(count)-seeds/n) > 212 {
			t.Errorf("%d is first %d times, want about %d", v, count, seeds/n)
		}
	}
}

func TestOrderIsPinned(t *testing.T) {
	t.Parallel()
	// A stored job's shuffle and sample must come out the same after an upgrade.
	p := permute.New(10, 42)
	var got []int
	for i := range 10 {
		got = append(got, p.At(i))
	}
	if want := "[2 7 4 0 8 3 6 9 5 1]"; fmt.Sprint(got) != want {
		t.Errorf("order = %v, want %s", got, want)
	}
}

func TestOutOfRangePanics(t *testing.T) {
	t.Parallel()
	for _, i := range []int{-1, 3} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("At(%d) of 3 did not panic", i)
				}
			}()
			permute.New(3, 0).At(i)
		}()
	}
}

func BenchmarkAt(b *testing.B) {
	p := permute.New(1_000_000, 7)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.At(i % 1_000_000)
		i++
	}
}

func ExampleNew() {
	p := permute.New(5, 1)
	seen := 0
	for i := range p.Len() {
		seen += p.At(i)
	}
	fmt.Println(seen, p.Index(p.At(3)))
	// Output: 10 3
}
