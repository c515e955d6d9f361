package vars_test

import (
	"fmt"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/vars"
)

func Example() {
	t, err := vars.Parse("url", "http://{{.host}}:{{.port | default 80}}/search?q={{.topic | urlquery}}")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tg := range []muster.Target{
		{ID: "a", Host: "a.example", Vars: map[string]string{"topic": "fans & pumps"}},
		{ID: "b", Host: "b.example", Port: 8080},
	} {
		fmt.Println(t.Expand(&tg))
	}
	// Output:
	// http://a.example:80/search?q=fans+%26+pumps <nil>
	//  url: target b has no variable topic; it has host, id, index, name, path, port
}
