package probe

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/hostkey"
)

// sshFault returns how an attempt ends whose key exchange or login met err. trust is the verdict on the
// host key, nil when it was trusted or not seen.
func sshFault(err, trust error, r *sshRoute) error {
	if trust != nil {
		return hostKeyFault(trust)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "Too many authentication failures"),
		strings.Contains(text, "no common public key signature algorithm"), strings.Contains(text, "agent: "):
		return loginFault(text, r)
	case strings.Contains(text, "no common algorithm"):
		return &fault{failure: muster.FailProtocol, reason: "no common algorithm", detail: cleanSSH(text)}
	case strings.Contains(text, "disconnect, reason"):
		return &fault{muster.FailReset, "disconnected by the server", cleanSSH(text), true}
	}
	e := dial.Classify(err, dial.PhaseExchange)
	if e.Outcome == muster.Failed && e.Failure == muster.FailReset {
		return errMaxStartups
	}
	return e
}

// cleanSSH drops what every message of the library starts with.
func cleanSSH(text string) string {
	return strings.TrimPrefix(strings.TrimPrefix(text, "ssh: handshake failed: "), "ssh: ")
}

func hostKeyFault(trust error) error {
	e, ok := errors.AsType[*hostkey.Error](trust)
	if !ok {
		return trust
	}
	f := &fault{failure: muster.FailAuth, reason: e.Reason, detail: e.Detail}
	if e.Reason == hostkey.ReasonRecord {
		f.failure = muster.FailLocal
	}
	return f
}

// loginFault says which methods the server refused, and which keys could not be offered.
func loginFault(text string, r *sshRoute) error {
	detail := "login as " + r.user + " refused"
	if _, methods, ok := strings.Cut(text, "attempted methods ["); ok {
		methods, _, _ = strings.Cut(methods, "]")
		methods = strings.Join(strings.Fields(strings.TrimPrefix(methods, "none")), ", ")
		if methods == "" {
			methods = "nothing that the server takes: give --identity, --ask-pass, or load an agent"
		}
		detail += "; tried " + methods
	} else {
		detail += ": " + cleanSSH(text)
	}
	if r.auth.notes != "" {
		detail += "; not usable: " + r.auth.notes
	}
	return &fault{failure: muster.FailAuth, reason: "login refused", detail: detail}
}

// errHandshakeTimeout is the cause of a handshake that took too long.
func errHandshakeTimeout(d time.Duration) error {
	return &fault{muster.FailTimeout, "handshake timeout", "no SSH login within " + d.String(), true}
}

// throughJump returns how an attempt ends whose connection a jump host did not open.
func throughJump(err error, r *sshRoute) error {
	open, ok := errors.AsType[*ssh.OpenChannelError](err)
	if !ok {
		return viaJump(err, r.via)
	}
	f := &fault{failure: muster.FailUnreachable, reason: "unreachable from the jump host", transient: true}
	switch m := strings.ToLower(open.Message); {
	case open.Reason == ssh.Prohibited:
		f.reason, f.transient = "forwarding refused by the jump host", false
	case strings.Contains(m, "refused"):
		f.failure, f.reason = muster.FailRefused, "connection refused"
	case strings.Contains(m, "timed out"):
		f.failure, f.reason = muster.FailConnectTimeout, "connect timeout"
	case strings.Contains(m, "not known"), strings.Contains(m, "resolution"), strings.Contains(m, "resolve"):
		f.failure, f.reason = muster.FailDNS, "no such host"
	}
	f.detail = "jump host " + r.via.host + " to " + r.hostPort() + ": " + open.Message
	return f
}

// viaJump marks a failure that is the jump host's own.
func viaJump(err error, jump *sshRoute) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	prefix := "jump host " + jump.host + ": "
	if f, ok := errors.AsType[*fault](err); ok {
		return &fault{f.failure, "jump host: " + f.reason, prefix + f.Error(), f.transient}
	}
	e := *dial.Classify(err, dial.PhaseExchange)
	e.Reason, e.Detail = "jump host: "+e.Reason, prefix+e.Error()
	return &e
}
