package hostfile

// readAnsibleJSON reads what ansible-inventory --list and dynamic inventory scripts print.
func readAnsibleJSON(in *input, emit emitFunc) error {
	doc, err := parseJSON(in)
	if err != nil {
		return err
	}
	if doc.kind != kindObject {
		return in.errorf(doc.at, "the inventory is %s: want the object that ansible-inventory --list prints", doc.kind)
	}
	return ansibleJSON(in, doc, emit)
}

// isAnsibleJSON reports whether doc looks like an inventory's JSON.
func isAnsibleJSON(doc *node) bool {
	if doc.get("_meta").get("hostvars") != nil {
		return true
	}
	all := doc.get(groupAll)
	return all.get("children") != nil || all.get("hosts") != nil
}

func ansibleJSON(in *input, doc *node, emit emitFunc) error {
	y := &inventoryJSON{in: in, fleet: newFleet()}
	for _, f := range doc.fields {
		if f.name == "_meta" {
			continue
		}
		if err := y.group(f); err != nil {
			return err
		}
	}
	if vars := doc.get("_meta").get("hostvars"); vars != nil {
		if err := y.hostVars(vars); err != nil {
			return err
		}
	}
	y.fleet.rows(in, emit)
	return nil
}

type inventoryJSON struct {
	in    *input
	fleet *fleet
}

// group reads {hosts: [...], children: [...], vars: {...}} or a list of hosts.
func (y *inventoryJSON) group(f field) error {
	g := y.fleet.group(f.name)
	if f.value.kind == kindList {
		return y.hosts(g, f.value)
	}
	if f.value.kind != kindObject {
		return y.in.errorf(f.at, "group %q is %s: want an object with hosts, vars or children", shorten(f.name), f.value.kind)
	}
	for _, part := range f.value.fields {
		var err error
		switch part.name {
		case "hosts":
			err = y.hosts(g, part.value)
		case "children":
			err = y.children(g, part.value)
		case "vars":
			for _, v := range part.value.fields {
				if v.value.kind != kindNull {
					g.set(v.name, v.value.string())
				}
			}
		default:
			err = y.in.errorf(part.at, "group %q has a key %q: want hosts, vars or children", g.name, shorten(part.name))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (y *inventoryJSON) hosts(g *fleetGroup, list *node) error {
	if list.kind != kindList {
		return y.in.errorf(list.at, "hosts of group %q is %s: want a list", g.name, list.kind)
	}
	for _, item := range list.list {
		if item.kind != kindText || item.text == "" {
			return y.in.errorf(item.at, "a host of group %q is %s: want its name", g.name, item.kind)
		}
		y.fleet.host(item.text, g, item.at)
	}
	return nil
}

func (y *inventoryJSON) children(g *fleetGroup, list *node) error {
	if list.kind != kindList {
		return y.in.errorf(list.at, "children of group %q is %s: want a list", g.name, list.kind)
	}
	for _, item := range list.list {
		if !item.scalar() {
			return y.in.errorf(item.at, "a child of group %q is %s: want its name", g.name, item.kind)
		}
		if !y.fleet.adopt(g, y.fleet.group(item.text)) {
			return y.in.errorf(item.at, "group %q cannot be a child of %q: it is above it", shorten(item.text), g.name)
		}
	}
	return nil
}

func (y *inventoryJSON) hostVars(all *node) error {
	for _, f := range all.fields {
		if f.value.kind != kindObject {
			return y.in.errorf(f.value.at, "the variables of host %q are %s: want an object", shorten(f.name), f.value.kind)
		}
		h := y.fleet.hosts[f.name]
		if h == nil {
			h = y.fleet.host(f.name, y.fleet.group(groupUngrouped), f.at)
		}
		h.setAll(f.value)
	}
	return nil
}
