package sink_test

import (
	"context"
	"os"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
	"github.com/musterhq/muster/sink"
)

var results = []muster.Result{
	{Index: 0, Target: "web1", Outcome: muster.OK, Status: "200 OK", Body: []byte("nginx 1.27\n")},
	{Index: 1, Target: "web2", Outcome: muster.OK, Status: "200 OK", Body: []byte("nginx 1.27\n")},
	{Index: 2, Target: "web3", Outcome: muster.Failed, Failure: muster.FailRefused, Detail: "connection refused"},
}

func Example() {
	out := &sink.Lines{W: os.Stdout}
	if err := out.Write(context.Background(), results); err != nil {
		panic(err)
	}
	// Output:
	// web1: nginx 1.27
	// web2: nginx 1.27
	// web3: failed (refused): connection refused
}

type list []string

func (l list) Len() int                        { return len(l) }
func (l list) At(i int) (muster.Target, error) { return muster.Target{ID: l[i]}, nil }
func (l list) Hash() [32]byte                  { return [32]byte{} }

func ExampleGathered() {
	by, err := rollup.ParseBy("body")
	if err != nil {
		panic(err)
	}
	table := &rollup.Table{By: by}
	for i := range results {
		table.Add(nil, &results[i])
	}
	report := sink.Gathered{W: os.Stdout, Width: 80}
	if err := report.Table(table, list{"web1", "web2", "web3"}); err != nil {
		panic(err)
	}
	// Output:
	// ---------------
	// web[1-2] (2)
	// ---------------
	// nginx 1.27
	//
	// COUNT  SHARE  BODY             NODES
	//     1  33.3%  failed: refused  web3
}
