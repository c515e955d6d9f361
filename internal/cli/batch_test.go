package cli

import (
	"errors"
	"testing"

	"github.com/musterhq/muster"
)

// An export holds no more than some megabytes, however large bodies are, and loses nothing.
func TestBatchesAreBounded(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, c := range []struct {
		name          string
		results, body int
		err           error
		batches, most int
	}{
		{"none", 0, 0, nil, 0, 0},
		{"small", 1001, 10, nil, 3, 500},
		{"large", 100, 1 << 20, nil, 25, 4},
		{"huge", 3, 16 << 20, nil, 3, 1},
		{"error", 700, 10, broken, 1, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := make([]byte, c.body)
			batches, next := 0, 0
			var failed error
			for batch, err := range inBatches(func(yield func(muster.Result, error) bool) {
				for i := range c.results {
					if !yield(muster.Result{Index: i, Body: body}, nil) {
						return
					}
				}
				if c.err != nil {
					yield(muster.Result{}, c.err)
				}
			}) {
				if err != nil {
					failed = err
					continue
				}
				batches++
				if len(batch) > c.most {
					t.Errorf("a batch of %d, want %d at most", len(batch), c.most)
				}
				for _, r := range batch {
					if r.Index != next {
						t.Fatalf("result %d, want %d", r.Index, next)
					}
					next++
				}
			}
			if batches != c.batches || failed != c.err || c.err == nil && next != c.results {
				t.Errorf("%d results in %d batches, error %v", next, batches, failed)
			}
		})
	}
}
