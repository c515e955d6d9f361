package probe

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// request is one target's request. Its buffer is reused.
type request struct {
	https bool
	host  string // to dial and verify; without brackets
	addr  netip.Addr
	port  uint16
	path  string // as sent
	raw   []byte // the whole request
	text  []byte // scratch
}

// defect is what makes one target invalid.
type defect struct {
	reason string
	err    error
}

func (d *defect) result(r *muster.Result) {
	r.Outcome, r.Reason, r.Detail = muster.Invalid, d.reason, d.err.Error()
}

// expansionDefect names the missing variable, so that targets that lack the same one are grouped.
func expansionDefect(err error) *defect {
	if e, ok := errors.AsType[*vars.MissingError](err); ok {
		return &defect{"missing variable " + e.Variable, err}
	}
	return &defect{"template", err}
}

// build fills q with the request to t. With redact it is the one to be shown.
func (p *httpProber) build(q *request, t *muster.Target, redact bool) *defect {
	if d := p.locate(q, t, redact); d != nil {
		return d
	}
	q.raw = append(q.raw[:0], p.method...)
	q.raw = append(q.raw, ' ')
	q.raw = append(q.raw, q.path...)
	q.raw = append(q.raw, " HTTP/1.1\r\nHost: "...)
	if d := p.appendHost(q, t, redact); d != nil {
		return d
	}
	q.raw = append(q.raw, "\r\n"...)
	if p.tail != nil && !redact {
		q.raw = append(q.raw, p.tail...)
		return nil
	}
	raw, err := p.appendTail(q.raw, t, redact)
	if err != nil {
		if muster.KindOf(err) == muster.KindInvalid && strings.Contains(err.Error(), "control character") {
			return &defect{"invalid header", err}
		}
		return expansionDefect(err)
	}
	q.raw = raw
	return nil
}

// locate fills in where the request goes.
func (p *httpProber) locate(q *request, t *muster.Target, redact bool) *defect {
	u := &p.url.static
	if p.url.text != nil {
		parts, d := p.expandURL(q, t, redact)
		if d != nil {
			return d
		}
		u = &parts
	}
	q.path = u.path
	if u.scheme != "" {
		q.https, q.host, q.addr, q.port = u.scheme == "https", u.host, u.addr, u.port
	} else {
		if d := p.locateTarget(q, t, u.path == ""); d != nil {
			return d
		}
	}
	if q.path == "" {
		q.path = "/"
	}
	if q.port == 0 {
		q.port = defaultPort(q.https)
	}
	if p.spec.HTTP3 && !q.https {
		return &defect{"invalid scheme", muster.Errorf(muster.KindInvalid, "scheme http: HTTP/3 is spoken over https alone")}
	}
	return nil
}

func defaultPort(https bool) uint16 {
	if https {
		return 443
	}
	return 80
}

// locateTarget takes scheme, host and port from the target, and the path as well when there is no other.
func (p *httpProber) locateTarget(q *request, t *muster.Target, path bool) *defect {
	q.host, q.addr, q.port = t.Host, t.Addr, t.Port
	if !q.addr.IsValid() {
		if err := checkHost(t.Host); err != nil {
			return &defect{"invalid host", err}
		}
	}
	if d := p.setScheme(q, t); d != nil {
		return d
	}
	if q.port == 0 && p.port != nil {
		text, err := p.port.Expand(t)
		if err != nil {
			return expansionDefect(err)
		}
		if q.port, err = parsePort(text); err != nil {
			return &defect{"invalid port", err}
		}
	}
	if path && t.Path != "" {
		clean, err := cleanPath(t.Path)
		if err != nil {
			return &defect{"invalid url", err}
		}
		q.path = clean
	}
	return nil
}

func (p *httpProber) setScheme(q *request, t *muster.Target) *defect {
	scheme := t.Scheme
	if scheme == "" && p.scheme != nil {
		s, err := p.scheme.Expand(t)
		if err != nil {
			return expansionDefect(err)
		}
		scheme = s
	}
	switch scheme {
	case "":
		q.https = p.spec.HTTP3
	case "http":
		q.https = false
	case "https":
		q.https = true
	default:
		return &defect{"invalid scheme", muster.Errorf(muster.KindInvalid, "scheme %q: want http or https", scheme)}
	}
	return nil
}

func (p *httpProber) expandURL(q *request, t *muster.Target, redact bool) (urlParts, *defect) {
	b, err := expand(q.text[:0], p.url.text, t, redact)
	if err != nil {
		return urlParts{}, expansionDefect(err)
	}
	q.text = b
	if len(b) == 0 {
		return urlParts{}, nil
	}
	parts, err := splitURL(string(b))
	if err != nil {
		if p.url.text.Secret() {
			err = muster.Errorf(muster.KindInvalid, "url: malformed; it is not shown because it holds a secret")
		}
		return urlParts{}, &defect{"invalid url", err}
	}
	return parts, nil
}

// appendHost appends the Host field's value: the given one, else host and port.
func (p *httpProber) appendHost(q *request, t *muster.Target, redact bool) *defect {
	if p.host == nil {
		q.raw = appendAuthority(q.raw, q)
		return nil
	}
	n := len(q.raw)
	raw, err := expand(q.raw, p.host, t, redact)
	if err != nil {
		return expansionDefect(err)
	}
	if err := checkHeaderValue("header Host", raw[n:]); err != nil {
		return &defect{"invalid header", err}
	}
	q.raw = raw
	return nil
}

// appendAuthority appends host and port as in a URL: default ports and IPv6 zones left out.
func appendAuthority(dst []byte, q *request) []byte {
	switch {
	case !q.addr.IsValid():
		dst = append(dst, q.host...)
	case q.addr.Is4():
		dst = q.addr.AppendTo(dst)
	default:
		dst = append(dst, '[')
		dst = q.addr.WithZone("").AppendTo(dst)
		dst = append(dst, ']')
	}
	if q.port != defaultPort(q.https) {
		dst = append(dst, ':')
		dst = strconv.AppendUint(dst, uint64(q.port), 10)
	}
	return dst
}

// appendTail appends what follows the Host field: the other fields and the body.
func (p *httpProber) appendTail(dst []byte, t *muster.Target, redact bool) ([]byte, error) {
	for i := range p.fields {
		f := &p.fields[i]
		dst = append(append(dst, f.name...), ": "...)
		n := len(dst)
		var err error
		if dst, err = f.appendValue(dst, t, redact); err != nil {
			return dst, err
		}
		if err := checkHeaderValue("header "+f.name, dst[n:]); err != nil {
			return dst, err
		}
		dst = append(dst, "\r\n"...)
	}
	body, err := p.appendBody(nil, t, redact)
	if err != nil {
		return dst, err
	}
	if len(body) > 0 || p.method == "POST" || p.method == "PUT" || p.method == "PATCH" {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, body...), nil
}

func (p *httpProber) appendBody(dst []byte, t *muster.Target, redact bool) ([]byte, error) {
	if p.body != nil {
		return expand(dst, p.body, t, redact)
	}
	dst = append(dst, p.rawBody...)
	for i, f := range p.form {
		if i > 0 {
			dst = append(dst, '&')
		}
		value, err := expand(nil, f.value, t, redact)
		if err != nil {
			return dst, err
		}
		dst = append(append(dst, f.name...), '=')
		dst = append(dst, escapeQuery(string(value))...)
	}
	return dst, nil
}

func escapeQuery(s string) string { return url.QueryEscape(s) }

// Check reports why t would end invalid.
func (p *httpProber) Check(t *muster.Target) error {
	var q request
	if d := p.build(&q, t, false); d != nil {
		return d.err
	}
	return nil
}

// Preview returns the request line, header and body as they would be sent, after a line with the URL.
func (p *httpProber) Preview(t *muster.Target) (string, error) {
	var q request
	if d := p.build(&q, t, true); d != nil {
		return "", d.err
	}
	scheme := "http://"
	if q.https {
		scheme = "https://"
	}
	to := scheme + string(appendAuthority(nil, &q)) + q.path
	return "# " + to + "\n" + strings.ReplaceAll(string(q.raw), "\r\n", "\n"), nil
}
