package hostfile

import "errors"

// readAnsibleYAML reads an Ansible inventory in YAML form, or, since JSON is
// YAML too, what ansible-inventory --list prints.
func readAnsibleYAML(in *input, emit emitFunc) error {
	if c, _ := in.firstByte(); c == '{' {
		return readAnsibleJSON(in, emit)
	}
	doc, err := parseYAML(in)
	if err != nil {
		return err
	}
	return ansibleYAML(in, doc, emit)
}

func ansibleYAML(in *input, doc *node, emit emitFunc) error {
	switch {
	case isAnsibleJSON(doc) && doc.get("_meta") != nil:
		return ansibleJSON(in, doc, emit)
	case doc.kind == kindNull:
		return in.errorf(doc.at, "the inventory is empty: want groups")
	case doc.kind != kindObject:
		return in.errorf(doc.at, "the inventory is %s: want a mapping of groups", doc.kind)
	case doc.get("plugin") != nil:
		return in.errorf(doc.at, "this configures the inventory plugin %s: give the output of ansible-inventory --list instead",
			shorten(doc.get("plugin").string()))
	}
	y := &inventoryYAML{in: in, fleet: newFleet()}
	for _, f := range doc.fields {
		if err := y.group(f, nil, 0); err != nil {
			return err
		}
	}
	y.fleet.rows(in, emit)
	return nil
}

type inventoryYAML struct {
	in    *input
	fleet *fleet
}

// group reads one group; parent is nil at the top.
func (y *inventoryYAML) group(f field, parent *fleetGroup, depth int) error {
	if depth > maxDepth {
		return y.in.errorf(f.at, "groups nested deeper than %d", maxDepth)
	}
	if f.value.kind != kindNull && f.value.kind != kindObject {
		return y.in.errorf(f.at, "group %q is %s: want a mapping with hosts, vars or children", shorten(f.name), f.value.kind)
	}
	g := y.fleet.group(f.name)
	if parent != nil && !y.fleet.adopt(parent, g) {
		return y.in.errorf(f.at, "group %q cannot be a child of %q: it is above it", shorten(f.name), parent.name)
	}
	for _, part := range f.value.fields {
		if err := y.part(g, part, depth); err != nil {
			return err
		}
	}
	return nil
}

// part reads the hosts, vars or children of g.
func (y *inventoryYAML) part(g *fleetGroup, part field, depth int) error {
	entries, err := y.entries(g, part)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch part.name {
		case "vars":
			if e.value.kind != kindNull && e.value.kind != kindVault {
				g.set(e.name, e.value.string())
			}
		case "children":
			err = y.group(e, g, depth+1)
		default:
			err = y.hosts(g, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entries returns the fields of part; a lone text is a field without value.
func (y *inventoryYAML) entries(g *fleetGroup, part field) ([]field, error) {
	if part.name != "hosts" && part.name != "vars" && part.name != "children" {
		return nil, y.in.errorf(part.at, "group %q has a key %q: want hosts, vars or children", g.name, shorten(part.name))
	}
	switch part.value.kind {
	case kindNull:
		return nil, nil
	case kindObject:
		return part.value.fields, nil
	case kindText:
		if part.name != "vars" {
			return []field{{part.value.text, part.value.at, &node{}}}, nil
		}
	}
	return nil, y.in.errorf(part.value.at, "%s of group %q is %s: want a mapping, as in \"web1:\" with a colon and without a dash",
		part.name, g.name, part.value.kind)
}

// hosts adds the hosts of one pattern with their variables.
func (y *inventoryYAML) hosts(g *fleetGroup, e field) error {
	names, port, err := expandPattern(e.name)
	if err != nil {
		at := e.at
		if pe, ok := errors.AsType[*patternError](err); ok {
			at.col += pe.offset
		}
		return y.in.errorf(at, "host %q: %s", shorten(e.name), err)
	}
	if e.value.kind != kindNull && e.value.kind != kindObject {
		return y.in.errorf(e.value.at, "host %q is %s: want a mapping of variables", shorten(e.name), e.value.kind)
	}
	if err := y.fleet.tooMany(y.in, len(names), e.at); err != nil {
		return err
	}
	for _, name := range names {
		h := y.fleet.host(name, g, e.at)
		if port != "" {
			h.set("ansible_port", port)
		}
		h.setAll(e.value)
	}
	return nil
}

// setAll sets the variables of an object.
func (h *fleetHost) setAll(vars *node) {
	for _, v := range vars.fields {
		if v.value.kind != kindNull && v.value.kind != kindVault {
			h.set(v.name, v.value.string())
		}
	}
}
