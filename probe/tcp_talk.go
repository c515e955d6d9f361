package probe

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/musterhq/muster"
)

// rawWindow is how far back a raw expectation looks, so that a peer that trickles costs little.
const rawWindow = 64 << 10

// talk is one dialogue under way.
type talk struct {
	p    *tcpProber
	s    *script
	r    *muster.Result
	raw  net.Conn
	conn net.Conn // raw, or TLS over it
	end  time.Time

	in     []byte // all that came
	at     int    // how much of it has been used
	seen   int    // how much of it an expectation has looked at in vain
	missed bool   // the next line did not match
	fresh  bool   // something came since the last step that sends
	ended  error  // io.EOF or errIdle: nothing more comes
	cut    bool
	spoke  time.Time // when the peer got the word
	catches
}

// errIdle says that the peer has sent something and then fell silent.
var errIdle = errors.New("idle")

// The faults of a dialogue.
var (
	errBeforeDelim = &fault{muster.FailProtocol, "closed before the delimiter", "connection closed before the delimiter of the answer", true}
	errBeforeLen   = &fault{muster.FailProtocol, "closed before the length", "connection closed before the announced length of the answer", true}
	errLeft        = &fault{muster.FailReset, "closed without an answer", "connection closed before an answer to what was sent last", true}
	errPlainText   = &fault{muster.FailProtocol, "plain text before tls", "the peer sent more after it agreed to TLS and before the handshake", false}
	errMuch        = &fault{muster.FailTooLarge, "body too large", "the peer sent more than the limit (body_limit raises it, truncate cuts)", false}
)

// unmet is an expectation that an answer does not meet.
type unmet struct{ reason, detail string }

func (u *unmet) Error() string { return u.detail }

// run does the steps, then reads to the end of the answer. It returns the status.
func (k *talk) run() (string, error) {
	if k.p.spec.Secure {
		if err := k.handshake(); err != nil {
			return "", err
		}
	}
	status := statusConnected
	k.spoke = time.Now()
	for i := range k.p.steps {
		st := &k.p.steps[i]
		var err error
		switch st.act {
		case actStartTLS:
			err = k.startTLS()
		case actSend:
			err = k.send(k.s.texts[i].appendTo(nil, k.group))
		default:
			status, err = "matched", k.expect(st, k.s.fields[i])
		}
		if err != nil {
			return "", err
		}
	}
	if k.p.until == untilNone {
		k.in = k.in[:k.at]
		return status, nil
	}
	return k.rest()
}

// handshakeError marks an error of the TLS handshake.
type handshakeError struct{ error }

func (k *talk) startTLS() error {
	if k.at < len(k.in) {
		return errPlainText
	}
	return k.handshake()
}

func (k *talk) handshake() error {
	began := time.Now()
	cfg := k.p.tls.Clone()
	cfg.ServerName = k.s.sni
	c := tls.Client(k.raw, cfg)
	if err := k.raw.SetDeadline(k.end); err != nil {
		return err
	}
	err := c.Handshake()
	k.r.Timings.TLS = time.Since(began)
	k.conn = c
	if err != nil {
		return handshakeError{err}
	}
	return nil
}

func (k *talk) send(text []byte) error {
	k.fresh = false
	n, err := k.conn.Write(text)
	k.r.Sent = k.r.Sent || n > 0
	k.spoke = time.Now()
	return err
}

// read waits for more. It returns io.EOF and errIdle for good; idle says whether silence ends the wait.
func (k *talk) read(idle bool) error {
	if k.ended != nil {
		return k.ended
	}
	until := k.end
	if idle && k.fresh {
		until = earlier(time.Now().Add(k.p.idle), k.end)
	}
	if err := k.raw.SetReadDeadline(until); err != nil {
		return err
	}
	if len(k.in) == cap(k.in) {
		k.in = append(k.in, make([]byte, smallBuffer)...)[:len(k.in)]
	}
	n, err := k.conn.Read(k.in[len(k.in):min(cap(k.in), k.p.limit+1)])
	if n > 0 {
		if k.r.Timings.FirstByte == 0 {
			k.r.Timings.FirstByte = max(time.Since(k.spoke), 1)
		}
		k.in, k.fresh = k.in[:len(k.in)+n], true
		if len(k.in) > k.p.limit {
			return k.full()
		}
		return nil
	}
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		k.ended = io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded) && until.Before(k.end):
		k.ended = errIdle
	default:
		return err
	}
	return k.ended
}

// full ends the reading beyond the limit.
func (k *talk) full() error {
	if !k.p.spec.Truncate {
		return errMuch
	}
	k.in, k.cut, k.ended = k.in[:k.p.limit], true, io.EOF
	return nil
}

// rest reads to the end of the answer.
func (k *talk) rest() (string, error) {
	for {
		if end := k.complete(); end > 0 {
			k.in = k.in[:end]
			return "complete", nil
		}
		err := k.read(k.p.until == untilIdle)
		switch {
		case err == nil:
			continue
		case k.cut:
			return "cut", nil
		case err == errIdle:
			return "idle", nil
		case err != io.EOF:
			return "", err
		case len(k.in) == 0:
			return "", errNoAnswer
		case k.p.until == untilDelim:
			return "", errBeforeDelim
		case k.p.until == untilLen:
			return "", errBeforeLen
		}
		return "closed", nil
	}
}

// complete returns where the delimiter or the length ends the answer, 0 while neither has come.
func (k *talk) complete() int {
	switch k.p.until {
	case untilDelim:
		if i := bytes.Index(k.in[k.at:], []byte(k.p.delim)); i >= 0 {
			return k.at + i + len(k.p.delim)
		}
	case untilLen:
		if len(k.in)-k.at >= k.p.length {
			return k.at + k.p.length
		}
	}
	return 0
}
