package sim

import (
	"bytes"
	"encoding/json"
)

// echo answers the two paths that tell a client what it sent, or reports that
// the path is another.
func (s *script) echo(w *scratch, rq *request) (plan, bool) {
	if len(rq.path) < len("/echo") || rq.path[1] != 'e' && rq.path[1] != 'h' {
		return plan{}, false
	}
	reply := map[string]any{"headers": headerMap(rq.headers)}
	switch string(pathOnly(rq.path)) {
	case "/headers":
	case "/echo":
		reply["method"], reply["path"], reply["body"] = string(rq.method), string(rq.path), string(rq.body)
		reply["length"] = rq.length
	default:
		return plan{}, false
	}
	body, err := json.Marshal(reply)
	if err != nil {
		body = []byte("{}")
	}
	s.echoed.Add(1)
	a := answering{scratch: w, script: s, rq: rq, close: rq.close || s.once}
	return a.respondWith(200, "application/json", append(body, '\n')), true
}

// headerMap lists the values of each header under its name as sent.
func headerMap(lines []byte) map[string][]string {
	headers := map[string][]string{}
	for len(lines) > 0 {
		var line []byte
		line, lines = cutLine(lines)
		if name, value, ok := bytes.Cut(line, []byte{':'}); ok {
			headers[string(name)] = append(headers[string(name)], string(bytes.TrimSpace(value)))
		}
	}
	return headers
}
