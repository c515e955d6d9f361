package rollup

import (
	"fmt"
	"net/netip"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

// names is a list of targets of which only the ids matter.
type names []string

func (n names) Len() int { return len(n) }

func (n names) At(i int) (muster.Target, error) {
	return muster.Target{Index: i, ID: n[i], Host: n[i]}, nil
}

func (n names) Hash() [32]byte { return [32]byte{} }

func answer(i int, status, body string) muster.Result {
	return muster.Result{
		Index: i, Target: fmt.Sprintf("web%d", i), Outcome: muster.OK, Status: status,
		Body: []byte(body), Timings: muster.Timings{Total: time.Duration(i+1) * time.Millisecond},
	}
}

func mustBy(s string) By {
	by, err := ParseBy(s)
	if err != nil {
		panic(err)
	}
	return by
}

// result draws a result of one of few groups.
func result(t *rapid.T, i int) muster.Result {
	r := answer(i, rapid.SampledFrom([]string{"200 OK", "503 Service Unavailable"}).Draw(t, "status"), "")
	switch o := rapid.SampledFrom(muster.Outcomes()).Draw(t, "outcome"); o {
	case muster.OK, muster.Unexpected:
		r.Outcome = o
		r.Body = []byte(rapid.StringMatching(`v[0-3] 1[01]:00:00`).Draw(t, "body"))
		r.Fields = []muster.Field{{Name: "v", Value: float64(len(r.Body))}}
		r.Address = netip.MustParseAddrPort("10.0.0.1:80")
	case muster.Failed:
		r.Outcome, r.Status = o, ""
		r.Failure = rapid.SampledFrom(muster.Failures()).Draw(t, "failure")
	default:
		r.Outcome, r.Status = o, ""
	}
	return r
}
