package sim

import (
	"bytes"
	"errors"
	"strconv"
)

const (
	maxHead  = 64 << 10 // bytes of request line and headers
	maxLine  = 4 << 10  // bytes of one chunk-size or trailer line
	keptBody = 1 << 20  // bytes of a request body that /echo can return
)

var (
	errMalformed = errors.New("malformed request")
	errHeadSize  = errors.New("request head exceeds 64 KiB")
)

// request is one parsed request. Its slices alias the parser's input and are
// valid until the parser is reset.
type request struct {
	method, path []byte // the path includes the query
	headers      []byte // header lines, without the request line and the empty line
	body         []byte // kept for /echo only
	line         []byte // of the TCP service, without its end; or a DNS message
	http10       bool
	close        bool  // the client does not want the connection kept
	length       int64 // bytes of body received
}

// parser reads requests from a stream in pieces of any size. The zero value is
// ready; after a finished request it must be reset.
type parser struct {
	phase phase
	// expects is set when the client waits for "100 Continue"; the caller
	// answers and clears it.
	expects bool
	keep    bool    // collect the body
	service Service // what the listener speaks
	left    int64   // bytes of body or chunk still to come
	head    []byte  // head carried over between pieces
	line    []byte  // chunk-size or trailer line carried over
	rq      request
}

type phase uint8

const (
	inHead phase = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	finished
)

// started reports whether part of a request has arrived.
func (p *parser) started() bool { return p.phase != inHead || len(p.head) > 0 }

func (p *parser) reset() {
	*p = parser{service: p.service, head: p.head[:0], line: p.line[:0], rq: request{body: p.rq.body[:0]}}
}

// feed consumes bytes up to the end of the request. After done, the bytes from
// used on belong to the next request. The request may alias data.
func (p *parser) feed(data []byte) (used int, done bool, err error) {
	switch p.service {
	case TCP:
		used, done = p.feedText(data)
		return used, done, nil
	case DNS:
		used, done = p.feedFrame(data)
		return used, done, nil
	}
	if p.phase == inHead {
		if used, err = p.feedHead(data); err != nil || p.phase == inHead {
			return used, false, err
		}
	}
	n, err := p.feedBody(data[used:])
	used += n
	if p.phase == finished || err != nil {
		return used, err == nil, err
	}
	return used, false, p.own()
}

func (p *parser) feedHead(data []byte) (int, error) {
	if len(p.head) == 0 {
		if end := headEnd(data, 0); end > 0 {
			return end, p.parseHead(data[:end])
		}
	}
	old := len(p.head)
	p.head = append(p.head, data...)
	end := headEnd(p.head, max(0, old-3))
	if end > maxHead || end < 0 && len(p.head) > maxHead {
		return len(data), errHeadSize
	}
	if end < 0 {
		return len(data), nil
	}
	p.head = p.head[:end]
	return end - old, p.parseHead(p.head)
}

// trimBlank drops the empty lines that may precede a request line.
func trimBlank(b []byte) []byte { return bytes.TrimLeft(b, "\r\n") }

// headEnd is the index after the empty line that ends a head, or -1. Bare line
// feeds end lines too.
func headEnd(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		rest := b[from:]
		switch {
		case len(trimBlank(b[:from])) == 0:
		case len(rest) > 0 && rest[0] == '\n':
			return from + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return from + 2
		}
	}
}

// own copies a head that aliases the caller's buffer, so that it survives until
// the body is complete.
func (p *parser) own() error {
	if len(p.head) > 0 {
		return nil
	}
	start := bytes.Join([][]byte{p.rq.method, p.rq.path}, []byte{' '})
	p.head = append(p.head, start...)
	p.head = append(p.head, p.rq.headers...)
	m, t := len(p.rq.method), len(start)
	p.rq.method, p.rq.path, p.rq.headers = p.head[:m], p.head[m+1:t], p.head[t:]
	return nil
}

func (p *parser) parseHead(head []byte) error {
	head = trimBlank(head)
	line, headers := cutLine(head)
	method, rest, ok := bytes.Cut(line, []byte{' '})
	path, proto, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || len(method) == 0 || len(path) == 0 || !bytes.HasPrefix(proto, []byte("HTTP/1.")) {
		return errMalformed
	}
	if path[0] != '/' {
		path = originForm(path)
	}
	http10 := bytes.Equal(proto, []byte("HTTP/1.0"))
	p.rq.method, p.rq.path, p.rq.http10, p.rq.close = method, path, http10, http10
	p.keep = bytes.Equal(pathOnly(path), []byte("/echo"))
	p.phase = finished
	for rest := headers; ; {
		line, after := cutLine(rest)
		if len(line) == 0 {
			p.rq.headers = headers[:len(headers)-len(rest)]
			return nil
		}
		if err := p.header(line); err != nil {
			return err
		}
		rest = after
	}
}

// originForm reduces an absolute URL, as proxies are sent it, to its path.
func originForm(target []byte) []byte {
	_, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok {
		return target
	}
	if i := bytes.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return []byte("/")
}

func pathOnly(path []byte) []byte {
	path, _, _ = bytes.Cut(path, []byte{'?'})
	return path
}

// cutLine splits off a line and its line end.
func cutLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), rest
}

// header takes note of the headers that frame the body or end the connection;
// their first letters sort the others out cheaply.
func (p *parser) header(line []byte) error {
	switch line[0] | 0x20 {
	case 'c', 't', 'e':
	default:
		return nil
	}
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok {
		return errMalformed
	}
	value = bytes.TrimSpace(value)
	switch {
	case asciiEqual(name, "connection"):
		p.rq.close = p.rq.http10 && !asciiContains(value, "keep-alive") || asciiContains(value, "close")
	case asciiEqual(name, "content-length"):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return errMalformed
		}
		if p.phase != inChunkSize && n > 0 {
			p.phase, p.left = inBody, n
		}
	case asciiEqual(name, "transfer-encoding"):
		if asciiContains(value, "chunked") {
			p.phase = inChunkSize
		}
	case asciiEqual(name, "expect"):
		p.expects = asciiEqual(value, "100-continue")
	}
	return nil
}

// feedBody runs the phases after the head.
func (p *parser) feedBody(data []byte) (used int, err error) {
	for used < len(data) && p.phase != finished {
		rest := data[used:]
		var n int
		switch p.phase {
		case inBody, inChunk:
			n = p.take(rest)
		default:
			n, err = p.feedLine(rest)
		}
		used += n
		if err != nil {
			return used, err
		}
	}
	return used, nil
}

func (p *parser) take(b []byte) int {
	b = b[:min(int64(len(b)), p.left)]
	p.left -= int64(len(b))
	p.rq.length += int64(len(b))
	if room := keptBody - len(p.rq.body); p.keep && room > 0 {
		p.rq.body = append(p.rq.body, b[:min(len(b), room)]...)
	}
	if p.left == 0 {
		if p.phase == inBody {
			p.phase = finished
		} else {
			p.phase = inChunkEnd
		}
	}
	return len(b)
}

// feedLine collects one line of the chunked framing and acts on it.
func (p *parser) feedLine(b []byte) (int, error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		p.line = append(p.line, b...)
		if len(p.line) > maxLine {
			return len(b), errMalformed
		}
		return len(b), nil
	}
	p.line = append(p.line, b[:i]...)
	line := bytes.TrimSpace(p.line)
	p.line = p.line[:0]
	return i + 1, p.chunkLine(line)
}

func (p *parser) chunkLine(line []byte) error {
	switch p.phase {
	case inChunkEnd:
		if len(line) > 0 {
			return errMalformed
		}
		p.phase = inChunkSize
	case inTrailer:
		if len(line) == 0 {
			p.phase = finished
		}
	default:
		size, _, _ := bytes.Cut(line, []byte{';'})
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || n < 0 {
			return errMalformed
		}
		p.phase, p.left = inChunk, n
		if n == 0 {
			p.phase = inTrailer
		}
	}
	return nil
}

// asciiEqual compares without regard to case; want is lower case.
func asciiEqual(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i := range b {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return false
		}
	}
	return true
}

func asciiContains(b []byte, want string) bool {
	for i := 0; i+len(want) <= len(b); i++ {
		if asciiEqual(b[i:i+len(want)], want) {
			return true
		}
	}
	return false
}
