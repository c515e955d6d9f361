package inventory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory/hostfile"
)

// rows turns rows of host files into items.
type rows struct {
	*builder
	*evaluator
	groups []string        // if any, only rows in one of these
	found  map[string]bool // those of groups that some row is in
}

// read adds the rows of one file.
func (r *rows) read(ctx context.Context, file hostfile.Reader) error {
	n, chosen := 0, 0
	for row, err := range file.Rows(ctx) {
		if err != nil {
			return err
		}
		n++
		if !r.chosen(row.Groups) {
			continue
		}
		chosen++
		if err := r.add(ctx, file.Path, &row); err != nil {
			return err
		}
	}
	if n > 0 && chosen == 0 {
		return muster.Errorf(muster.KindNotFound, "%s: none of its %d rows is in group %s: check the name, or leave out -g",
			inputName(file.Path), n, strings.Join(r.groups, " or "))
	}
	return nil
}

func (r *rows) chosen(groups []string) bool {
	if len(r.groups) == 0 {
		return true
	}
	in := false
	for _, g := range groups {
		if slices.Contains(r.groups, g) {
			r.found[g], in = true, true
		}
	}
	return in
}

// add adds one row; what is wrong with it becomes a defect of its target.
func (r *rows) add(ctx context.Context, path string, row *hostfile.Row) error {
	m := metaOf(row)
	if row.Err != nil {
		return r.defect(ctx, path, row, m, row.Err)
	}
	var items []item
	x := expression{what: "targets", text: row.Spec}
	err := r.eval(ctx, x, func(it item) error { items = append(items, it); return nil })
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		err = muster.Errorf(muster.KindInvalid, "%s:%d: %w", inputName(path), row.Line, err)
	case err == nil && len(items) == 0 && !strings.ContainsAny(row.Spec, "@!&^"):
		err = errors.New("the row has no address")
	case err == nil && row.ID != "" && (len(items) > 1 || len(items) == 1 && !items[0].single()):
		err = fmt.Errorf("the id %q stands for several targets: leave it out, or name one address", row.ID)
	}
	if err != nil {
		return r.defect(ctx, path, row, m, err)
	}
	for _, it := range items {
		it.meta = m.over(it.meta)
		if row.ID != "" {
			it.id = row.ID
		}
		if err := r.builder.add(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

// defect lists a row that stands for no target.
func (r *rows) defect(ctx context.Context, path string, row *hostfile.Row, m *meta, err error) error {
	id := row.ID
	if id == "" {
		id = withoutUserinfo(strings.TrimSpace(row.Spec))
	}
	if id == "" || len(id) > 253 {
		id = fmt.Sprintf("%s:%d", inputName(path), row.Line)
	}
	return r.builder.add(ctx, item{id: id, meta: m, err: err})
}

// metaOf returns what a row says beside its address; nil when nothing.
func metaOf(row *hostfile.Row) *meta {
	if row.Labels == nil && row.Vars == nil && !row.Off && len(row.Groups) == 0 {
		return nil
	}
	return &meta{withGroups(row.Labels, row.Groups), row.Vars, row.Off}
}

// over returns what the row and the term of its address say together; the row wins.
func (m *meta) over(under *meta) *meta {
	switch {
	case m == nil:
		return under
	case under == nil:
		return m
	}
	return &meta{overlay(under.labels, m.labels), overlay(under.vars, m.vars), m.off || under.off}
}

func overlay(under, over map[string]string) map[string]string {
	switch {
	case len(under) == 0:
		return over
	case len(over) == 0:
		return under
	}
	all := make(map[string]string, len(under)+len(over))
	maps.Copy(all, under)
	maps.Copy(all, over)
	return all
}
