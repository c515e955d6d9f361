package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/musterhq/muster"
)

// Probe does the call to t.
func (p *grpcProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	c, d := p.build(&t, false)
	if d != nil {
		d.result(&r)
		return r
	}
	if raw := connect(ctx, &p.env, c.endpoint, &r); raw != nil {
		stop := context.AfterFunc(ctx, func() { raw.Close() })
		p.talk(ctx, raw, c, &r)
		stop()
		raw.Close() // a second time after a cancel, which does no harm
	}
	r.Timings.Total = time.Since(r.Started)
	return r
}

// talk does the call over raw, TLS first if it is to be.
func (p *grpcProber) talk(ctx context.Context, raw net.Conn, c *call, r *muster.Result) {
	end := r.Started.Add(p.env.Timeout)
	err := raw.SetDeadline(end)
	conn, inTLS := raw, false
	if err == nil && c.secure {
		conn, err = p.handshake(raw, c, r)
		inTLS = err != nil
	}
	var a grpcAnswer
	if err == nil {
		a, err = converseGRPC(conn, c, end, r)
	}
	switch {
	case err == nil:
		err = p.answered(r, &a)
		if err != nil {
			fail(r, err)
		}
	case cancel(ctx, r):
	case inTLS || c.secure && isTLSError(err):
		failTLS(r, err)
	default:
		fail(r, err)
	}
}

func (p *grpcProber) handshake(raw net.Conn, c *call, r *muster.Result) (net.Conn, error) {
	began := time.Now()
	cfg := p.tls.Clone()
	cfg.ServerName = c.sni
	conn := tls.Client(raw, cfg)
	err := conn.Handshake()
	r.Timings.TLS = time.Since(began)
	return conn, err
}

// The faults of a peer that does not speak gRPC.
var (
	errHTTP1    = &fault{muster.FailProtocol, "peer speaks HTTP/1", "the peer answered in HTTP/1: this is no gRPC server", false}
	errNoStatus = &fault{muster.FailProtocol, "no grpc-status", "the answer ended without a grpc-status", false}
	errAnswer   = &fault{muster.FailTooLarge, "answer too large", "the answer to a health check is larger than 4 KiB", false}
	errGoAway   = &fault{muster.FailReset, "goaway", "the server is going away and did not take the call", true}
)

// grpcAnswer is how a call ended.
type grpcAnswer struct {
	status  int
	message string
	data    []byte
}

// converseGRPC writes the call and reads until its end.
func converseGRPC(conn net.Conn, c *call, end time.Time, r *muster.Result) (a grpcAnswer, err error) {
	n, err := conn.Write(appendCall(make([]byte, 0, 512), c, time.Until(end)))
	r.Sent = n > 0
	if err != nil {
		return a, err
	}
	written := time.Now()
	in := &protocolReader{r: conn, first: func() { r.Timings.FirstByte = time.Since(written) }}
	a, err = readCall(conn, in)
	if errors.Is(err, io.EOF) && in.n == 0 {
		err = errNoAnswer
	}
	return a, err
}

// readCall reads frames until the call has ended, and answers those that ask for it.
func readCall(w io.Writer, in io.Reader) (a grpcAnswer, err error) {
	fr := http2.NewFramer(w, bufio.NewReaderSize(in, 1<<10))
	fr.SetReuseFrames()
	fr.SetMaxReadFrameSize(maxFrame)
	fr.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	fr.MaxHeaderListSize = maxAnswerHeader
	s := callState{answer: &a}
	for !s.ended {
		f, err := fr.ReadFrame()
		if errors.Is(err, io.EOF) && s.unsent != nil {
			err = s.unsent // the error of a reset socket is told once
		}
		if err != nil {
			return a, frameError(err)
		}
		if f.Header().StreamID == callStream {
			err = s.onStream(f)
		} else {
			err = s.onConnection(fr, f)
		}
		if err != nil {
			return a, err
		}
	}
	if !s.closed {
		return a, errNoStatus
	}
	return a, nil
}

// frameError makes an error of the frames' reader one of the peer's. Errors of the socket stay.
func frameError(err error) error {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	_, conn := errors.AsType[http2.ConnectionError](err)
	_, stream := errors.AsType[http2.StreamError](err)
	if conn || stream || errors.Is(err, http2.ErrFrameTooLarge) {
		return &fault{muster.FailProtocol, "malformed http/2", err.Error(), false}
	}
	return err
}

// callState follows the call's stream.
type callState struct {
	answer *grpcAnswer
	header bool // the first one has come
	ended  bool // nothing more will come
	closed bool // with a grpc-status
	unsent error
}

func (s *callState) onConnection(fr *http2.Framer, f http2.Frame) error {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			s.unsent = fr.WriteSettingsAck() // what a peer that has gone left behind is read first
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			s.unsent = fr.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		if f.LastStreamID < callStream {
			return &fault{errGoAway.failure, errGoAway.reason, "goaway " + f.ErrCode.String() + ": " + string(f.DebugData()), true}
		}
	}
	return nil
}

func (s *callState) onStream(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		if f.Truncated {
			return errHeadTooLarge
		}
		s.ended = f.StreamEnded()
		if !s.header {
			s.header = true
			if err := checkResponse(f); err != nil {
				return err
			}
		}
		return s.status(f)
	case *http2.DataFrame:
		s.ended = f.StreamEnded()
		if !s.header {
			return malformed("http/2: data before the header", nil)
		}
		s.answer.data = append(s.answer.data, f.Data()...)
		if len(s.answer.data) > maxAnswer {
			return errAnswer
		}
	case *http2.RSTStreamFrame:
		return &fault{muster.FailReset, "stream reset", "the server reset the call: " + f.ErrCode.String(), true}
	}
	return nil
}

// checkResponse looks at the first header: a server of something else shows there.
func checkResponse(f *http2.MetaHeadersFrame) error {
	kind, status := "", f.PseudoValue("status")
	for _, h := range f.RegularFields() {
		if h.Name == "content-type" {
			kind = h.Value
		}
	}
	if status != "200" {
		busy := status == "429" || status == "502" || status == "503" || status == "504"
		return &fault{muster.FailProtocol, "http status " + shortWord(status), "the answer is of HTTP, not of gRPC: status " + shortWord(status), busy}
	}
	if !strings.HasPrefix(kind, "application/grpc") {
		return &fault{muster.FailProtocol, "not grpc", "the answer has the content type " + strconv.Quote(kind) + ", want application/grpc", false}
	}
	return nil
}

func shortWord(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxQuote)], "?") }

// status takes the call's status from a header that ends it.
func (s *callState) status(f *http2.MetaHeadersFrame) error {
	for _, h := range f.RegularFields() {
		switch h.Name {
		case "grpc-status":
			n, err := strconv.ParseUint(h.Value, 10, 31)
			if err != nil {
				return malformed("grpc-status", []byte(h.Value))
			}
			s.answer.status, s.closed = int(n), f.StreamEnded()
		case "grpc-message":
			s.answer.message = h.Value
			if text, err := url.PathUnescape(h.Value); err == nil {
				s.answer.message = strings.ToValidUTF8(text, "\ufffd")
			}
		}
	}
	return nil
}

// grpcCodes are the names of a call's status.
var grpcCodes = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
	"UNAUTHENTICATED",
}

// answered makes r the answer a.
func (p *grpcProber) answered(r *muster.Result, a *grpcAnswer) error {
	fields := []muster.Field{{Name: grpcStatusField, Value: float64(a.status)}, {Name: grpcMessageField, Value: a.message}}
	if a.status != 0 {
		name := "CODE_" + strconv.Itoa(a.status)
		if a.status < len(grpcCodes) {
			name = grpcCodes[a.status]
		}
		r.Outcome, r.Status, r.Reason, r.Detail, r.Fields = muster.Unexpected, name, "grpc "+name, a.message, fields
		r.Pushback = name == "RESOURCE_EXHAUSTED"
		r.Transient = r.Pushback || name == "UNAVAILABLE" || name == "DEADLINE_EXCEEDED"
		return nil
	}
	state, err := decodeState(a.data)
	if err != nil {
		return err
	}
	r.Outcome, r.Code, r.Status, r.Fields = muster.OK, int(state), servingStates[state], fields
	if r.Status != "SERVING" {
		r.Outcome, r.Reason = muster.Unexpected, "status "+r.Status
	}
	if !p.env.DiscardBody {
		r.Body = []byte(`{"status":"` + r.Status + `"}`)
	}
	return nil
}
