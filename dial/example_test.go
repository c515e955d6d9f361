package dial_test

import (
	"fmt"
	"net/netip"

	"github.com/musterhq/muster/dial"
)

func ExamplePolicy() {
	policy, err := dial.ParsePolicy(nil, []string{"10.0.0.0/8"})
	if err != nil {
		fmt.Println(err)
		return
	}
	rules := policy.Compile()
	for _, s := range []string{"192.0.2.1", "10.1.2.3", "::ffff:169.254.169.254"} {
		if e := rules.Check(netip.MustParseAddr(s)); e != nil {
			fmt.Println(s, e.Reason)
		} else {
			fmt.Println(s, "allowed")
		}
	}
	// Output:
	// 192.0.2.1 allowed
	// 10.1.2.3 denied 10.0.0.0/8
	// ::ffff:169.254.169.254 denied link-local 169.254.0.0/16
}
