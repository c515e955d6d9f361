package probe

import (
	"io"
	"net"
	"testing"

	"github.com/musterhq/muster"
)

// TestTCPNext: what must come next is neither passed over nor waited for beyond the first difference.
func TestTCPNext(t *testing.T) {
	t.Parallel()
	target := serve(t, func(c *net.TCPConn) {
		io.WriteString(c, "one\ntwo\n")
		io.Copy(io.Discard, c)
	})
	for _, test := range []struct {
		step Step
		want muster.Outcome
	}{
		{Step{Expect: "two"}, muster.OK},
		{Step{Expect: "two", Next: true}, muster.Unexpected},
		{Step{Expect: "one", Next: true}, muster.OK},
		{Step{ExpectBytes: "two"}, muster.OK},
		{Step{ExpectBytes: "two", Next: true}, muster.Unexpected},
		{Step{ExpectBytes: "one", Next: true}, muster.OK},
	} {
		p, err := TCP{Steps: []Step{test.step}, Until: untilNone}.Prober(Env{})
		if err != nil {
			t.Fatal(err)
		}
		if r := p.Probe(t.Context(), target); r.Outcome != test.want {
			t.Errorf("%+v: %v %s %s, want %v", test.step, r.Outcome, r.Reason, r.Detail, test.want)
		}
	}
	for _, step := range []Step{{Send: "a", Next: true}, {Expect: "a", Raw: true, Next: true}} {
		if err := (TCP{Steps: []Step{step}}).Validate(); err == nil {
			t.Errorf("%+v is taken", step)
		}
	}
}
