package probe

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/vars"
)

// Probe does one exchange with t.
func (p *dnsProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	port, query, d := p.build(nil, &t)
	if d != nil {
		d.result(&r)
		return r
	}
	if ap, ok := resolve(ctx, &p.env, &t, port, &r); ok {
		newID(query)
		p.ask(ctx, &t, ap, query, &r)
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

// build returns where the query for t goes, and appends it, with id 0, to dst.
func (p *dnsProber) build(dst []byte, t *muster.Target) (port uint16, query []byte, d *defect) {
	if port, d = p.place.locate(t); d != nil {
		return 0, dst, d
	}
	query, err := p.appendQuery(dst, t)
	if err == nil {
		return port, query, nil
	}
	if _, missing := errors.AsType[*vars.MissingError](err); missing {
		return 0, dst, expansionDefect(err)
	}
	return 0, dst, &defect{"invalid name", err}
}

// ask puts the query to one server.
func (p *dnsProber) ask(ctx context.Context, t *muster.Target, ap netip.AddrPort, query []byte, r *muster.Result) {
	if p.spec.Transport == transportTCP || p.spec.Transport == transportTLS {
		p.askStream(ctx, t, ap, query, r)
		return
	}
	k := datagramTalk{env: &p.env, patience: p.patience, datagram: query, end: r.Started.Add(p.env.Timeout)}
	buf := p.buffers.get()
	defer p.buffers.put(buf)
	heard := dnsReplies{p: p, query: query}
	k.run(ctx, ap, &heard, buf[:], r)
	if heard.cut {
		p.askAgain(ctx, t, ap, query, r)
	}
}

// askAgain puts a query over TCP whose answer over UDP was cut.
func (p *dnsProber) askAgain(ctx context.Context, t *muster.Target, ap netip.AddrPort, query []byte, r *muster.Result) {
	*r = muster.Result{Started: r.Started, Address: r.Address, Timings: r.Timings, Sent: true}
	newID(query)
	p.askStream(ctx, t, ap, query, r)
	if r.Outcome == muster.Failed {
		r.Detail = "the answer over UDP was truncated; then over TCP: " + r.Detail
	}
	for i := range r.Fields {
		if r.Fields[i].Name == "tc" {
			r.Fields[i].Value = true
		}
	}
}

// dnsReplies are what has come back of one query over UDP.
type dnsReplies struct {
	p       *dnsProber
	query   []byte
	answer  muster.Result // what the answer made of it
	got     bool
	cut     bool // the answer is to be asked for over TCP
	garbage int
	last    string // why the last one was no answer
}

// take looks for the answer; what is none is only counted, so that nobody can end an exchange by garbage.
func (h *dnsReplies) take(b []byte) (done bool, next time.Duration) {
	why := mismatch(h.query, b)
	if why == "" {
		if truncated(b) && !h.p.spec.NoTCP {
			h.cut = true
			return true, 0
		}
		if h.p.readAnswer(b, &h.answer) {
			h.got = true
			return true, 0
		}
		why = "malformed"
	}
	h.garbage++
	h.last = why
	return false, 0
}

// ended says how the exchange went.
func (h *dnsReplies) ended(r *muster.Result, sent int, err error) {
	switch {
	case h.cut:
	case h.got:
		a := &h.answer
		r.Outcome, r.Code, r.Status, r.Body, r.Truncated = a.Outcome, a.Code, a.Status, a.Body, a.Truncated
		r.Fields, r.Transient = a.Fields, a.Transient
	case !errors.Is(err, os.ErrDeadlineExceeded):
		failIn(r, err, dial.PhaseExchange)
	case h.garbage > 0:
		r.Outcome, r.Failure, r.Reason, r.Transient = muster.Failed, muster.FailProtocol, "no usable answer", true
		r.Detail = fmt.Sprintf("%d datagrams that are no answer to this question came; the last one: %s", h.garbage, h.last)
	default:
		silent(r, sent, time.Since(r.Started))
	}
}

// askStream puts the query over TCP or TLS.
func (p *dnsProber) askStream(ctx context.Context, t *muster.Target, ap netip.AddrPort, query []byte, r *muster.Result) {
	end := r.Started.Add(p.env.Timeout)
	began := time.Now()
	dctx, stop := context.WithDeadline(ctx, earlier(began.Add(p.env.ConnectTimeout), end))
	raw, err := p.env.Dialer.Dial(dctx, ap)
	stop()
	r.Timings.Connect = time.Since(began)
	if err != nil {
		if !cancel(ctx, r) {
			failIn(r, err, dial.PhaseConnect)
		}
		return
	}
	hangUp := context.AfterFunc(ctx, func() { raw.Close() })
	err = p.stream(raw, t, query, end, r)
	hangUp()
	raw.Close()
	switch {
	case err == nil || cancel(ctx, r):
	case p.spec.Transport == transportTLS && (isTLSError(err) || !r.Sent && !errors.Is(err, os.ErrDeadlineExceeded)):
		failTLS(r, err)
	default:
		fail(r, err)
	}
}

// stream speaks over an open connection.
func (p *dnsProber) stream(raw net.Conn, t *muster.Target, query []byte, end time.Time, r *muster.Result) error {
	if err := raw.SetDeadline(end); err != nil {
		return err
	}
	c := raw
	if p.spec.Transport == transportTLS {
		name, err := p.serverName(t)
		if err != nil {
			return err
		}
		config := p.tls.Clone()
		config.ServerName = name
		began := time.Now()
		tc := tls.Client(raw, config)
		err = tc.Handshake()
		r.Timings.TLS = time.Since(began)
		if err != nil {
			return err
		}
		c = tc
	}
	n, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...))
	r.Sent = r.Sent || n > 0
	if err != nil {
		return err
	}
	written := time.Now()
	answer, err := readFramed(c, func() { r.Timings.FirstByte = time.Since(written) })
	if err != nil {
		return err
	}
	if why := mismatch(query, answer); why != "" {
		return &fault{muster.FailProtocol, "no usable answer", "the answer is none to this question: " + why, false}
	}
	if !p.readAnswer(answer, r) {
		return malformed("answer", answer)
	}
	return nil
}

// readFramed reads one message behind its length.
func readFramed(c io.Reader, begun func()) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	begun()
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(c, b)
	return b, err
}

func (p *dnsProber) serverName(t *muster.Target) (string, error) {
	if p.sni == nil {
		return strings.TrimSuffix(t.Host, "."), nil
	}
	return p.sni.Expand(t)
}

// Check reports why t would end invalid.
func (p *dnsProber) Check(t *muster.Target) error {
	_, _, d := p.build(nil, t)
	if d != nil {
		return d.err
	}
	_, err := p.serverName(t)
	return err
}

// Preview returns the question after a line with its destination.
func (p *dnsProber) Preview(t *muster.Target) (string, error) {
	port, query, d := p.build(nil, t)
	if d != nil {
		return "", d.err
	}
	name, _, err := dns.UnpackDomainName(query, dnsHead)
	if err != nil {
		return "", err
	}
	if p.name != nil && p.name.Secret() {
		if name, err = p.name.Redacted(t); err != nil {
			return "", err
		}
	}
	return previewHead(p.transport(), t, port) + name + " " + dns.Class(p.class).String() + " " + dns.Type(p.rrtype).String() + p.options(), nil
}

func (p *dnsProber) transport() string {
	if p.spec.Transport == "" {
		return transportUDP
	}
	return p.spec.Transport
}

// options says what is asked for besides.
func (p *dnsProber) options() string {
	var b strings.Builder
	for _, o := range []struct {
		on   bool
		text string
	}{
		{!p.spec.NoRecurse, "recursion"}, {p.spec.DNSSEC, "dnssec"}, {p.spec.NoCheck, "no check"}, {p.spec.NSID, "nsid"}, {p.spec.NoEDNS, "no edns"},
	} {
		if o.on {
			b.WriteString(", " + o.text)
		}
	}
	return b.String()
}
