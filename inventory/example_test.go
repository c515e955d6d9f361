package inventory_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
)

func ExampleFreeze() {
	list, err := inventory.Freeze(context.Background(), inventory.Query{
		Sets:    []string{"10.0.0.0/8 web[01-03]:8080"},
		Exclude: []string{"10.0.0.0/9"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer list.Close()
	last, err := list.At(list.Len() - 1)
	fmt.Println(list.Len(), last.ID, last.Port, err)
	// Output: 8388610 web03:8080 8080 <nil>
}

func ExampleFreeze_file() {
	list, err := inventory.Freeze(context.Background(), inventory.Query{
		Hostfiles: []hostfile.Reader{{
			Path: "-", Format: "csv",
			Stdin: strings.NewReader("id,address,rack\ngw1,10.0.0.1:22,r1\ngw2,10.0.0.2:22,r2\n"),
		}},
		Selector: "rack!=r1",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer list.Close()
	for target := range list.All() {
		fmt.Println(target.ID, target.Addr, target.Vars["rack"])
	}
	// Output: gw2 10.0.0.2 r2
}

func ExampleParseSelector() {
	s, err := inventory.ParseSelector("rack in (r1,r2),env!=dev")
	fmt.Println(s.Match(&muster.Target{Labels: map[string]string{"rack": "r1"}}), err)
	_, err = inventory.ParseSelector("rack in r1")
	fmt.Println(err)
	// Output:
	// true <nil>
	// selector "rack in r1": column 9: want a list behind in, as in rack in (a,b)
}
