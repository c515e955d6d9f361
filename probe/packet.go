package probe

import (
	"context"
	"net/netip"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// packetKind is a compiled probe whose exchanges are datagrams: many of them share the sockets of an event loop
// (packetLoop), or one has a socket of its own (probeAlone). It is safe for concurrent use.
type packetKind interface {
	// locate says where the exchange with t goes.
	locate(t *muster.Target) (packetRoute, *defect)
	// exchange returns a new exchange, which is used for one target after the other.
	exchange() packetExchange
	// setup returns what is the same for all exchanges.
	setup() packetSetup
	// wire returns the sockets of a new event loop.
	wire() packetWire
}

// packetRoute is where an exchange goes: a name, or its address when that is known without asking.
type packetRoute struct {
	host string
	addr netip.Addr
	port uint16 // 0 for protocols without ports
}

// packetSetup is what is the same for all exchanges of a kind.
type packetSetup struct {
	dialer  *dial.Dialer
	timeout time.Duration // bounds one exchange
	largest int           // a longer datagram is cut to this
	// keyed says that datagrams bear the exchange's key. Else they are told apart by the peer's address alone:
	// while an exchange with it is under way, others have sockets of their own.
	keyed bool
	// repeats says that a datagram may be sent again whose answer we have lost ourselves.
	repeats bool
}

// packetExchange is one exchange. Its methods are called by one goroutine. Times are on that goroutine's own clock.
type packetExchange interface {
	// begin readies the exchange with t, whose datagrams bear the key. r has its address.
	begin(t *muster.Target, r *muster.Result, key uint16) packetStep
	// payload appends the next datagram.
	payload(b []byte) []byte
	// sent notes when that left.
	sent(at time.Duration)
	// received takes what came from the peer or, with err set, how the network refused the last datagram.
	received(a *arrival, r *muster.Result) packetStep
	// expired is called when the time that the last step gave is over.
	expired(at time.Duration, r *muster.Result) packetStep
	// finish makes r what the exchange has come to when the attempt's time is over.
	finish(r *muster.Result)
	// aside does the rest on a goroutine of its own, after a step that asked for it.
	aside(ctx context.Context, r *muster.Result)
}

// strayObserver is an exchange that wants to know how many datagrams came from peers with whom nothing is under way. The
// count is the loop's; it belongs to the loop's goroutine.
type strayObserver interface {
	observe(strays *uint32)
}

// countingExchange is an exchange that counts what it has sent: a datagram that is sent again because the answer was
// lost on our own side is not counted twice.
type countingExchange interface {
	// forget takes the last datagram out of the count, and reports whether an answer to it is still waited for.
	forget() bool
}

// packetStep is what an exchange wants next.
type packetStep struct {
	do packetVerb
	// wait is the time until expired is called: from the sending, or from now; 0 leaves it as it is.
	wait time.Duration
}

type packetVerb uint8

const (
	packetStay  packetVerb = iota // nothing but wait
	packetSend                    // the next datagram
	packetDone                    // r is complete
	packetLeave                   // go on in aside
)

// arrival is a message that concerns an exchange.
type arrival struct {
	peer netip.AddrPort // who sent it, or whom an error concerns
	key  uint16
	bare bool   // it bears no key
	data []byte // valid during the call
	cut  bool   // it was longer
	ttl  int    // of the datagram on its arrival; 0 is unknown
	at   time.Duration
	err  *fault // how the network refused our datagram; nil for a datagram of the peer's
}

// packetWire are the shared sockets of one event loop, one per address family.
type packetWire interface {
	// open opens the socket of the family, 4 or 6; its descriptor goes back through [dial.Dialer.Close].
	open(family int) (fd int, err error)
	// seal makes a payload that begins at b[room:] a datagram.
	seal(b []byte, family int, key uint16)
	// room is how many bytes seal needs before the payload.
	room() int
	// read says what a received message is; false when it concerns no exchange.
	read(a *arrival, family int) bool
	// readQuote says to which exchange a datagram of ours belongs that came back through the error queue.
	readQuote(a *arrival, family int)
}

// noReply ends r as an exchange that brought nothing.
func noReply(r *muster.Result, detail string) {
	r.Outcome, r.Failure, r.Reason, r.Detail, r.Transient = muster.Failed, muster.FailNoReply, "no reply", detail, true
}

// fails ends r as the fault says.
func (f *fault) fails(r *muster.Result) packetStep {
	fail(r, f)
	return packetStep{do: packetDone}
}
