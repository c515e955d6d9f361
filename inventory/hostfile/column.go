package hostfile

import (
	"slices"
	"strings"
)

// role is what a column or key means.
type role uint8

const (
	roleData role = iota // a label and a variable
	roleAddress
	roleID
	rolePort
	roleGroups
	roleOff
	roleNA
	roleLabel
	roleVar
)

// column is the meaning of one column and the name its label or variable has.
type column struct {
	role role
	name string
}

// addressNames are the columns that may hold the target, the best first.
func addressNames() []string { return []string{"address", "target", "url", "host", "ip", "name"} }

// columnsOf tells what the columns of these names mean.
func columnsOf(names []string, each bool) []column {
	cols := make([]column, len(names))
	at := make(map[string]int, len(names))
	for i, name := range names {
		cols[i] = columnOf(name, each)
		at[strings.ToLower(name)] = i
	}
	if !each {
		for _, name := range addressNames() {
			if i, ok := at[name]; ok {
				cols[i].role = roleAddress
				break
			}
		}
	}
	i, ok := at["id"]
	if !ok {
		i, ok = at["name"]
	}
	if ok && cols[i].role == roleData {
		cols[i].role = roleID
	}
	return cols
}

// columnOf tells what one column means whatever others there are.
func columnOf(name string, each bool) column {
	lower := strings.ToLower(name)
	switch lower {
	case "off":
		return column{role: roleOff, name: name}
	case "na":
		return column{role: roleNA, name: name}
	}
	for prefix, r := range map[string]role{"label.": roleLabel, "labels.": roleLabel, "var.": roleVar, "vars.": roleVar} {
		if strings.HasPrefix(lower, prefix) && len(lower) > len(prefix) {
			return column{role: r, name: name[len(prefix):]}
		}
	}
	if each {
		return column{role: roleData, name: name}
	}
	switch lower {
	case "port":
		return column{role: rolePort, name: name}
	case "group", "groups":
		return column{role: roleGroups, name: name}
	}
	return column{role: roleData, name: name}
}

// hasAddress reports whether one of cols is the target.
func hasAddress(cols []column) bool {
	return slices.ContainsFunc(cols, func(c column) bool { return c.role == roleAddress })
}

// switchedOff reads the cell of an off column.
func switchedOff(cell string) (off, ok bool) {
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "true", "t", "yes", "y", "on", "1":
		return true, true
	case "false", "f", "no", "n", "off", "0", "":
		return false, true
	}
	return false, false
}

// notApplicable reads the cell of an NA column: anything but a no.
func notApplicable(cell string) bool {
	off, known := switchedOff(cell)
	return off || !known
}

// splitGroups splits a cell that lists groups.
func splitGroups(cell string) []string {
	return strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(",; \t\r\n", r) })
}
