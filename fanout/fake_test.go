package fanout

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// hosts is a list of n targets h0, h1, …; odd says what is special about some.
type hosts struct {
	n   int
	odd func(t *muster.Target) error
}

func (h hosts) Len() int { return h.n }

func (h hosts) At(i int) (muster.Target, error) {
	t := muster.Target{Index: i, ID: fmt.Sprintf("h%d", i), Host: fmt.Sprintf("h%d", i)}
	if h.odd != nil {
		if err := h.odd(&t); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (h hosts) Hash() [32]byte { return sha256.Sum256(fmt.Append(nil, h.n)) }

var errRow = errors.New("no address in this row")

func okResult() muster.Result { return muster.Result{Outcome: muster.OK, Status: "200 OK", Code: 200} }

func refused() muster.Result {
	return muster.Result{Transient: true}.Fail(muster.FailRefused, "refused")
}

// collect runs and returns the results by index, having checked that there is exactly one of each.
func collect(t *testing.T, e *Engine, l muster.List, p muster.Prober) []muster.Result {
	t.Helper()
	got := slices.Collect(e.Run(t.Context(), l, p))
	return byIndex(t, got, l.Len())
}

func byIndex(t *testing.T, got []muster.Result, n int) []muster.Result {
	t.Helper()
	rs := make([]muster.Result, n)
	seen := make([]bool, n)
	for _, r := range got {
		if seen[r.Index] {
			t.Errorf("target %d has two results", r.Index)
		}
		if r.Outcome == 0 {
			t.Errorf("target %d has no outcome", r.Index)
		}
		seen[r.Index], rs[r.Index] = true, r
	}
	if i := slices.Index(seen, false); i >= 0 {
		t.Errorf("target %d of %d has no result", i, n)
	}
	return rs
}

func ledgerOf(rs []muster.Result) muster.Ledger {
	l := muster.Ledger{Targets: len(rs)}
	for i := range rs {
		l.Add(&rs[i])
	}
	return l
}

const second = muster.Duration(time.Second)
