package probe

import (
	"time"

	"github.com/musterhq/muster"
)

// DefaultIdle is how long a peer that has sent something may stay silent before it counts as done: 2 s.
const DefaultIdle = 2 * time.Second

// TCP is one TCP connection to each target, and a dialogue over it. The zero value connects and
// closes: a target that accepts is ok.
//
// With steps, or with Until, the body is everything that came, to the end of the last match, delimiter or length when
// that ends the answer. An expectation that what came does not meet makes an answer unexpected; a peer from
// which nothing came has failed. The probe's own fields are
// banner, the first line that came, and the named groups and fields of the steps.
type TCP struct {
	// Port is for targets that state none, a template. "" leaves those with a scheme of a known port
	// to that, and makes the others invalid.
	Port string `json:"port,omitempty"`
	// Secure speaks TLS from the first byte.
	Secure bool `json:"secure,omitempty"`
	// TLS is how it is spoken, from the first byte or after a step with StartTLS.
	TLS TLS `json:"tls,omitzero"`
	// Steps are done one after the other.
	Steps []Step `json:"steps,omitempty"`
	// Until says how the answer ends once the steps are done:
	//
	//	none     at once
	//	close    when the peer closes
	//	idle     when the peer closes, or has sent something and then nothing for IdleTimeout
	//	delim:X  with the text X (escapes as in Step.Send)
	//	len:N    with the N-th byte
	//
	// "" is idle when the last step sends, else none.
	Until string `json:"until,omitempty"`
	// IdleTimeout ends an expectation, too, once something has come and nothing more; 0 is DefaultIdle, or half of the
	// attempt's timeout if that is less.
	IdleTimeout muster.Duration `json:"idle_timeout,omitempty"`
	// BodyLimit is how much may come, in bytes; 0 is DefaultBodyLimit. More fails as too_large.
	BodyLimit int64 `json:"body_limit,omitempty"`
	// Truncate ends an answer at the limit instead, and marks it.
	Truncate bool `json:"truncate,omitempty"`
}

// Step is one act of a dialogue. It does one thing: exactly one of Send, Hex, Expect, ExpectBytes and
// StartTLS is given.
type Step struct {
	// Send is sent. It is a template with the escapes \r \n \t \0 \\ \$ and \xHH outside of its actions;
	// what variables hold is sent as it is. ${1} and ${name} stand for what the groups of earlier
	// expectations caught: a number for those of the last one, a name for the last one of that name. [Escape]
	// makes any text one that is sent as it is.
	Send string `json:"send,omitempty"`
	// Hex is sent: bytes in hexadecimal digits, blanks between them allowed.
	Hex string `json:"hex,omitempty"`
	// Expect is an RE2 pattern that one of the lines that come must match, their ends left out. Lines before
	// it are passed over. An unfinished line counts once the peer has closed, or is idle. Named
	// groups become fields.
	Expect string `json:"expect,omitempty"`
	// Raw holds Expect against all that came since the last match, as soon as it comes and line ends included: for
	// prompts and binary protocols. A match lies within 64 KiB.
	Raw bool `json:"raw,omitempty"`
	// ExpectBytes must come, wherever; with the escapes of Send.
	ExpectBytes string `json:"expect_bytes,omitempty"`
	// Next demands it of what comes next: of the next bytes, the next line, the next message.
	Next bool `json:"next,omitempty"`
	// Fields are put into the result once Expect is met; their values hold ${1} and ${name} like Send.
	Fields []Pair `json:"fields,omitempty"`
	// StartTLS goes on over TLS.
	StartTLS bool `json:"starttls,omitempty"`
}

// Safe reports whether the dialogue only looks: connects, listens, and shakes hands.
func (s TCP) Safe() bool {
	for i := range s.Steps {
		if s.Steps[i].sends() {
			return false
		}
	}
	return true
}

func (s *Step) sends() bool { return s.Send != "" || s.Hex != "" }

// Traits names the fields of the dialogue.
func (s TCP) Traits() Traits {
	if s.connectOnly() {
		return Traits{}
	}
	return Traits{Fields: append([]string{bannerField}, s.fieldNames()...)}
}

// bannerField is the field with the first line that came.
const bannerField = "banner"

// connectOnly reports whether nothing follows the connect.
func (s *TCP) connectOnly() bool { return len(s.Steps) == 0 && s.until() == untilNone }

// The ways in which an answer ends; delimiter and length have a value after them.
const (
	untilNone  = "none"
	untilClose = "close"
	untilIdle  = "idle"
	untilDelim = "delim:"
	untilLen   = "len:"
)

func (s *TCP) until() string {
	switch n := len(s.Steps); {
	case s.Until != "":
		return s.Until
	case n > 0 && s.Steps[n-1].sends():
		return untilIdle
	}
	return untilNone
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (s TCP) Prober(env Env) (muster.Prober, error) { return compileTCP(s, env) }

// statusConnected is the status of a target that accepts, and of which no more is asked.
const statusConnected = "connected"
