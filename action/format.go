package action

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
)

// Format returns f as YAML that [Parse] reads back to the same action.
func Format(f File) ([]byte, error) {
	text, err := encode(f)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	w := writer{json: d}
	if err := w.value(0, false); err != nil {
		return nil, err
	}
	return w.out.Bytes(), nil
}

// writer turns a stream of JSON tokens into YAML, keys in their order.
type writer struct {
	json *json.Decoder
	out  bytes.Buffer
}

func (w *writer) indent(depth int) {
	for range depth {
		w.out.WriteString("  ")
	}
}

// value writes the next value. inline says that its first line has begun: after "- ".
func (w *writer) value(depth int, inline bool) error {
	t, err := w.json.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return w.mapping(depth, inline)
		}
		return w.list(depth, inline)
	case string:
		w.text(t, depth)
	case json.Number:
		w.out.WriteString(t.String())
	case bool:
		if t {
			w.out.WriteString("true")
		} else {
			w.out.WriteString("false")
		}
	default:
		w.out.WriteString("null")
	}
	w.out.WriteByte('\n')
	return nil
}

func (w *writer) mapping(depth int, inline bool) error {
	if !w.json.More() {
		w.out.WriteString("{}\n")
		_, err := w.json.Token()
		return err
	}
	for w.json.More() {
		if !inline {
			w.indent(depth)
		}
		inline = false
		key, err := w.json.Token()
		if err != nil {
			return err
		}
		w.out.WriteString(scalar(key.(string)) + ":")
		if err := w.member(depth + 1); err != nil {
			return err
		}
	}
	_, err := w.json.Token()
	return err
}

// member writes the value of a key: on its line, or below it.
func (w *writer) member(depth int) error {
	at := w.out.Len()
	if err := w.value(depth, false); err != nil {
		return err
	}
	sep := byte(' ')
	if written := w.out.Bytes()[at:]; bytes.HasPrefix(written, []byte("  ")) {
		sep = '\n'
	}
	tail := bytes.Clone(w.out.Bytes()[at:])
	w.out.Truncate(at)
	w.out.WriteByte(sep)
	w.out.Write(tail)
	return nil
}

func (w *writer) list(depth int, inline bool) error {
	if !w.json.More() {
		w.out.WriteString("[]\n")
		_, err := w.json.Token()
		return err
	}
	for w.json.More() {
		if !inline {
			w.indent(depth)
		}
		inline = false
		w.out.WriteString("- ")
		if err := w.value(depth+1, true); err != nil {
			return err
		}
	}
	_, err := w.json.Token()
	return err
}

// text writes a string: plain where that cannot be misread, as a block when it has lines, else quoted.
func (w *writer) text(s string, depth int) {
	if !isBlock(s) {
		w.out.WriteString(scalar(s))
		return
	}
	w.out.WriteString("|")
	if !strings.HasSuffix(s, "\n") {
		w.out.WriteString("-")
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		w.out.WriteByte('\n')
		if line != "" {
			w.indent(max(depth, 1))
			w.out.WriteString(line)
		}
	}
}

// isBlock reports whether s is a text of several lines that a literal block keeps exactly.
func isBlock(s string) bool {
	body := strings.TrimSuffix(s, "\n")
	if !strings.Contains(body, "\n") || strings.HasSuffix(body, "\n") || strings.TrimLeft(s, " \t\n#-") != s {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.TrimRight(line, " \t") != line {
			return false
		}
	}
	for _, r := range s {
		if r != '\n' && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

var (
	// plain matches texts that mean themselves without quotes.
	plain = regexp.MustCompile(`^[A-Za-z/$(](?:[A-Za-z0-9 _./=$()&|<>+*"'!?,;@%~\[\]-]|:[A-Za-z0-9/$^.])*[A-Za-z0-9_/)"'\]]$|^[A-Za-z/]$|^[0-9]+(?:ms|s|m|h|%)$`)
	// special matches those that YAML takes for something else.
	special = regexp.MustCompile(`(?i)^(?:y|n|yes|no|on|off|true|false|null|nan|inf|infinity)$`)
)

func scalar(s string) string {
	if plain.MatchString(s) && !special.MatchString(s) {
		return s
	}
	text, err := encode(s)
	if err != nil { // a string always encodes
		return `""`
	}
	return string(text)
}
