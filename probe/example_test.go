package probe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

func ExampleDecode() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL)
	}))
	defer server.Close()

	spec, err := probe.Decode("http", json.RawMessage(`{"url": "/status?id={{.id | urlquery}}"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	prober, err := spec.Prober(probe.Env{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ap := netip.MustParseAddrPort(server.Listener.Addr().String())
	target := muster.Target{ID: "web 1", Host: ap.Addr().String(), Addr: ap.Addr(), Port: ap.Port()}
	r := prober.Probe(context.Background(), target)
	fmt.Println(r.Outcome, r.Status, string(r.Body))
	// Output: ok 200 OK GET /status?id=web+1
}

func ExamplePreviewer() {
	prober, err := probe.HTTP{URL: "/restart", Method: "PUT", Bearer: "env:TOKEN"}.Prober(probe.Env{
		Secret: func(string) (muster.Secret, error) { return muster.NewSecret("t0ken"), nil },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := prober.(probe.Previewer).Preview(&muster.Target{Host: "web1", Port: 8080})
	fmt.Print(text, err)
	// Output:
	// # http://web1:8080/restart
	// PUT /restart HTTP/1.1
	// Host: web1:8080
	// User-Agent: muster
	// Accept: */*
	// Authorization: Bearer [redacted]
	// Connection: close
	// Content-Length: 0
	//
	// <nil>
}
