package hostfile

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// fleet is an Ansible inventory: groups of hosts with variables.
type fleet struct {
	groups map[string]*fleetGroup
	hosts  map[string]*fleetHost
	order  []*fleetHost // as first named
	vars   map[string]map[string]string
	lists  map[string][]string
}

type fleetGroup struct {
	name     string
	vars     map[string]string
	parents  []*fleetGroup
	children []*fleetGroup
	depth    int // the longest way up to all, which is 0
	priority int // ansible_group_priority
}

type fleetHost struct {
	name   string
	at     place
	vars   map[string]string
	groups []*fleetGroup
}

const (
	groupAll       = "all"
	groupUngrouped = "ungrouped"
)

func newFleet() *fleet {
	return &fleet{
		groups: map[string]*fleetGroup{},
		hosts:  map[string]*fleetHost{},
		vars:   map[string]map[string]string{},
		lists:  map[string][]string{},
	}
}

// group returns the group of that name, making it if need be.
func (f *fleet) group(name string) *fleetGroup {
	g := f.groups[name]
	if g == nil {
		g = &fleetGroup{name: name, priority: 1}
		f.groups[name] = g
	}
	return g
}

// host returns the host of that name in group g, making it if need be.
func (f *fleet) host(name string, g *fleetGroup, at place) *fleetHost {
	h := f.hosts[name]
	if h == nil {
		h = &fleetHost{name: name, at: at}
		f.hosts[name] = h
		f.order = append(f.order, h)
	}
	if !slices.Contains(h.groups, g) {
		h.groups = append(h.groups, g)
	}
	return h
}

// tooMany reports that n hosts more would be too many to hold.
func (f *fleet) tooMany(in *input, n int, at place) error {
	if len(f.order)+n <= 2*maxHosts {
		return nil
	}
	return in.errorf(at, "the inventory has more than %d hosts: turn it into lines or csv, which stream", 2*maxHosts)
}

// adopt makes child a child of parent; false says that it would be its own ancestor.
func (f *fleet) adopt(parent, child *fleetGroup) bool {
	if parent == child || child.name == groupAll || child.reaches(parent, map[*fleetGroup]bool{}) {
		return false
	}
	if !slices.Contains(child.parents, parent) {
		child.parents = append(child.parents, parent)
		parent.children = append(parent.children, child)
	}
	return true
}

// reaches reports whether other is below g.
func (g *fleetGroup) reaches(other *fleetGroup, seen map[*fleetGroup]bool) bool {
	for _, c := range g.children {
		if c == other {
			return true
		}
		if !seen[c] {
			seen[c] = true
			if c.reaches(other, seen) {
				return true
			}
		}
	}
	return false
}

func (g *fleetGroup) set(name, value string) {
	if name == "ansible_group_priority" {
		if n, err := strconv.Atoi(value); err == nil {
			g.priority = n
		}
		return
	}
	if g.vars == nil {
		g.vars = map[string]string{}
	}
	g.vars[name] = value
}

func (h *fleetHost) set(name, value string) {
	if h.vars == nil {
		h.vars = map[string]string{}
	}
	h.vars[name] = value
}

// rows emits the hosts in the order in which they were first named.
func (f *fleet) rows(in *input, emit emitFunc) {
	f.measure()
	for _, h := range f.order {
		groups := f.ancestry(h)
		if !emit(h.row(in, f.names(groups), f.merge(groups))) {
			return
		}
	}
}

// measure computes the depth of every group: below all, each is one deeper
// than its deepest parent. There are no cycles.
func (f *fleet) measure() {
	for _, g := range f.groups {
		g.depth = -1
	}
	f.group(groupAll).depth = 0
	for _, g := range f.groups {
		g.measure()
	}
}

func (g *fleetGroup) measure() int {
	if g.depth < 0 {
		g.depth = 1
		for _, p := range g.parents {
			g.depth = max(g.depth, p.measure()+1)
		}
	}
	return g.depth
}

// ancestry returns h's groups and all above them in the order in which their
// variables are merged, the weakest first.
func (f *fleet) ancestry(h *fleetHost) []*fleetGroup {
	seen := map[*fleetGroup]bool{f.group(groupAll): true}
	var climb func(g *fleetGroup)
	climb = func(g *fleetGroup) {
		if !seen[g] {
			seen[g] = true
			for _, p := range g.parents {
				climb(p)
			}
		}
	}
	for _, g := range h.groups {
		if g.name != groupUngrouped {
			climb(g)
		}
	}
	if len(seen) == 1 { // a host of no group, or of all only
		climb(f.group(groupUngrouped))
	}
	return slices.SortedFunc(maps.Keys(seen), func(a, b *fleetGroup) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.priority, b.priority), cmp.Compare(a.name, b.name))
	})
}

// names returns the groups' names, the closest first; hosts of the same groups share them.
func (f *fleet) names(groups []*fleetGroup) []string {
	key := groupKey(groups)
	list, ok := f.lists[key]
	if !ok {
		for _, g := range slices.Backward(groups) {
			list = append(list, g.name)
		}
		f.lists[key] = list
	}
	return list
}

// merge returns the groups' variables; hosts of the same groups share them.
func (f *fleet) merge(groups []*fleetGroup) map[string]string {
	key := groupKey(groups)
	vars, ok := f.vars[key]
	if !ok {
		for _, g := range groups {
			vars = merged(vars, g.vars)
		}
		f.vars[key] = vars
	}
	return vars
}

func groupKey(groups []*fleetGroup) string {
	var b strings.Builder
	for _, g := range groups {
		b.WriteString(g.name)
		b.WriteByte(0)
	}
	return b.String()
}

// row returns the target row of h.
func (h *fleetHost) row(in *input, groups []string, inherited map[string]string) Row {
	vars := merged(inherited, h.vars)
	row := Row{Spec: h.name, ID: h.name, Groups: groups, Line: h.at.line, Column: h.at.col}
	first := func(names ...string) string {
		for _, name := range names {
			if vars[name] != "" {
				return vars[name]
			}
		}
		return ""
	}
	row.Spec = cmp.Or(first("ansible_host", "ansible_ssh_host"), h.name)
	if strings.Contains(row.Spec, "{{") {
		row.Err = in.errorf(h.at, "host %s: ansible_host %q is a Jinja template: give the output of ansible-inventory --list instead",
			shorten(h.name), shorten(row.Spec))
	}
	if port := first("ansible_port", "ansible_ssh_port"); port != "" && row.Err == nil {
		spec, problem := withPort(row.Spec, port)
		row.Spec = spec
		if problem != "" {
			row.Err = in.errorf(h.at, "host %s: %s", shorten(h.name), problem)
		}
	}
	row.Vars = cleaned(vars, first("ansible_user", "ansible_ssh_user"))
	return row
}

// cleaned returns vars without secrets and with the variable user.
func cleaned(vars map[string]string, user string) map[string]string {
	_, hasUser := vars["user"]
	hidden := slices.ContainsFunc(passwordNames(), func(name string) bool { _, ok := vars[name]; return ok })
	if !hidden && (hasUser || user == "") {
		return vars
	}
	vars = maps.Clone(vars)
	for _, name := range passwordNames() {
		delete(vars, name)
	}
	if !hasUser && user != "" {
		vars["user"] = user
	}
	return vars
}

// passwordNames are the variables that hold secrets.
func passwordNames() []string {
	return []string{
		"ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_pass",
		"ansible_become_pass", "ansible_become_password", "ansible_sudo_pass", "ansible_su_pass",
		"ansible_ssh_private_key_passphrase", "ansible_private_key_passphrase",
	}
}
