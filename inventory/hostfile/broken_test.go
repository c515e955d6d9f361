package hostfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster"
)

// What is wrong with a file is said with its line and column.
func TestBroken(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, format, text, want string }{
		{"csv no target", CSV, "# x\nrack,id\nr1,a\n", "standard input:2:1: no column holds the target among rack, id"},
		{"csv nameless column", CSV, "host,,x\n", "standard input:1:6: column 2 has no name"},
		{"csv twice", CSV, "host,é,a,a\n", `standard input:1:11: column "a" is there twice`},
		{"csv bare quote", CSV, "host,x\nweb1,a\nweb2,a\"b\n", "standard input:3:7: a quote inside a field without quotes"},
		{"csv text after quote", CSV, "host,x\n\"web1\"x,a\n", "standard input:2:6: a quoted field that began on line 2"},
		{"csv open quote", CSV, "host,x\nweb1,a\n\"web2,a\nweb3,b\n", "standard input:4:8: a quoted field that began on line 3"},
		{"csv header encoding", CSV, "host,\xff\n", "standard input:1:6: column 2: the name is not UTF-8 text"},
		{"json comma", JSON, "[\n \"web1\"\n \"web2\"]", "standard input:3:2: '\"' where a comma or ] should be"},
		{"json trailing comma", JSON, "[\"web1\",]", `standard input:1:9: ']' where a value should be`},
		{"json word", JSON, "[web1]", `standard input:1:2: "web1" is no JSON value: put texts in double quotes`},
		{"json end", JSON, "[\"web1\",\n", "standard input:2:1: the JSON ends too early: want a value"},
		{"json more", JSON, "[\"web1\"]\n]", "standard input:2:1: ']' after the end of the JSON value"},
		{"json open text", JSON, "[\"a\",\n  \"web1", "standard input:2:3: the text that starts here has no closing quote"},
		{"json escape", JSON, `["a\x41"]`, `standard input:1:4: \x is no JSON escape`},
		{"json hex", JSON, `["a\u00g1"]`, `standard input:1:4: \u wants four hexadecimal digits`},
		{"json control", JSON, "[\"a\tb\"]", `standard input:1:4: '\t' inside a text`},
		{"json encoding", JSON, "[\"a\xff\"]", `standard input:1:2: the text is not UTF-8`},
		{"json number", JSON, `[{"host":"a","n":01}]`, `standard input:1:18: "01" is no JSON value`},
		{"json key", JSON, `[{host:"a"}]`, `standard input:1:3: 'h' where a key in double quotes should be`},
		{"json colon", JSON, `[{"host" "a"}]`, `standard input:1:10: '"' where a colon should be`},
		{"json deep", JSON, strings.Repeat("[", 600), "standard input:1:502: nested deeper than 500"},
		{"json object", JSON, `{"fleet": {"hosts": []}}`, "standard input:1:1: the document is an object with the keys fleet, not a list: say which part with --json-path"},
		{"json scalar", JSON, ` 7`, "standard input:1:2: the document is a number: want a list of targets"},
		{"json empty", JSON, " \n", "standard input:2:1: the input is empty"},
		{"jsonl", JSONL, "\"a\"\n{\"host\": \"b\",}\n", "standard input:2:14: '}' where a key"},
		{"yaml indent", YAML, "- a\n- b: [1, 2\n- c\n", "standard input:3:1: ',' or ']' must be specified"},
		{"yaml alias", YAML, "- a\n- é: 1\n  b: *x\n", "standard input:3:6: the alias *x has no anchor"},
		{"yaml key twice", YAML, "- host: a\n  host: b\n", "standard input:2:3: "},
		{"yaml two documents", YAML, "- a\n---\n- b\n", "standard input:3:1: a second YAML document"},
		{"yaml encoding", YAML, "- a\n- é\xff\n", "standard input:2:5: the text is not UTF-8"},
		{"yaml merge", YAML, "- a: &a 1\n- <<: *a\n  b: 1\n", "standard input:2:3: << merges a number"},
		{"ini section", AnsibleINI, "a\n [db servers]\n", `standard input:2:2: section "[db servers]": want [group]`},
		{"ini kind", AnsibleINI, "[web:hots]\n", "standard input:1:1: section [web:hots]: want :vars, :children or none"},
		{"ini vars of nobody", AnsibleINI, "a\n[web:vars]\nx=1\n", "standard input:2:1: section [web:vars] is for a group that is not there"},
		{"ini child of nobody", AnsibleINI, "[dc:children]\n  web\n", `standard input:2:3: the child group "web" is not there`},
		{"ini cycle", AnsibleINI, "[a:children]\nb\n[b:children]\nc\n[c:children]\na\n", `standard input:6:1: group "a" cannot be a child of "c"`},
		{"ini all below", AnsibleINI, "[a:children]\nall\n", `standard input:2:1: group "all" cannot be a child of "a"`},
		{"ini quote", AnsibleINI, "a\nweb1 x='1 2\n", "standard input:2:8: the quote that starts here is not closed"},
		{"ini word", AnsibleINI, "web1 x=1 stray\n", `standard input:1:10: "stray": want name=value after the host`},
		{"ini variable", AnsibleINI, "[all:vars]\nntp\n", `standard input:2:1: "ntp": want name=value in [all:vars]`},
		{"ini child", AnsibleINI, "[a:children]\nweb db\n", `standard input:2:1: "web db": want the name of a group`},
		{"ini range", AnsibleINI, "  web[01:9].x\n", `standard input:1:6: host "web[01:9].x": the ends of the range [01:9] must be equally wide`},
		{"ini bracket", AnsibleINI, "web[1:9\n", `standard input:1:4: host "web[1:9": the bracket is not closed`},
		{"ini huge", AnsibleINI, "n[0:99999]n[0:99999]\n", `standard input:1:12: host "n[0:99999]n[0:99999]": the pattern stands for more than 4000000 hosts`},
		{"ini letters", AnsibleINI, "n" + strings.Repeat("[a:z]", 6) + "\n", `the pattern stands for more than 4000000 hosts`},
		{"ini port", AnsibleINI, "web1:\n", `standard input:1:5: host "web1:": a colon without a port`},
		{"ini encoding", AnsibleINI, "a\n\xff\n", "standard input:2:1: the line is not UTF-8 text"},
		{"ayaml list", AnsibleYAML, "all:\n  hosts:\n    - web1\n", `standard input:3:5: hosts of group "all" is a list: want a mapping`},
		{"ayaml key", AnsibleYAML, "all:\n  host:\n    web1:\n", `standard input:2:3: group "all" has a key "host": want hosts, vars or children`},
		{"ayaml group", AnsibleYAML, "web: [a]\n", `standard input:1:1: group "web" is a list`},
		{"ayaml plugin", AnsibleYAML, "plugin: aws_ec2\n", `standard input:1:1: this configures the inventory plugin aws_ec2`},
		{"ayaml host", AnsibleYAML, "all:\n  hosts:\n    web1: 7\n", `standard input:3:11: host "web1" is a number`},
		{"ayaml range", AnsibleYAML, "all:\n  hosts:\n    web[3:1]:\n", `standard input:3:8: host "web[3:1]": the range [3:1] ends before it begins`},
		{"ayaml cycle", AnsibleYAML, "a:\n  children:\n    b:\n      children:\n        a:\n", `standard input:5:9: group "a" cannot be a child of "b"`},
		{"ayaml empty", AnsibleYAML, "# nothing\n", `the inventory is empty`},
		{"ajson host", AnsibleJSON, `{"web": {"hosts": [1]}}`, `standard input:1:20: a host of group "web" is a number`},
		{"ajson cycle", AnsibleJSON, `{"a": {"children": ["b"]}, "b": {"children": ["a"]}}`, `standard input:1:47: group "a" cannot be a child of "b"`},
		{"ajson vars", AnsibleJSON, `{"_meta": {"hostvars": {"a": 1}}}`, `standard input:1:30: the variables of host "a" are a number`},
		{"sd object", PrometheusSD, `{"targets": []}`, `standard input:1:1: want a list of {targets, labels}`},
		{"sd element", PrometheusSD, `[{"targets": "web1"}]`, `standard input:1:2: want an object with a list named targets`},
		{"sd labels", PrometheusSD, `[{"targets": [], "labels": []}]`, `standard input:1:28: labels is a list`},
		{"sd yaml", PrometheusSD, "targets: [a]\n", `standard input:1:1: the document is an object`},
		{"cms", CMS, `{"error": "bad token"}`, `standard input:1:1: the answer has no list named result, its keys are error`},
		{"utf-16", "", "\xff\xfeh\x00", "standard input:1:1: the text is UTF-16"},
		{"gzip", "", "\x1f\x8b\x08\x00", "standard input:1:1: the input is compressed"},
		{"binary", "", "a\x00b", "standard input:1:1: the input is binary"},
		{"html", "", "\n<!DOCTYPE html><html>", "standard input:1:1: this is a web page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := collect(t.Context(), Reader{Path: "-", Format: tt.format, Stdin: strings.NewReader(tt.text)})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got  %v\nwant %s", err, tt.want)
			}
			if k := muster.KindOf(err); k != muster.KindInvalid {
				t.Errorf("kind %q", k)
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Line < 1 || e.Column < 1 {
				t.Errorf("no place in %+v", e)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name string
		r    Reader
		kind muster.Kind
		want string
	}{
		{"missing", Reader{Path: filepath.Join(dir, "nope.txt")}, muster.KindNotFound, "nope.txt: no such file or directory: check the path"},
		{"folder", Reader{Path: dir}, muster.KindInvalid, "it is a folder: name a file in it"},
		{"no name", Reader{}, muster.KindInvalid, "host file has no name"},
		{"format", Reader{Path: "x", Format: "xml"}, muster.KindInvalid, `host file format "xml" is unknown: use one of lines, csv`},
		{"each", Reader{Path: "x", Format: Lines, Each: true}, muster.KindInvalid, "format lines has no rows for --each: use one of csv"},
		{"path of csv", Reader{Path: "x", Format: CSV, JSONPath: "$.a"}, muster.KindInvalid, "a JSONPath selects in json and yaml, not in csv"},
		{"projection of csv", Reader{Path: "x", Format: CSV, Projection: "fqdn"}, muster.KindInvalid, "a projection is for cms queries"},
		{"no fetch", Reader{Path: "https://u:secret@h/x?token=secret"}, muster.KindInvalid, "read https://u:xxxxx@h/x?…: no way to fetch URLs was given"},
	}
	for _, tt := range tests {
		_, err := collect(t.Context(), tt.r)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
		if kinds := muster.KindOf(errors.Unwrap(err)); muster.KindOf(err) != tt.kind && kinds != tt.kind {
			t.Errorf("%s: kind %q, want %q", tt.name, muster.KindOf(err), tt.kind)
		}
	}
}

func TestEachWantsRecords(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "hosts.txt")
	if err := os.WriteFile(file, []byte("web1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := collect(t.Context(), Reader{Path: file, Each: true})
	if err == nil || !strings.Contains(err.Error(), "format lines has no rows for --each") {
		t.Errorf("got %v", err)
	}
}

// A line or a record without end is an error, not all the memory there is.
func TestHuge(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, format, head, want string }{
		{"line", Lines, "web1\n", "standard input:2:1: line longer than 16 MiB"},
		{"record", CSV, "host,x\nweb1,\"a\nb\"\nweb2,\"", "standard input:4:1: a record from here is longer than 16 MiB: is a quote not closed?"},
		{"element", JSON, "[\n\"", "a value larger than 16 MiB"},
		{"value", JSONL, "\"a\"\n\"", "a value larger than 16 MiB"},
		{"yaml", YAML, "a", "larger than 8 MiB: split it"},
	}
	for _, tt := range tests {
		in := &endless{head: tt.head}
		_, err := collect(t.Context(), Reader{Path: "-", Format: tt.format, Stdin: in})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestLoadLimit(t *testing.T) {
	t.Parallel()
	if text, err := newInput("x", strings.NewReader("12345")).load(5); string(text) != "12345" || err != nil {
		t.Errorf("at the limit: %q, %v", text, err)
	}
	if _, err := newInput("x", strings.NewReader("123456")).load(5); err == nil || !strings.Contains(err.Error(), "x: larger than 0 MiB: split it") {
		t.Errorf("beyond: %v", err)
	}
}

// endless gives its head and then one letter for ever.
type endless struct{ head string }

func (e *endless) Read(p []byte) (int, error) {
	if e.head != "" {
		n := copy(p, e.head)
		e.head = e.head[n:]
		return n, nil
	}
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
