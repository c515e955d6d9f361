package cli_test

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"
	"github.com/rogpeppe/go-internal/testscript"
)

// sockets starts a server that greets and echoes over WebSockets at every path but /no; it sets $WSPORT.
func sockets(ts *testscript.TestScript, neg bool, args []string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/no" {
			http.Error(w, "go away", http.StatusForbidden)
			return
		}
		c, err := websocket.Accept(w, req, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		ctx := req.Context()
		c.Write(ctx, websocket.MessageText, []byte("hello from "+req.URL.Path))
		for {
			kind, m, err := c.Read(ctx)
			if err != nil || c.Write(ctx, kind, m) != nil {
				return
			}
		}
	}))
	ts.Defer(s.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
	ts.Setenv("WSPORT", port)
}
