package sim

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// script is a compiled fleet description: it decides what an address does. It
// is immutable; replacing the rules makes a new one.
type script struct {
	seed     uint64
	body     Body
	versions []weighted[string]
	mix      []weighted[*choice]
	rules    []compiledRule
	once     bool // close every connection after one answer
	echoed   *atomic.Uint64
}

// weighted is a value that uniform draws below upTo select.
type weighted[T any] struct {
	upTo  float64
	value T
}

// choice is a behaviour and how many requests or connections met it.
type choice struct {
	Behaviour
	served *atomic.Uint64
}

type compiledRule struct {
	Rule
	addr   pattern
	prefix string // of the path, if the rule's path ends in *
	choice *choice
}

// ledger counts by behaviour, across changes of the rules.
type ledger struct {
	mu    sync.Mutex
	kinds map[string]*atomic.Uint64
}

func (l *ledger) counter(name string) *atomic.Uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds == nil {
		l.kinds = map[string]*atomic.Uint64{}
	}
	if l.kinds[name] == nil {
		l.kinds[name] = new(atomic.Uint64)
	}
	return l.kinds[name]
}

// totals are the counts that are not zero.
func (l *ledger) totals() map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]uint64{}
	for name, n := range l.kinds {
		if v := n.Load(); v > 0 {
			out[name] = v
		}
	}
	return out
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.kinds {
		n.Store(0)
	}
}

// compile makes the script of a valid fleet.
func compile(f *Fleet, rules Rules, l *ledger) (*script, error) {
	s := &script{seed: f.Seed, body: f.Body, once: f.NoKeepAlive, echoed: l.counter("echo")}
	if s.body.text == "" {
		s.body, _ = ParseBody(DefaultBody)
	}
	versions := f.Versions
	if len(versions) == 0 {
		versions = Versions{{"2.4.1", 90}, {"2.4.0", 9}, {"2.3.9", 1}}
	}
	sum := 0.0
	for _, v := range versions {
		sum += v.Weight
		s.versions = append(s.versions, weighted[string]{sum, v.Version})
	}
	mix := f.Mix
	if len(mix) == 0 {
		mix = Mix{{Weight: 1}}
	}
	sum = 0
	for _, m := range mix {
		sum += m.Weight
		s.mix = append(s.mix, weighted[*choice]{sum, l.choice(m.Behaviour)})
	}
	for _, r := range rules {
		addr, err := parsePattern(r.Addr)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", r, err)
		}
		prefix := ""
		if strings.HasSuffix(r.Path, "*") {
			prefix = r.Path[:len(r.Path)-1]
		}
		s.rules = append(s.rules, compiledRule{r, addr, prefix, l.choice(r.Behaviour)})
	}
	return s, nil
}

func (l *ledger) choice(b Behaviour) *choice {
	return &choice{Behaviour: b, served: l.counter(b.String())}
}

// pick is the value that a draw selects in proportion to the weights.
func pick[T any](from []weighted[T], x uint64) T {
	u := unit(x) * from[len(from)-1].upTo
	for _, w := range from {
		if u < w.upTo {
			return w.value
		}
	}
	return from[len(from)-1].value
}

// choose is the behaviour of an address for a request, or for the connection
// itself while rq is nil.
func (s *script) choose(ep *endpoint, rq *request) *choice {
	for i := range s.rules {
		if s.rules[i].match(ep, rq) {
			return s.rules[i].choice
		}
	}
	if len(s.mix) == 1 {
		return s.mix[0].value
	}
	return pick(s.mix, draw(s.seed, ep.key, saltProfile))
}

func (r *compiledRule) match(ep *endpoint, rq *request) bool {
	if r.Port != 0 && r.Port != ep.addr.Port() || !r.addr.match(ep.addr.Addr()) {
		return false
	}
	if r.Method == "" && r.Path == "" {
		return true
	}
	if rq == nil || r.Method != "" && r.Method != string(rq.method) {
		return false
	}
	path := pathOnly(rq.path)
	if r.prefix != "" {
		return bytes.HasPrefix(path, []byte(r.prefix))
	}
	return r.Path == "" || r.Path == string(path)
}

// accept is the behaviour of an address that shows before a request is read, or
// nil.
func (s *script) accept(ep *endpoint) *choice {
	if c := s.choose(ep, nil); c.onAccept() {
		return c
	}
	return nil
}
