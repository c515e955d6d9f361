package rollup_test

import (
	"fmt"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
)

type list []string

func (l list) Len() int                        { return len(l) }
func (l list) At(i int) (muster.Target, error) { return muster.Target{ID: l[i]}, nil }
func (l list) Hash() [32]byte                  { return [32]byte{} }

func Example() {
	targets := list{"web1", "web2", "web3", "web4"}
	by, err := rollup.ParseBy("version=json:$.v")
	if err != nil {
		panic(err)
	}
	table := rollup.Table{By: by}
	for i, body := range []string{`{"v":"1.27"}`, `{"v":"1.27"}`, `{"v":"1.26"}`} {
		table.Add(nil, &muster.Result{Index: i, Outcome: muster.OK, Body: []byte(body)})
	}
	table.Add(nil, &muster.Result{Index: 3, Outcome: muster.Failed, Failure: muster.FailRefused})
	for _, g := range table.Groups() {
		fmt.Println(g.Count, g.Key, g.Nodes(targets, 0))
	}
	// Output:
	// 2 1.27 web[1-2]
	// 1 1.26 web3
	// 1 failed: refused web4
}

func ExampleMasks_Append() {
	masks, _ := rollup.ParseMasks("all")
	r := muster.Result{Target: "web1", Body: []byte("web1 up since 2026-11-20T18:34:41Z, build 9f86d081884c, v1.2.3")}
	fmt.Println(string(masks.Append(nil, nil, &r)))
	// Output: <name> up since <time>, build <id>, v1.2.3
}
