package blackbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/blackbox"
	"github.com/musterhq/muster/probe"
)

// TestOAuth2 logs in with a token of the server that the module names; its secret stays in the file.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"bearer"}`, strings.Join([]string{id, secret, r.FormValue("scope"), r.FormValue("aud")}, "-"))
	}))
	t.Cleanup(tokens.Close)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	t.Cleanup(web.Close)
	f, _ := write(t, `
modules:
  token:
    prober: http
    http:
      oauth2: {client_id: me, client_secret: topsecret, scopes: [a], endpoint_params: {aud: x}, token_url: "`+tokens.URL+`"}
`)
	saved, err := f.Compile("token", noEnvironment)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(saved.With), "topsecret") {
		t.Errorf("the action holds the secret: %s", saved.With)
	}
	var h probe.HTTP
	if err := json.Unmarshal(saved.With, &h); err != nil {
		t.Fatal(err)
	}
	h.Truncate, h.Drain = false, false
	p, err := h.Prober(probe.Env{Secret: func(ref string) (muster.Secret, error) {
		return blackbox.Secret(strings.TrimPrefix(ref, blackbox.SecretKind+":"))
	}})
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(strings.TrimPrefix(web.URL, "http://"))
	r := p.Probe(t.Context(), muster.Target{Host: at.Addr().String(), Addr: at.Addr(), Port: at.Port()})
	if r.Outcome != muster.OK || string(r.Body) != "Bearer me-topsecret-a-x" {
		t.Errorf("%v %s: %q", r.Outcome, r.Detail, r.Body)
	}
}
