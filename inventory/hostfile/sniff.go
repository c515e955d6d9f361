package hostfile

import (
	"bytes"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// formatOfExtension are the extensions that say enough.
func formatOfExtension(ext string) string {
	switch strings.ToLower(ext) {
	case ".csv":
		return CSV
	case ".tsv", ".tab":
		return TSV
	case ".json":
		return JSON
	case ".jsonl", ".ndjson":
		return JSONL
	case ".yaml", ".yml":
		return YAML
	case ".ini":
		return AnsibleINI
	case ".txt", ".lst", ".list":
		return Lines
	}
	return ""
}

// detect tells the format from what r asks for, the extension, or the content.
// json and yaml look further when they have read the first value.
func (r Reader) detect(in *input) (string, error) {
	if r.Projection != "" {
		return CMS, nil
	}
	format := formatOfExtension(r.extension())
	if format == "" {
		head, _ := in.Peek(sniffSize)
		if isHTML(head) {
			return "", in.errorf(place{1, 1}, "this is a web page, not a list of targets: check the URL and its token")
		}
		format = sniff(head)
	}
	switch {
	case r.JSONPath != "" && format != YAML:
		return JSON, nil
	case r.Each && format == Lines && formatOfExtension(r.extension()) == "":
		return CSV, nil
	case r.Each && !slices.Contains(eachFormats(), format):
		return "", in.errorf(place{}, "format %s has no rows for --each: use one of %s", format, strings.Join(eachFormats(), ", "))
	}
	return format, nil
}

func (r Reader) extension() string {
	if !isURL(r.Path) {
		return path.Ext(r.Path)
	}
	u, err := url.Parse(r.Path)
	if err != nil {
		return ""
	}
	return path.Ext(u.Path)
}

func isHTML(head []byte) bool {
	head = bytes.ToLower(bytes.TrimSpace(head[:min(len(head), 256)]))
	return bytes.HasPrefix(head, []byte("<!doctype")) || bytes.HasPrefix(head, []byte("<html"))
}

var (
	// iniSection is a line such as [web] or [web:vars] # why.
	iniSection = regexp.MustCompile(`^\[([^:\]\s"{},]+)(?::(\w+))?\]\s*(?:[#;].*)?$`)
	// iniVariables is a host with a variable.
	iniVariables = regexp.MustCompile(`^[^\s=/]+\s+\w+=`)
	// yamlKey is a key that opens a block.
	yamlKey = regexp.MustCompile(`^["']?[\w.-]+["']?:\s*(?:#.*)?$`)
)

// sniff tells the format of a text from its head: the first line that says
// something decides, unless it could be anything.
func sniff(head []byte) string {
	first := true
	for line := range bytes.Lines(head) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue
		}
		if iniVariables.MatchString(text) || isSection(text) {
			return AnsibleINI
		}
		if first {
			if format := sniffFirst(text, head); format != "" {
				return format
			}
		}
		first = false
	}
	return Lines
}

// sniffFirst looks at the first line that has something on it.
func sniffFirst(text string, head []byte) string {
	switch {
	case text[0] == '{':
		return sniffObject(head)
	case text[0] == '[' && isJSONList(head):
		return JSON
	case text == "---", strings.HasPrefix(text, "- "), text == "-", yamlKey.MatchString(text):
		return YAML
	}
	for _, sep := range []string{"\t", ";", ","} {
		if isHeader(strings.Split(text, sep)) {
			if sep == "\t" {
				return TSV
			}
			return CSV
		}
	}
	return ""
}

// isSection reports whether text is an INI section. [::1] is an address, and so
// may a range be that stands alone.
func isSection(text string) bool {
	m := iniSection.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	inner, _, _ := strings.Cut(text[1:], "]")
	if _, err := netip.ParseAddr(inner); err == nil {
		return false
	}
	return m[2] == "" || m[2] == "vars" || m[2] == "children" || m[2] == "hosts"
}

// sniffObject tells one object from many, one a line.
func sniffObject(head []byte) string {
	line, rest, _ := bytes.Cut(bytes.TrimSpace(head), []byte("\n"))
	line, rest = bytes.TrimSpace(line), bytes.TrimSpace(rest)
	if bytes.HasSuffix(line, []byte("}")) && bytes.HasPrefix(rest, []byte("{")) {
		return JSONL
	}
	return JSON
}

// isJSONList tells a JSON list from brackets of a set of nodes.
func isJSONList(head []byte) bool {
	i := bytes.IndexByte(head, '[')
	inner := bytes.TrimLeft(head[i+1:], " \t\r\n")
	return len(inner) > 0 && bytes.IndexByte([]byte(`"{]`), inner[0]) >= 0
}

// isHeader reports whether cells are a header row: several, one naming the target.
func isHeader(cells []string) bool {
	if len(cells) < 2 {
		return false
	}
	return slices.ContainsFunc(cells, func(cell string) bool {
		return slices.Contains(append(addressNames(), "id"), strings.ToLower(strings.Trim(strings.TrimSpace(cell), `"`)))
	})
}
