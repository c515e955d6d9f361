package fanout_test

import (
	"context"
	"fmt"

	"github.com/musterhq/muster/fanout"
	"github.com/musterhq/muster/internal/sim"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/probe"
)

// One HTTP request to many hosts, a result for each, whatever happens to it.
func Example() {
	ctx := context.Background()
	fleet, _ := (&sim.Fleet{}).Start(ctx) // stands for your hosts
	defer fleet.Close()

	targets, err := inventory.Freeze(ctx, inventory.Query{Sets: []string{"127.0.7.[1-100]:" + fleet.Port()}})
	if err != nil {
		panic(err)
	}
	defer targets.Close()
	status, err := probe.HTTP{URL: "/status"}.Prober(probe.Env{})
	if err != nil {
		panic(err)
	}
	count := map[string]int{}
	for r := range new(fanout.Engine).Run(ctx, targets, status) {
		count[r.Status]++
	}
	fmt.Println(count)
	// Output: map[200 OK:100]
}
