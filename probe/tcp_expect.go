package probe

import (
	"bytes"
	"fmt"
	"io"
)

// expect reads until the expectation is met.
func (k *talk) expect(st *tcpStep, fields []pieces) error {
	k.seen, k.missed = k.at, false
	for {
		if k.met(st, false) {
			break
		}
		if st.next && (k.missed || st.re == nil && k.differs(st.bytes)) {
			return k.unmet(st, nil)
		}
		err := k.read(true)
		if err == nil {
			continue
		}
		if err != io.EOF && err != errIdle {
			return err
		}
		if k.met(st, true) {
			break
		}
		if err == errIdle {
			k.ended = nil
		}
		return k.unmet(st, err)
	}
	k.compose(st, fields)
	return nil
}

// unmet is the end of an expectation: of a peer that has said nothing since its turn began, or something else.
func (k *talk) unmet(st *tcpStep, err error) error {
	switch {
	case err == io.EOF && len(k.in) == 0:
		return errNoAnswer
	case err == io.EOF && !k.fresh:
		return errLeft
	}
	last := bytes.TrimRight(k.in, "\r\n")
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	return &unmet{st.reason, fmt.Sprintf("got %q", last[:min(len(last), maxQuote)])}
}

// met looks for the expectation in what came. last says that nothing more comes.
func (k *talk) met(st *tcpStep, last bool) bool {
	switch {
	case st.re == nil:
		return k.metBytes(st.bytes, st.next)
	case st.raw:
		from := max(k.at, len(k.in)-rawWindow)
		if k.seen == len(k.in) && !last {
			return false
		}
		k.seen = len(k.in)
		return k.match(st, k.in[from:], from, -1)
	}
	for k.at < len(k.in) {
		end, next := bytes.IndexByte(k.in[k.seen:], '\n'), 0
		switch {
		case end >= 0:
			end += k.seen
			next = end + 1
		case last:
			end, next = len(k.in), len(k.in)
		default:
			k.seen = len(k.in)
			return false
		}
		line := bytes.TrimSuffix(k.in[k.at:end], []byte{'\r'})
		if k.match(st, line, k.at, next) {
			return true
		}
		k.at, k.seen = next, next
		if st.next {
			k.missed = true
			return false
		}
	}
	return false
}

// differs reports whether what came next cannot become what is wanted.
func (k *talk) differs(want string) bool {
	n := min(len(k.in)-k.at, len(want))
	return string(k.in[k.at:k.at+n]) != want[:n]
}

func (k *talk) metBytes(want string, next bool) bool {
	i := bytes.Index(k.in[k.at:], []byte(want))
	if i < 0 || next && i > 0 {
		return false
	}
	k.at += i + len(want)
	k.groups = []string{want}
	return true
}

// match holds the pattern against text, which stands at from. What is used of the input then ends at next, or with the
// match if that is negative.
func (k *talk) match(st *tcpStep, text []byte, from, next int) bool {
	end := k.hold(st.re, text)
	if end < 0 {
		return false
	}
	if next < 0 {
		next = from + end
	}
	k.at, k.seen = next, next
	return true
}
