package probe

import (
	"errors"
	"strings"

	"github.com/musterhq/muster"
)

// WebSocket is one WebSocket connection to each target: the upgrade, a dialogue of messages, the closing handshake.
// The zero value asks for the target's own path, and a target that upgrades is ok; any other status
// is an answer, and unexpected ("status 403").
//
// The body is the messages that came, each followed by a line end. The probe's own fields are messages (how many
// came to a dialogue), subprotocol (when one was agreed on), close_code (of a peer that closed first), and the named
// groups and fields of the steps.
type WebSocket struct {
	// URL is a path, or a whole URL of scheme ws, wss, http or https, as in [HTTP].
	URL string `json:"url,omitempty"`
	// Scheme is "ws" or "wss" for targets that state none; "" is ws.
	Scheme string `json:"scheme,omitempty"`
	// Port is for targets that state none; "" is the scheme's.
	Port string `json:"port,omitempty"`
	// Header fields are sent with the upgrade, those of the protocol itself excepted.
	Header []Header `json:"header,omitempty"`
	// User is the name of basic authentication, Password the secret reference of its password.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// Subprotocols are offered, in this order.
	Subprotocols []string `json:"subprotocols,omitempty"`
	// TLS is how wss is spoken.
	TLS TLS `json:"tls,omitzero"`
	// Steps are done one after the other: Send sends a text message, Hex a binary one, and Expect and ExpectBytes wait
	// for a message that matches; others before it are passed over, unless Next says that the next one must. Raw and StartTLS have no place here.
	Steps []Step `json:"steps,omitempty"`
	// Count is how many messages to wait for once the steps are done; 0 is 1 when the last step
	// sends, else none; -1 is none.
	Count int `json:"count,omitempty"`
	// IdleTimeout ends an expectation once a message has come and no other follows; 0 is DefaultIdle, or half of the
	// attempt's timeout if that is less.
	IdleTimeout muster.Duration `json:"idle_timeout,omitempty"`
	// BodyLimit is how many bytes of messages may come; 0 is DefaultBodyLimit. More fails as too_large.
	BodyLimit int64 `json:"body_limit,omitempty"`
	// Truncate ends the dialogue at the limit instead, and marks the body.
	Truncate bool `json:"truncate,omitempty"`
}

// Validate reports every problem at once.
func (w WebSocket) Validate() error {
	var p problems
	h := w.upgrade()
	p.addIf(w.Scheme != "" && w.Scheme != "ws" && w.Scheme != "wss", "scheme %q: want ws or wss", w.Scheme)
	if err := h.Validate(); err != nil {
		p.add(err)
	}
	for _, f := range w.Header {
		name := strings.ToLower(f.Name)
		p.addIf(name == "connection" || name == "upgrade" || strings.HasPrefix(name, "sec-websocket-"), "header %s: the upgrade sets it itself (subprotocols names protocols)", f.Name)
	}
	for _, s := range w.Subprotocols {
		p.addIf(!isTokenText(s), "subprotocol %q: want a word such as mqtt", s)
	}
	known := groups{}
	for i := range w.Steps {
		st := &w.Steps[i]
		st.validate(&p, i+1, &known)
		p.addIf(st.Raw || st.StartTLS, "step %d: raw and starttls have no place between messages", i+1)
	}
	p.addIf(w.Count < -1, "count %d: want a number of messages", w.Count)
	p.addIf(w.IdleTimeout < 0, "idle_timeout %v: want a positive duration", w.IdleTimeout)
	return errors.Join(p...)
}

// upgrade is the request that asks for the connection.
func (w *WebSocket) upgrade() HTTP {
	h := HTTP{Method: "GET", URL: httpScheme(w.URL), Scheme: httpScheme(w.Scheme), Port: w.Port, TLS: w.TLS, BodyLimit: w.BodyLimit, User: w.User, Password: w.Password}
	for _, f := range [][2]string{{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}} {
		h.Header = append(h.Header, Header{Name: f[0], Value: f[1]})
	}
	if len(w.Subprotocols) > 0 {
		h.Header = append(h.Header, Header{Name: "Sec-WebSocket-Protocol", Value: strings.Join(w.Subprotocols, ", ")})
	}
	h.Header = append(h.Header, w.Header...)
	return h
}

// httpScheme returns a URL, or a scheme alone, with ws and wss replaced by what carries them.
func httpScheme(s string) string {
	for _, x := range [][2]string{{"wss", "https"}, {"ws", "http"}} {
		if s == x[0] {
			return x[1]
		}
		if rest, ok := strings.CutPrefix(s, x[0]+"://"); ok {
			return x[1] + "://" + rest
		}
	}
	return s
}

// Safe reports whether no message is sent.
func (w WebSocket) Safe() bool { return TCP{Steps: w.Steps}.Safe() }

// Traits names the fields.
func (w WebSocket) Traits() Traits {
	return Traits{Fields: append([]string{"messages", "subprotocol", "close_code"}, w.names()...)}
}

func (w *WebSocket) names() []string { return (&TCP{Steps: w.Steps}).fieldNames() }

func (w *WebSocket) count() int {
	if n := len(w.Steps); w.Count == 0 && n > 0 && w.Steps[n-1].sends() {
		return 1
	}
	return max(w.Count, 0)
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (w WebSocket) Prober(env Env) (muster.Prober, error) { return compileWebSocket(w, env) }
