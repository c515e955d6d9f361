package nodeset_test

import (
	"fmt"

	"github.com/musterhq/muster/nodeset"
)

func Example() {
	failed := nodeset.New("web01:8080", "web02:8080", "web03:8080", "web11:8080", "db1")
	fmt.Println(failed)

	s, err := nodeset.Parse("web[01-20]!web[05-08] & web[01-10]")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Len(), s)
	for part := range s.Split(2) {
		fmt.Println(part)
	}

	_, err = nodeset.Parse("web[1-")
	fmt.Println(err)
	// Output:
	// db1,web[01-03,11]:8080
	// 6 web[01-04,09-10]
	// web[01-03]
	// web[04,09-10]
	// node set "web[1-": column 4: bracket not closed
}

func ExampleSet_All() {
	s, err := nodeset.Parse("r[1-1000000]n[1-1000000]")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Len())
	for name := range s.All() {
		fmt.Println(name)
		break
	}
	fmt.Println(s.At(1_999_999))
	// Output:
	// 1000000000000
	// r1n1
	// r2n1000000 true
}
