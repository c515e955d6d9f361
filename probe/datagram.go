package probe

import (
	"fmt"
	"math"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

const (
	// maxTries bounds how often one exchange sends its datagram.
	maxTries = 100
	// defaultWaitFactor is what the wait for a reply grows by from one try to the next.
	defaultWaitFactor = 2
	// maxDatagram is the largest payload of UDP over IPv4.
	maxDatagram = 65507
)

// patience is when a datagram that nobody answered is sent again, and when it is given up.
type patience struct {
	tries  int
	wait   time.Duration
	factor float64
}

// newPatience fills in what is zero: without a wait of its own the tries spread over the attempt's timeout, whose
// last one ends with it.
func newPatience(tries int, wait time.Duration, factor float64, timeout time.Duration) patience {
	p := patience{tries: max(tries, 1), wait: wait, factor: factor}
	if p.factor == 0 {
		p.factor = defaultWaitFactor
	}
	if p.wait > 0 {
		return p
	}
	shares := float64(p.tries) // 1 + f + f² + …
	if p.factor != 1 {
		shares = (math.Pow(p.factor, float64(p.tries)) - 1) / (p.factor - 1)
	}
	p.wait = max(time.Duration(float64(timeout)/shares), time.Millisecond)
	return p
}

// after returns how long the reply to the given try, counted from 0, is waited for.
func (p patience) after(try int) time.Duration {
	d := float64(p.wait) * math.Pow(p.factor, float64(try))
	return time.Duration(min(d, float64(math.MaxInt64/2)))
}

func (p *problems) addPatience(tries int, wait muster.Duration, factor float64) {
	p.addIf(tries < 0 || tries > maxTries, "tries %d: want 1 to %d", tries, maxTries)
	p.addIf(wait < 0, "wait %v: want a positive duration", wait)
	p.addIf(factor != 0 && !(factor >= 1 && factor <= 10), "backoff %v: want a factor from 1 to 10", factor)
}

func (p *problems) addPort(port string) {
	if port != "" && !isTemplate(port) {
		_, err := parsePort(port)
		p.add(err)
	}
}

// placement is where the exchange with a target goes.
type placement struct {
	kind  string         // a target's scheme, if it has one
	port  *vars.Template // for targets that state none; may be nil
	usual uint16         // when there is no port at all; 0 makes the target invalid
}

// locate returns the port, after it has made sure that there is a host to speak to.
func (pl *placement) locate(t *muster.Target) (port uint16, d *defect) {
	if t.Scheme != "" && t.Scheme != pl.kind {
		return 0, &defect{"invalid scheme", muster.Errorf(muster.KindInvalid, "scheme %q: want %s, or none", t.Scheme, pl.kind)}
	}
	if !t.Addr.IsValid() {
		if err := checkHost(t.Host); err != nil {
			return 0, &defect{"invalid host", err}
		}
	}
	if t.Port != 0 {
		return t.Port, nil
	}
	if pl.port == nil {
		if pl.usual == 0 {
			return 0, &defect{"no port", muster.Errorf(muster.KindInvalid, "%s: want a port, as in %s:9000, or one for all targets", t.Host, t.Host)}
		}
		return pl.usual, nil
	}
	text, err := pl.port.Expand(t)
	if err != nil {
		return 0, expansionDefect(err)
	}
	if port, err = parsePort(text); err != nil {
		return 0, &defect{"invalid port", err}
	}
	return port, nil
}

// silence tells how long and how often nobody answered.
func silence(tries int, waited time.Duration) string {
	waited = waited.Round(time.Millisecond)
	if tries <= 1 {
		return fmt.Sprintf("no reply within %v", waited)
	}
	return fmt.Sprintf("no reply to %d datagrams within %v", tries, waited)
}
