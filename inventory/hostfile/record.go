package hostfile

import (
	"maps"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// record gathers the cells of one row. Its zero value is empty.
type record struct {
	row    Row
	idName string // of the column that the id is from
	port   string
	portAt place
	data   map[string]string // labels and variables at once
	labels map[string]string // labels only
	vars   map[string]string // variables only
}

// cell adds the text of one column; an empty cell is an absent one.
func (rec *record) cell(in *input, c column, text string, at place) {
	if text == "" {
		return
	}
	switch c.role {
	case roleAddress:
		rec.row.Spec, rec.row.Line, rec.row.Column = strings.TrimSpace(text), at.line, at.col
	case roleID:
		rec.row.ID, rec.idName = strings.TrimSpace(text), c.name
	case rolePort:
		rec.port, rec.portAt = strings.TrimSpace(text), at
	case roleGroups:
		rec.row.Groups = append(rec.row.Groups, splitGroups(text)...)
	case roleNA:
		rec.row.Off = rec.row.Off || notApplicable(text)
	case roleOff:
		off, ok := switchedOff(text)
		rec.row.Off = rec.row.Off || off
		if !ok {
			rec.fail(in.errorf(at, "column %s is %q: want yes or no", c.name, shorten(text)))
		}
	default:
		rec.set(c, text)
	}
}

// set stores a label or a variable, or both.
func (rec *record) set(c column, text string) {
	m := &rec.data
	switch c.role {
	case roleLabel:
		m = &rec.labels
	case roleVar:
		m = &rec.vars
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[c.name] = text
}

// fail notes the row's defect; the first one stands.
func (rec *record) fail(err error) {
	if rec.row.Err == nil {
		rec.row.Err = err
	}
}

// finish returns the row. number is its place among the rows, from 1.
func (rec *record) finish(in *input, each bool, number int, at place) Row {
	if rec.row.Line == 0 {
		rec.row.Line, rec.row.Column = at.line, at.col
	}
	row := &rec.row
	if each {
		if row.ID == "" {
			row.ID = strconv.Itoa(number)
		} else if rec.idName != "" {
			// {{.id}} in a request means the row's own column, not the target's id.
			rec.set(column{name: rec.idName, role: roleVar}, row.ID)
		}
		row.Labels, row.Vars = rec.labels, merged(rec.data, rec.vars)
		return *row
	}
	row.Labels, row.Vars = merged(rec.data, rec.labels), merged(rec.data, rec.vars)
	if row.Spec == "" {
		rec.fail(in.errorf(at, "the row has no address"))
	}
	if rec.port != "" && row.Err == nil {
		spec, problem := withPort(row.Spec, rec.port)
		row.Spec = spec
		if problem != "" {
			rec.fail(in.errorf(rec.portAt, "%s", problem))
		}
	}
	return *row
}

// merged returns base and over in one map, sharing where it can.
func merged(base, over map[string]string) map[string]string {
	switch {
	case len(over) == 0:
		return base
	case len(base) == 0:
		return over
	}
	m := maps.Clone(base)
	maps.Copy(m, over)
	return m
}

// withPort joins a port to a target. problem says why it cannot be, and spec is
// then unchanged.
func withPort(spec, port string) (joined, problem string) {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return spec, "port " + strconv.Quote(shorten(port)) + " is not a number from 1 to 65535"
	}
	scheme, rest, isURL := strings.Cut(spec, "://")
	if !isURL {
		joined, problem = hostWithPort(spec, port)
		return joined, problem
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, problem := hostWithPort(rest[:end], port)
	return scheme + "://" + host + rest[end:], problem
}

func hostWithPort(host, port string) (joined, problem string) {
	if strings.ContainsAny(host, " \t,") && !strings.Contains(host, "[") {
		return host, "a port column needs one target in the row, not " + strconv.Quote(shorten(host))
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return net.JoinHostPort(addr.String(), port), ""
	}
	if _, err := netip.ParsePrefix(host); err == nil {
		return host + ":" + port, ""
	}
	own, ok := ownPort(host)
	if !ok {
		return host + ":" + port, ""
	}
	if own != port {
		return host, "the target " + strconv.Quote(shorten(host)) + " has port " + own + " and the port column says " + port
	}
	return host, ""
}

// ownPort returns the port that ends a host, outside brackets.
func ownPort(host string) (string, bool) {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.IndexByte(host[i:], ']') >= 0 {
		return "", false
	}
	return host[i+1:], true
}
