package execute

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/sim"
)

// end is how the targets of one behaviour end. Reasons has all that may be said: which of a FIN and the
// RST after it is seen first is up to the kernel.
type end struct {
	behaviour string
	outcome   muster.Outcome
	failure   muster.Failure
	reasons   string
}

// ends is what the design rules for every behaviour of the simulated fleet.
var ends = []end{
	{"ok", muster.OK, 0, ""},
	{"slow:20ms", muster.OK, 0, ""},
	{"chunked", muster.OK, 0, ""},
	{"redirect", muster.OK, 0, ""},
	{"once", muster.OK, 0, ""},
	{"version:2.5.0", muster.OK, 0, ""},
	{"flaky:0", muster.OK, 0, ""},
	{"conflict:chunked", muster.OK, 0, ""}, // chunks win over a length, as in net/http
	{"status:404", muster.Unexpected, 0, "status 404"},
	{"status:503", muster.Unexpected, 0, "status 503"},
	{"flaky:1,500", muster.Unexpected, 0, "status 500"},
	{"warmup:9", muster.Unexpected, 0, "status 503"},
	{"reset", muster.Failed, muster.FailReset, "connection reset"},
	{"reset:accept", muster.Failed, muster.FailReset, "connection reset|closed without an answer"}, // whichever the kernel tells first
	{"reset:body", muster.Failed, muster.FailReset, "connection reset"},
	{"close-before", muster.Failed, muster.FailReset, "closed without an answer"},
	{"close-before:accept", muster.Failed, muster.FailReset, "closed without an answer|connection reset|closed early"},
	{"hang", muster.Failed, muster.FailTimeout, "timeout"},
	{"hang:accept", muster.Failed, muster.FailTimeout, "timeout"},
	{"hang-body", muster.Failed, muster.FailTimeout, "timeout"},
	{"drip:50ms", muster.Failed, muster.FailTimeout, "timeout"},
	{"garbage", muster.Failed, muster.FailProtocol, "malformed status line"},
	{"conflict", muster.Failed, muster.FailProtocol, "conflicting framing"},
	{"close-early", muster.Failed, muster.FailProtocol, "body cut short"},
	{"oversized:2M", muster.Failed, muster.FailTooLarge, "body too large"},
	{"endless", muster.Failed, muster.FailTooLarge, "body too large"},
	{"endless:chunked", muster.Failed, muster.FailTooLarge, "body too large"},
	{"endless:head", muster.Failed, muster.FailTooLarge, "header too large"},
}

// way is one path through the probe, and what sends a job down it.
type way struct {
	name   string
	params map[string]any
	reuse  bool
	// loose says that net/http words what it makes of a broken answer.
	loose bool
}

var ways = []way{
	{name: "event loop"},
	{name: "kept connections", reuse: true},
	{name: "TLS", params: map[string]any{"scheme": "https", "tls": map[string]any{"insecure": true}}},
	{name: "net/http", params: map[string]any{"follow": 3}, loose: true},
}

const (
	faultTimeout  = 3 * time.Second
	perBehaviour  = 4
	faultsAddress = "127.20.%d.[1-%d]:%s"
)

// TestEveryFaultEndsInItsOutcome runs over a fleet with every behaviour, each on a block of addresses of
// its own. It is not parallel, because it counts the descriptors of the process.
func TestEveryFaultEndsInItsOutcome(t *testing.T) {
	before := openDescriptors(t)
	t.Run("ways", func(t *testing.T) {
		for _, w := range ways {
			t.Run(w.name, func(t *testing.T) {
				t.Parallel()
				w.meetEveryFault(t)
			})
		}
	})
	if after := openDescriptors(t); len(after) > len(before) {
		t.Errorf("%d descriptors before, %d after: %v", len(before), len(after), after)
	}
}

func (w *way) meetEveryFault(t *testing.T) {
	s := fleet(t, sim.Fleet{Rules: everyBehaviour(t), Listen: []string{":0"}, TLS: []string{":0"}})
	port := s.Port()
	params := map[string]any{"url": "/x", "body_limit": 32 << 10}
	maps.Copy(params, w.params)
	if params["scheme"] == "https" {
		port = fmt.Sprint(s.TLSAddr().Port())
	}
	var sets []string
	for i := range ends {
		sets = append(sets, fmt.Sprintf(faultsAddress, i, perBehaviour, port))
	}
	p := muster.Plan{Timeout: muster.Duration(faultTimeout)}
	j := begin(t, compiled(t, with(t, params), p, Surroundings{FewHosts: w.reuse}), frozen(t, sets...), nil)
	for i, r := range j.wait(t) {
		e := &ends[i/perBehaviour]
		if r.Outcome != e.outcome || r.Failure != e.failure || !w.loose && !e.says(r.Reason) {
			t.Errorf("%s: %s %s (%q, %s), want %s %s (%q)", e.behaviour, r.Outcome, r.Failure, r.Reason, r.Detail, e.outcome, e.failure, e.reasons)
		}
		if took := r.Timings.Total; took <= 0 || took > faultTimeout+time.Second {
			t.Errorf("%s: took %v with a timeout of %v", e.behaviour, took, faultTimeout)
		}
		if got := s.Hits(r.Address).Requests; !w.loose && got != e.requests() {
			t.Errorf("%s: the far end counted %d requests, want %d", e.behaviour, got, e.requests())
		}
	}
	if state, why := j.End(); state != muster.StateDone || why != "" {
		t.Errorf("ended %s (%s)", state, why)
	}
}

func (e *end) says(reason string) bool { return slices.Contains(strings.Split(e.reasons, "|"), reason) }

// requests is how many requests the far end sees of a target: none where it does not read.
func (e *end) requests() uint32 {
	if strings.HasSuffix(e.behaviour, ":accept") {
		return 0
	}
	return 1
}

func everyBehaviour(t *testing.T) sim.Rules {
	t.Helper()
	var rs sim.Rules
	for i, e := range ends {
		b, err := sim.ParseBehaviour(e.behaviour)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, sim.Rule{Addr: fmt.Sprintf("127.20.%d.0/24", i), Behaviour: b})
	}
	return rs
}

// openDescriptors names the descriptors of the process.
func openDescriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	var names []string
	for _, e := range entries {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name()) // the directory itself is closed by now
		names = append(names, e.Name()+" "+to)
	}
	return names
}
