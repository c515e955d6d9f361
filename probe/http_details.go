package probe

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/andybalholm/brotli"
	"golang.org/x/net/http/httpproxy"

	"github.com/musterhq/muster"
)

// The fields of Details.
const (
	fieldVersion   = "http.version"
	fieldTLS       = "http.tls"
	fieldRedirects = "http.redirects"
)

// decodings are the choices of Decode.
var decodings = []string{"", "identity", "gzip", "deflate", "br"}

// looksCloser reports whether the spec asks for something that only the path through net/http does.
func (h *HTTP) looksCloser() bool { return h.Details || h.Drain || h.Decode != "" || h.OAuth2 != nil }

func detailsOf(resp *http.Response) []muster.Field {
	redirects := 0.0
	for from := resp.Request.Response; from != nil; from = from.Request.Response {
		redirects++
	}
	return []muster.Field{{Name: fieldVersion, Value: resp.Proto}, {Name: fieldTLS, Value: resp.TLS != nil}, {Name: fieldRedirects, Value: redirects}}
}

// unpacked returns the body as Decode says.
func (h *HTTP) unpacked(body io.Reader) (io.Reader, error) {
	switch h.Decode {
	case "gzip":
		zr, err := gzip.NewReader(body)
		if err != nil {
			return nil, codingError(err)
		}
		return codedReader{zr}, nil
	case "deflate":
		return codedReader{flate.NewReader(body)}, nil
	case "br":
		b := bufio.NewReader(body)
		if _, err := b.Peek(1); err == io.EOF { // nothing is a stream of nothing
			return b, nil
		}
		return codedReader{brotli.NewReader(b)}, nil
	}
	return body, nil
}

// codedReader tells the mistakes of a compressed stream from those of the connection.
type codedReader struct{ io.Reader }

func (r codedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = codingError(err)
	}
	return n, err
}

func codingError(err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	if corrupt || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) ||
		errors.Is(err, gzip.ErrChecksum) || strings.HasPrefix(err.Error(), "brotli:") {
		return badCoding(err)
	}
	return err
}

// proxying is what of a proxy is the same for all targets.
type proxying struct {
	header http.Header // of CONNECT
	except func(*url.URL) (*url.URL, error)
}

func (c *compiler) proxying() {
	h, p := &c.p.spec, &c.p.through
	if len(h.NoProxy) > 0 {
		// The proxy's own address does not matter for the question whether there is one.
		p.except = (&httpproxy.Config{HTTPProxy: "http://proxy", HTTPSProxy: "http://proxy", NoProxy: strings.Join(h.NoProxy, ",")}).ProxyFunc()
	}
	for _, f := range h.ProxyHeader {
		t := c.parse("proxy_header "+f.Name, f.Value)
		if t == nil {
			continue
		}
		value, err := t.Expand(&muster.Target{})
		if err == nil {
			err = checkHeaderValue("proxy_header "+f.Name, value)
		}
		if err != nil {
			c.add(muster.Errorf(muster.KindInvalid, "proxy_header %s: %w", f.Name, err))
			continue
		}
		if p.header == nil {
			p.header = http.Header{}
		}
		p.header.Add(f.Name, value)
	}
}

// proxyFor returns the proxy for a request, nil for none.
func (p *httpProber) proxyFor(req *http.Request) (*url.URL, error) {
	proxy := hopOf(req.Context()).proxy
	if proxy == nil || p.through.except == nil {
		return proxy, nil
	}
	through, err := p.through.except(req.URL)
	if err != nil {
		return nil, fmt.Errorf("no_proxy: %w", err)
	}
	if through == nil {
		return nil, nil
	}
	return proxy, nil
}
