package inventory

import (
	"iter"
	"sort"

	"github.com/musterhq/muster"
)

// Frozen is a job's fixed list of targets. Ranges in it are computed, rows of
// files lie in an unlinked temporary file (in memory while they are small). It
// is immutable and safe for concurrent use until Close.
type Frozen struct {
	parts    []part
	spool    *spool
	pick     []int // the sampled numbers, ascending; nil for all
	n        int
	hash     [32]byte
	describe string

	duplicates int
	defects    defects
	uniform    uniform
}

// Len returns the number of targets.
func (f *Frozen) Len() int { return f.n }

// Hash identifies the content and order of the list. It is computed from
// the ranges and the rows as they were given, so two lists that name the same targets in
// different ways have different hashes.
func (f *Frozen) Hash() [32]byte { return f.hash }

// At returns target i, 0 <= i < Len. The error is the defect of that row alone; the
// target then has its ID and what else is known. If the temporary file cannot be
// read the error says so, and the target has its Index only.
func (f *Frozen) At(i int) (muster.Target, error) {
	at := i
	if f.pick != nil {
		at = f.pick[i]
	}
	p := &f.parts[0]
	if len(f.parts) > 1 {
		p = &f.parts[sort.Search(len(f.parts), func(k int) bool { return f.parts[k].start > at })-1]
	}
	var t muster.Target
	var err error
	if p.grid != nil {
		t = p.grid.target(p.grid.rankAt(uint64(at - p.start)))
	} else {
		var defect error
		if t, defect, err = f.spool.at(p.from + at - p.start); err == nil {
			err = defect
		}
	}
	t.Index = i
	return t, err
}

// All yields the targets in order, each with its row's defect.
func (f *Frozen) All() iter.Seq2[muster.Target, error] {
	return func(yield func(muster.Target, error) bool) {
		for i := range f.n {
			if !yield(f.At(i)) {
				return
			}
		}
	}
}

// Duplicates returns how many listed exact duplicates were dropped.
func (f *Frozen) Duplicates() int { return f.duplicates }

// Defects returns how many defective rows were read, and the first ten of
// their errors. Rows that a sample left out are counted too.
func (f *Frozen) Defects() (count int, first []error) { return f.defects.count, f.defects.first }

// Distinct reports whether no two targets are known to share a host: true
// promises it, false promises nothing.
func (f *Frozen) Distinct() bool { return f.uniform.distinct() }

// FewHosts reports whether many targets share at most 16 hosts, so that connections
// are worth keeping open.
func (f *Frozen) FewHosts() bool { return f.uniform.few(f.n) }

// Describe says for people where the targets came from. It holds no secrets
// that were not part of -w itself.
func (f *Frozen) Describe() string { return f.describe }

// Close gives the temporary file's space back. The list must not be used afterwards.
func (f *Frozen) Close() error { return f.spool.close() }

// defects are the errors of rows.
type defects struct {
	count int
	first []error
}

func (d *defects) add(err error) {
	if d.count++; len(d.first) < 10 {
		d.first = append(d.first, err)
	}
}

// uniform notes how hosts repeat.
type uniform struct {
	form  form
	begun bool
	mixed bool // hosts may occur more than once
	hosts map[string]struct{}
	many  bool // more than maxFew hosts
}

const maxFew = 16

// note takes a target that is no duplicate. plain says that its id is its address: one
// form and unequal addresses then mean unequal hosts.
func (u *uniform) note(f form, h host, plain bool) {
	u.noteForm(f)
	u.mixed = u.mixed || !plain
	if u.many {
		return
	}
	if u.hosts == nil {
		u.hosts = map[string]struct{}{}
	}
	u.hosts[h.name] = struct{}{}
	u.many = len(u.hosts) > maxFew
}

func (u *uniform) noteForm(f form) {
	u.mixed = u.mixed || u.begun && f != u.form
	u.form, u.begun = f, true
}

func (u *uniform) noteGrid(f form, g grid) {
	if g.len() > maxFew {
		u.noteForm(f)
		u.many = true
		return
	}
	for i := range g.len() {
		u.note(f, g.host(g.rankAt(i)), true)
	}
}

func (u *uniform) distinct() bool { return !u.mixed }

func (u *uniform) few(n int) bool { return !u.many && n >= 2*max(1, len(u.hosts)) }
