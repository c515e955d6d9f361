package inventory

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory/hostfile"
	"github.com/musterhq/muster/nodeset"
)

// Query says which targets a job is for. The parts add up in this order: Sets, Stored,
// Hostfiles, Groups; a target that occurs again is dropped. Its zero value names
// none, which Freeze refuses.
type Query struct {
	// Sets are -w expressions; see the package comment for their grammar.
	Sets []string
	// Stored are targets of earlier runs, named without the grammar of Sets.
	Stored []Stored
	// Exclude are -x expressions in the same grammar. A member matches each target that
	// agrees in all it says: web1 matches every port of web1, web1:80 only that one.
	// A name also matches a row's own id.
	Exclude []string
	// Groups are names of groups. With host files they choose the rows in any of
	// them; a group that no row has is asked of the Resolver.
	Groups []string
	// Hostfiles are files, streams and URLs that list targets.
	Hostfiles []hostfile.Reader
	// Each lists requests to one server: each of its rows becomes a target, at the
	// address of the one target that the rest of the query names.
	Each *hostfile.Reader
	// Base is the address of the rows of Each when the query names no target.
	Base string
	// Selector keeps the targets it matches; see [ParseSelector]. "" keeps all.
	Selector string
	// Limit keeps a sample of that many targets, or of that share of them, in
	// their order; the zero value keeps all. The same Seed gives the same sample.
	Limit muster.Size
	Seed  uint64
	// Scheme and Port are added to targets that do not say theirs, and then
	// belong to their ids; "" and 0 leave them to the action.
	Scheme string
	Port   uint16
	// Resolver answers @groups, Groups and wildcards; nil makes them errors.
	Resolver nodeset.Resolver
	// Runs answers Stored, @last:failed and the like; nil makes them errors.
	Runs RunsFunc
	// SpoolDir is the folder of the temporary file; "" is the system's.
	SpoolDir string
}

// Validate reports every problem that shows without reading files and groups.
func (q *Query) Validate() error {
	var errs []error
	check := func(what string, texts []string) {
		for _, text := range texts {
			if err := checkSyntax(what, text); err != nil {
				errs = append(errs, err)
			}
		}
	}
	check("targets", q.Sets)
	check("excluded targets", q.Exclude)
	for _, s := range q.Stored {
		errs = append(errs, s.Validate())
	}
	if _, err := ParseSelector(q.Selector); err != nil {
		errs = append(errs, err)
	}
	for _, r := range q.Hostfiles {
		errs = append(errs, r.Validate())
	}
	if q.Each != nil {
		errs = append(errs, q.eachReader().Validate())
	}
	if q.Scheme != "" && schemeLen(q.Scheme+"://") == 0 {
		errs = append(errs, muster.Errorf(muster.KindInvalid, "scheme %q: want one such as https", q.Scheme))
	}
	for _, g := range q.Groups {
		if g == "" {
			errs = append(errs, muster.Errorf(muster.KindInvalid, "-g: want the name of a group"))
		}
	}
	return errors.Join(errs...)
}

// checkSyntax reads an expression without resolving what it names.
func checkSyntax(what, text string) error {
	s := &scanner{what: what, text: text}
	for {
		t, ok, err := s.next()
		if err != nil || !ok {
			return err
		}
		if t.text[0] == '@' {
			continue
		}
		if _, _, err := parseTerm(t.text); err != nil {
			return s.errorIn(t.at, err)
		}
	}
}

// Freeze resolves a query into a fixed list. It reads all files and groups, and
// blocks as long as they do. The defect of one row is in the list; an error is
// what leaves no list: a defect of a file or an expression, an unknown group, nothing left.
// The caller closes the list.
func Freeze(ctx context.Context, q Query) (*Frozen, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	f, err := q.freeze(ctx)
	if err != nil {
		return nil, err
	}
	if f.n == 0 {
		return nil, errors.Join(q.emptyError(f), f.Close())
	}
	return f.Frozen, nil
}

// tally is a list with what was left out of it.
type tally struct {
	*Frozen
	listed, excluded, unselected, whole int
}

func (q *Query) freeze(ctx context.Context) (*tally, error) {
	b := &builder{
		scheme: strings.ToLower(q.Scheme), port: q.Port, exclude: &region{},
		spool: newSpool(q.SpoolDir), ids: newIDSet(), digest: sha256.New(),
	}
	if err := q.fill(ctx, b); err != nil {
		return nil, errors.Join(err, b.spool.close())
	}
	if err := b.spool.seal(); err != nil {
		return nil, errors.Join(err, b.spool.close())
	}
	return q.finish(b), nil
}

// fill runs the query's parts through the builder.
func (q *Query) fill(ctx context.Context, b *builder) (err error) {
	if b.selector, err = ParseSelector(q.Selector); err != nil {
		return err
	}
	e := &evaluator{resolver: q.Resolver, runs: q.Runs}
	for _, text := range q.Exclude {
		err := e.eval(ctx, expression{what: "excluded targets", text: text}, func(it item) error { return b.exclude.add(&it) })
		if err != nil {
			return err
		}
	}
	if q.Each != nil {
		return q.fillEach(ctx, b)
	}
	add := func(it item) error { return b.add(ctx, it) }
	for _, text := range q.Sets {
		if err := e.eval(ctx, expression{what: "targets", text: text}, add); err != nil {
			return err
		}
	}
	for _, s := range q.Stored {
		if err := e.stored(ctx, s, add); err != nil {
			return err
		}
	}
	r := &rows{builder: b, evaluator: e, groups: q.Groups, found: map[string]bool{}}
	for _, file := range q.Hostfiles {
		if err := r.read(ctx, file); err != nil {
			return err
		}
	}
	for _, g := range q.Groups {
		if r.found[g] {
			continue
		}
		if err := e.eval(ctx, expression{what: "-g", text: "@" + g}, add); err != nil {
			return err
		}
	}
	return nil
}

// finish draws the sample and hashes the whole.
func (q *Query) finish(b *builder) *tally {
	f := &Frozen{
		parts: b.parts, spool: b.spool, n: b.end(), describe: q.describe(),
		duplicates: b.duplicates, defects: b.defects, uniform: b.uniform,
	}
	f.uniform.mixed = f.uniform.mixed || q.Each != nil
	o := &tally{f, b.listed, b.excluded, b.unselected, f.n}
	for _, p := range b.parts {
		if p.grid != nil {
			p.grid.note(b.digest)
			continue
		}
		b.digest.Write(binary.AppendUvarint([]byte("rows"), uint64(p.n)))
	}
	b.digest.Write(b.spool.digest.Sum(nil))
	if q.Limit != (muster.Size{}) {
		if k := q.Limit.Of(f.n); k < f.n {
			f.pick, f.n = sample(f.n, k, q.Seed), k
			b.digest.Write(fmt.Appendf(nil, "sample %d %d", k, q.Seed))
		}
	}
	b.digest.Sum(f.hash[:0])
	return o
}
