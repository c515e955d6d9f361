package hostfile

// readSD reads Prometheus file_sd and http_sd: a list of groups, in JSON or YAML.
func readSD(in *input, emit emitFunc) error {
	m := &sdMaker{in: in, emit: emit}
	j := newJSONReader(in, MaxLine)
	if c, ok := in.firstByte(); !ok || c == '[' || c == '{' {
		return m.readJSON(j)
	}
	doc, err := parseYAML(in)
	if err != nil {
		return err
	}
	if doc.kind != kindList {
		return in.errorf(doc.at, "the document is %s: want a list of {targets, labels}", doc.kind)
	}
	for _, group := range doc.list {
		if !m.add(group) {
			break
		}
	}
	return m.err
}

func (m *sdMaker) readJSON(j *jsonReader) error {
	c, ok, err := j.peek()
	switch {
	case err != nil:
		return err
	case !ok || c != '[':
		return m.in.errorf(j.next, "want a list of {targets, labels}")
	}
	if err := j.elements(m.add); err != nil {
		return err
	}
	return m.err
}

// isSD reports whether n looks like a group of targets.
func isSD(n *node) bool {
	targets := n.get("targets")
	return targets != nil && targets.kind == kindList
}

// sdMaker turns groups into rows.
type sdMaker struct {
	in   *input
	emit emitFunc
	err  error // of the list's structure
}

// add emits the rows of one group and reports whether more are wanted; err
// keeps what is wrong with the group.
func (m *sdMaker) add(group *node) bool {
	if m.err = m.check(group); m.err != nil {
		return false
	}
	return m.group(group)
}

// lenient is add where the format was guessed: an element that is no group is a row's defect.
func (m *sdMaker) lenient(group *node) bool {
	if err := m.check(group); err != nil {
		return m.emit(Row{Line: group.at.line, Column: group.at.col, Err: err})
	}
	return m.group(group)
}

func (m *sdMaker) check(group *node) error {
	if !isSD(group) {
		return m.in.errorf(group.at, "want an object with a list named targets, as in {\"targets\": [\"web1:9100\"]}")
	}
	if labels := group.get("labels"); labels != nil && labels.kind != kindObject && labels.kind != kindNull {
		return m.in.errorf(labels.at, "labels is %s: want an object of texts", labels.kind)
	}
	return nil
}

func (m *sdMaker) group(group *node) bool {
	labels := map[string]string{}
	var bad error
	for _, f := range labelsOf(group) {
		if !f.value.scalar() && f.value.kind != kindNull && bad == nil {
			bad = m.in.errorf(f.value.at, "label %s is %s: want a text", f.name, f.value.kind)
		}
		labels[f.name] = f.value.string()
	}
	for _, target := range group.get("targets").list {
		row := Row{Line: target.at.line, Column: target.at.col, Err: bad}
		if target.kind == kindText && target.text != "" {
			row.Spec = target.text
		} else {
			row.Err = m.in.errorf(target.at, "a target is %s: want a text such as web1:9100", target.kind)
		}
		if len(labels) > 0 {
			row.Labels, row.Vars = labels, labels
		}
		if !m.emit(row) {
			return false
		}
	}
	return true
}

func labelsOf(group *node) []field {
	labels := group.get("labels")
	if labels == nil {
		return nil
	}
	return labels.fields
}
