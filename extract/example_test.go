package extract_test

import (
	"fmt"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
)

func Example() {
	version, err := extract.ParseExtract("version=$.build.version")
	if err != nil {
		fmt.Println(err)
		return
	}
	judge, err := extract.Compile(muster.Action{
		Expect:  "status == 200 && version == vars.want",
		Extract: []muster.Extract{version},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	target := muster.Target{ID: "web01", Vars: map[string]string{"want": "1.3"}}
	result := muster.Result{Outcome: muster.OK, Code: 200, Body: []byte(`{"build":{"version":"1.2"}}`)}
	judge.Apply(&target, &result)
	fmt.Println(result.Outcome, "-", result.Reason, result.Fields)
	// Output: unexpected - expect status == 200 && version == vars.want [{version 1.2}]
}

func ExampleJSONPath() {
	doc, err := extract.DecodeJSON([]byte(`[{"n":"a","up":true},{"n":"b","up":false}]`))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := extract.ParseJSONPath("$[?@.up == true].n")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Find(doc))
	// Output: [a] <nil>
}
