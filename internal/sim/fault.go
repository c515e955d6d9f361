package sim

import (
	"bytes"
	"net/http"
	"strconv"
)

// reason is the text beside a status code; unknown codes have one too.
func reason(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Status"
}

// cut is nothing, or an answer that stops in the middle of its body.
func (a *answering) cut(inBody bool, end ending) plan {
	if !inBody {
		return plan{end: end}
	}
	p := a.respond(200)
	p.out = p.out[:len(p.out)-(len(a.scratch.body)+1)/2]
	p.end = end
	return p
}

// garbage is bytes that differ by address and never start an HTTP answer.
func (a *answering) garbage() plan {
	a.out = a.out[:0]
	for i := int64(0); int64(len(a.out)) < a.b.Size; i++ {
		word := draw(a.script.seed, a.ep.key, saltGarbage+uint64(i)<<8)
		for range 8 {
			a.out = append(a.out, byte(word)|0x80)
			word >>= 8
		}
	}
	return plan{out: a.out[:a.b.Size], end: endFIN}
}

var (
	fillerBody  = bytes.Repeat([]byte("all work and no play makes fleet a dull sim....\n"), 1<<14/48)
	fillerChunk = []byte("1000\r\n" + string(bytes.Repeat([]byte{'x'}, 0x1000)) + "\r\n")
	fillerHead  = []byte("X-Filler: " + string(bytes.Repeat([]byte{'x'}, 1000)) + "\r\n")
)

func (a *answering) oversized() plan {
	a.startHead(200)
	a.field("Content-Type", "text/plain")
	a.length(a.b.Size)
	a.endHead()
	p := plan{out: a.out, filler: fillerBody, fill: a.b.Size, end: a.ending()}
	if string(a.rq.method) == "HEAD" {
		p.fill = 0
	}
	return p
}

func (a *answering) endless() plan {
	a.close = true
	a.startHead(200)
	a.field("Content-Type", "text/plain")
	p := plan{fill: -1, end: endFIN}
	switch a.b.Where {
	case "head":
		p.out, p.filler = a.out, fillerHead
		return p
	case "chunked":
		a.field("Transfer-Encoding", "chunked")
		p.filler = fillerChunk
	default:
		p.filler = fillerBody
	}
	a.endHead()
	p.out = a.out
	return p
}

// conflict frames the body twice: by two lengths, or by a length and chunks.
func (a *answering) conflict() plan {
	a.close = true
	body := a.script.body.appendTo(a.scratch.body[:0], &a.instance)
	a.scratch.body = body
	a.startHead(200)
	a.length(int64(len(body)))
	if a.b.Where == "chunked" {
		a.field("Transfer-Encoding", "chunked")
		a.endHead()
		a.chunk(body)
		a.chunk(nil)
	} else {
		a.length(int64(len(body) / 2))
		a.endHead()
		a.out = append(a.out, body...)
	}
	return plan{out: a.out, end: endFIN}
}

// chunked is the ordinary answer in two chunks.
func (a *answering) chunked() plan {
	body := a.script.body.appendTo(a.scratch.body[:0], &a.instance)
	a.scratch.body = body
	if a.rq.http10 || string(a.rq.method) == "HEAD" {
		return a.respondWith(200, "application/json", body)
	}
	a.startHead(200)
	a.field("Content-Type", "application/json")
	a.field("Transfer-Encoding", "chunked")
	a.endHead()
	a.chunk(body[:(len(body)+1)/2])
	if tail := body[(len(body)+1)/2:]; len(tail) > 0 {
		a.chunk(tail)
	}
	if len(body) > 0 {
		a.chunk(nil)
	}
	return plan{out: a.out, end: a.ending()}
}

func (a *answering) chunk(b []byte) {
	a.out = strconv.AppendInt(a.out, int64(len(b)), 16)
	a.out = append(a.out, "\r\n"...)
	a.out = append(a.out, b...)
	a.out = append(a.out, "\r\n"...)
}

func (a *answering) redirect() plan {
	const landing = "/redirected"
	location := a.b.Where
	switch location {
	case "":
		if string(pathOnly(a.rq.path)) == landing {
			return a.respond(200)
		}
		location = landing
	case "loop":
		location = string(a.rq.path)
	}
	a.startHead(302)
	a.field("Location", location)
	a.length(0)
	a.endHead()
	return plan{out: a.out, end: a.ending()}
}
