package probe

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/musterhq/muster"
)

// TestHTTPRedirectTakesNoSecretAlong sends a key to the target, which redirects to another server.
func TestHTTPRedirectTakesNoSecretAlong(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer other.Close()
	asked := make(chan http.Header, 1)
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header
		http.Redirect(w, r, other.URL, http.StatusFound)
	}))
	defer first.Close()
	p, err := compileHTTP(HTTP{
		URL: first.URL, Follow: 1,
		Header: []Header{{Name: "X-Api-Key", Value: `{{secret "env:KEY"}}`}, {Name: "X-Trace", Value: "7"}},
	}, Env{Secret: func(string) (muster.Secret, error) { return muster.NewSecret("hunter2"), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	r := p.Probe(t.Context(), muster.Target{ID: "a", Host: "127.0.0.1", Addr: mustAddr("127.0.0.1")})
	if r.Outcome != muster.OK {
		t.Fatal(r.Outcome, r.Detail)
	}
	if h := <-asked; h.Get("X-Api-Key") != "hunter2" {
		t.Errorf("the target got %v", h)
	}
	if h := <-got; h.Get("X-Api-Key") != "" || h.Get("X-Trace") != "7" {
		t.Errorf("the other server got %v", h)
	}
}
