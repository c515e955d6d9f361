package probe

import (
	"cmp"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

// UDP is one datagram to each target, and the datagrams that come back from its address and port. The zero value sends
// an empty one and waits for one reply. Port, Data and Hex are templates.
//
// A reply is ok; fewer than Replies are unexpected. A port that ICMP calls closed is refused, and silence is no_reply.
// A datagram from any other address or port is never taken for a reply.
//
// The exchange is not Safe, because the peer may act on what it gets: the datagram is sent once, and a job sends it at
// most once. Tries above 1 say that it may arrive twice, which makes the exchange Safe.
type UDP struct {
	// Port is for targets that state none; without either a target is invalid.
	Port string `json:"port,omitempty"`

	// Data is the payload, with the escapes \r \n \t \0 \\ and \xNN.
	Data string `json:"data,omitempty"`
	// Hex is the payload in hexadecimal digits; blanks and colons between them do not count.
	Hex string `json:"hex,omitempty"`
	// DataFile is the path of a file with the payload, read when the probe is compiled, and sent as it is.
	DataFile string `json:"data_file,omitempty"`

	// Replies is the number of datagrams that end the exchange; 0 is 1, or any number when Idle is set.
	Replies int `json:"replies,omitempty"`
	// Idle ends the exchange once a reply has come and no other for that long; 0 waits for all of Replies.
	Idle muster.Duration `json:"idle,omitempty"`

	// Tries is how often the datagram is sent as long as there is no reply; 0 is 1, or 3 when the
	// plan says that attempts may be repeated.
	Tries int `json:"tries,omitempty"`
	// Wait is how long the first try waits for a reply; 0 spreads all tries over the attempt's timeout.
	Wait muster.Duration `json:"wait,omitempty"`
	// Backoff is the factor by which the wait grows from one try to the next; 0 is 2.
	Backoff float64 `json:"backoff,omitempty"`

	// BodyLimit is the largest sum of all replies in bytes; 0 is DefaultBodyLimit. More fails as too_large.
	BodyLimit int64 `json:"body_limit,omitempty"`
	// Truncate cuts the replies at the limit, and marks them, instead.
	Truncate bool `json:"truncate,omitempty"`
}

const (
	// maxReplies bounds the datagrams of one exchange.
	maxReplies = 1 << 20
	// safeTries is how often a datagram that may be repeated is sent.
	safeTries = 3
)

// Safe reports whether the spec itself allows the datagram to arrive twice.
func (u UDP) Safe() bool { return u.Tries > 1 }

// Traits of UDP: the fields replies and strays, which count the datagrams of the target and those that came from elsewhere
// meanwhile, as far as they were seen.
func (u UDP) Traits() Traits {
	return Traits{Fields: []string{"replies", "strays"}, SharedSockets: true}
}

// Validate reports every problem at once.
func (u UDP) Validate() error {
	var p problems
	p.addPort(u.Port)
	n := 0
	for _, given := range []bool{u.Data != "", u.Hex != "", u.DataFile != ""} {
		if given {
			n++
		}
	}
	p.addIf(n > 1, "data, hex and data_file: want one of them")
	if _, err := unescape(u.Data); err != nil {
		p.addIf(true, "data: %w", err)
	}
	if !isTemplate(u.Hex) {
		_, err := appendHex(nil, u.Hex)
		p.add(err)
	}
	p.addIf(u.Replies < 0 || u.Replies > maxReplies, "replies %d: want 1 to %d", u.Replies, maxReplies)
	p.addIf(u.Idle < 0, "idle %v: want a positive duration", u.Idle)
	p.addPatience(u.Tries, u.Wait, u.Backoff)
	p.addIf(u.BodyLimit < 0 || u.BodyLimit > maxBodyLimit, "body_limit %d: want 1 to %d bytes", u.BodyLimit, maxBodyLimit)
	return errors.Join(p...)
}

// Prober compiles the spec. DataFile is read now. Tries above 1 contradict a plan that says that no attempt may be
// repeated.
func (u UDP) Prober(env Env) (muster.Prober, error) {
	if err := u.Validate(); err != nil {
		return nil, err
	}
	env = env.withDefaults(u.Safe())
	tries := u.Tries
	switch {
	case env.Repeat == muster.RepeatNever && tries > 1:
		return nil, muster.Errorf(muster.KindInvalid, "tries %d: a datagram that must not be repeated is sent once; want 1, or repeat safe", tries)
	case env.Repeat == muster.RepeatSafe && tries == 0:
		tries = safeTries
	}
	p := &udpProber{
		env: env, spec: u, patience: newPatience(tries, time.Duration(u.Wait), u.Backoff, env.Timeout),
		replies: u.Replies, limit: int(cmp.Or(u.BodyLimit, DefaultBodyLimit)), place: placement{kind: "udp"},
	}
	if p.replies == 0 {
		p.replies = 1
		if u.Idle > 0 {
			p.replies = maxReplies
		}
	}
	return p, p.compile()
}

// udpProber is a compiled [UDP]. It is immutable but for its pool.
type udpProber struct {
	env      Env
	spec     UDP
	place    placement
	payload  *vars.Template // nil when raw
	isHex    bool           // what payload becomes
	raw      []byte         // the same for every target
	patience patience
	replies  int
	limit    int
}

func (p *udpProber) compile() error {
	parser := vars.Parser{Secret: p.env.Secret}
	var errs []error
	if p.spec.Port != "" {
		t, err := parser.Parse("port", p.spec.Port)
		p.place.port, errs = t, append(errs, err)
	}
	errs = append(errs, p.compilePayload(parser))
	return errors.Join(errs...)
}

func (p *udpProber) compilePayload(parser vars.Parser) (err error) {
	name, text := "data", p.spec.Data
	switch {
	case p.spec.DataFile != "":
		p.raw, err = readDatagram(p.spec.DataFile)
		return err
	case p.spec.Hex != "":
		name, text, p.isHex = "hex", p.spec.Hex, true
	default:
		if text, err = unescape(text); err != nil {
			return muster.Errorf(muster.KindInvalid, "data: %w", err)
		}
	}
	if p.payload, err = parser.Parse(name, text); err != nil || p.payload.Names() != nil || p.payload.Secret() {
		return err
	}
	p.raw, err = p.appendPayload(nil, &muster.Target{})
	p.payload = nil
	return err
}

func readDatagram(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxDatagram {
		err = errTooLong(int(info.Size()))
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, muster.Errorf(muster.KindInvalid, "data_file %s: %w", path, err)
	}
	return b, nil
}

func errTooLong(n int) error {
	return muster.Errorf(muster.KindInvalid, "%d bytes: a datagram has at most %d", n, maxDatagram)
}

// appendPayload appends the payload for t.
func (p *udpProber) appendPayload(dst []byte, t *muster.Target) ([]byte, error) {
	if p.payload == nil {
		return append(dst, p.raw...), nil
	}
	n := len(dst)
	var err error
	if p.isHex {
		text, err := p.payload.Expand(t)
		if err != nil {
			return dst, err
		}
		if dst, err = appendHex(dst, text); err != nil {
			return dst[:n], err
		}
	} else if dst, err = p.payload.Append(dst, t); err != nil {
		return dst, err
	}
	if len(dst)-n > maxDatagram {
		return dst[:n], errTooLong(len(dst) - n)
	}
	return dst, nil
}

// appendHex appends the bytes that hexadecimal digits stand for.
func appendHex(dst []byte, s string) ([]byte, error) {
	digits := strings.NewReplacer(" ", "", ":", "", "\t", "", "\n", "", "\r", "").Replace(s)
	b, err := hex.AppendDecode(dst, []byte(digits))
	if err != nil {
		return dst, muster.Errorf(muster.KindInvalid, "hex %q: want pairs of hexadecimal digits", s[:min(len(s), maxQuote)])
	}
	return b, nil
}
