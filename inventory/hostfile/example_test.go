package hostfile_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/musterhq/muster/inventory/hostfile"
)

func Example() {
	text := "host,port,rack\nweb1,8080,r1\nweb2,http,r2\n"
	r := hostfile.Reader{Path: "-", Stdin: strings.NewReader(text)}
	for row, err := range r.Rows(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.Spec, row.Labels["rack"], row.Err)
	}
	// Output:
	// web1:8080 r1 <nil>
	// web2 r2 standard input:3:6: port "http" is not a number from 1 to 65535
}
