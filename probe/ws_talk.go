package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/coder/websocket"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// wsTalk is a dialogue of messages under way.
type wsTalk struct {
	p    *wsProber
	o    *order
	r    *muster.Result
	conn *websocket.Conn

	body     []byte
	messages int
	fresh    bool // a message came since the last step that sends
	cut      bool
	closed   websocket.StatusCode // of a peer that closed
	catches
}

// errCut says that the limit has been reached.
var errCut = errors.New("cut at the limit")

// run does the steps, then waits for what else is to come.
func (k *wsTalk) run(ctx context.Context) error {
	k.closed = -1
	k.conn.SetReadLimit(-1) // counted here, over all messages
	for i := range k.p.steps.steps {
		st := &k.p.steps.steps[i]
		var err error
		if st.act == actSend {
			err = k.send(ctx, k.p.spec.Steps[i].Hex != "", k.o.script.texts[i].appendTo(nil, k.group))
		} else {
			err = k.expect(ctx, st, k.o.script.fields[i])
		}
		if err != nil {
			return err
		}
	}
	for range k.p.spec.count() {
		if _, err := k.read(ctx, false); err != nil {
			return err
		}
	}
	return nil
}

func (k *wsTalk) send(ctx context.Context, binary bool, text []byte) error {
	k.fresh = false
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	k.r.Sent = true
	return k.conn.Write(ctx, kind, text)
}

// expect waits for a message that meets the expectation.
func (k *wsTalk) expect(ctx context.Context, st *tcpStep, fields []pieces) error {
	var last []byte
	for {
		m, err := k.read(ctx, true)
		if err != nil {
			if k.fresh && (err == errIdle || k.closed >= 0) {
				return &unmet{st.reason, fmt.Sprintf("got %q", last[:min(len(last), maxQuote)])}
			}
			return err
		}
		last = m
		if st.re != nil && k.hold(st.re, m) >= 0 || st.re == nil && bytes.Contains(m, []byte(st.bytes)) {
			k.compose(st, fields)
			return nil
		}
		if st.next {
			return &unmet{st.reason, fmt.Sprintf("got %q", m[:min(len(m), maxQuote)])}
		}
	}
}

// read returns the next message; idle says whether silence ends the wait once one has come.
func (k *wsTalk) read(ctx context.Context, idle bool) ([]byte, error) {
	if idle && k.fresh {
		ictx, stop := context.WithTimeoutCause(ctx, k.p.idle, errIdle)
		defer stop()
		ctx = ictx
	}
	_, message, err := k.conn.Reader(ctx)
	if err != nil {
		return nil, k.why(ctx, err)
	}
	start := len(k.body)
	m, err := io.ReadAll(io.LimitReader(message, int64(k.p.limit-start)+1))
	if err != nil {
		return nil, k.why(ctx, err)
	}
	k.fresh = true
	k.messages++
	k.body = append(k.body, m...)
	if len(k.body) > k.p.limit {
		if !k.p.spec.Truncate {
			return nil, errMuch
		}
		k.body, k.cut = k.body[:k.p.limit], true
		return nil, errCut
	}
	k.body = append(k.body, '\n')
	return m, nil
}

// why keeps what the end of the wait means: the library closes the connection, whatever ended it.
func (k *wsTalk) why(ctx context.Context, err error) error {
	if code := websocket.CloseStatus(err); code >= 0 {
		k.closed = code
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// conclude makes the dialogue's end that of the result.
func (k *wsTalk) conclude(ctx context.Context, err error) {
	r := k.r
	u, isUnmet := errors.AsType[*unmet](err)
	switch {
	case err == nil || err == errCut:
		r.Outcome, r.Truncated = muster.OK, k.cut
	case isUnmet:
		r.Outcome, r.Reason, r.Detail = muster.Unexpected, u.reason, u.detail
	case k.closed >= 0:
		r.Outcome, r.Reason, r.Detail = muster.Unexpected, "closed with "+strconv.Itoa(int(k.closed)), err.Error()
	default:
		r.Code, r.Status = 0, ""
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		k.fail(err)
		return
	}
	r.Fields = k.fields()
	if len(k.body) > 0 && !k.p.env.DiscardBody {
		r.Body = k.body
	}
}

// fail makes the result the failure that err is. What the library says of frames it cannot read is the protocol's.
func (k *wsTalk) fail(err error) {
	failIn(k.r, err, dial.PhaseExchange)
	if k.messages > 0 {
		k.r.Detail = fmt.Sprintf("%s, after %d messages", k.r.Detail, k.messages)
	}
}

// fields are what there is to tell: an upgrade alone has none.
func (k *wsTalk) fields() []muster.Field {
	var fs []muster.Field
	if len(k.p.spec.Steps) > 0 || k.p.spec.Count > 0 {
		fs = append(fs, muster.Field{Name: "messages", Value: float64(k.messages)})
	}
	if k.conn.Subprotocol() != "" {
		fs = append(fs, muster.Field{Name: "subprotocol", Value: k.conn.Subprotocol()})
	}
	if k.closed >= 0 {
		fs = append(fs, muster.Field{Name: "close_code", Value: float64(k.closed)})
	}
	for _, name := range k.p.names {
		fs = append(fs, k.field(name))
	}
	return fs
}
