package probe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/musterhq/muster"
)

// tokenServer hands out tokens, each another one, and counts them; refuse has it refuse.
func tokenServer(t *testing.T, refuse *atomic.Bool, life time.Duration) (url string, handed *atomic.Int32) {
	t.Helper()
	handed = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if refuse.Load() || id != "me" || secret != "s3cret" || r.FormValue("scope") != "read write" || r.FormValue("aud") != "x" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"s3cret is wrong"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":%d}`, handed.Add(1), int(life.Seconds()))
	}))
	t.Cleanup(s.Close)
	return s.URL, handed
}

// TestOAuth2 logs in to many targets with one token, with a new one when it is about to expire, and with none in vain.
func TestOAuth2(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}))
	t.Cleanup(web.Close)
	at := netip.MustParseAddrPort(strings.TrimPrefix(web.URL, "http://"))
	target := muster.Target{ID: "web", Host: at.Addr().String(), Addr: at.Addr(), Port: at.Port()}
	for _, c := range []struct {
		name   string
		life   time.Duration
		refuse bool
		alone  int // attempts, one after the other
		tokens int32
	}{{"one for all", time.Hour, false, 5, 1}, {"expired at once", time.Second, false, 5, 5}, {"refused", time.Hour, true, 2, 0}} {
		var refuse atomic.Bool
		refuse.Store(c.refuse)
		url, handed := tokenServer(t, &refuse, c.life)
		p, err := compileHTTP(HTTP{URL: "/", OAuth2: &OAuth2{
			TokenURL: url, ClientID: "me", ClientSecret: "env:S", Scopes: []string{"read", "write"}, Params: []Pair{{Name: "aud", Value: "x"}},
		}}, Env{Secret: func(string) (muster.Secret, error) { return muster.NewSecret("s3cret"), nil }})
		if err != nil {
			t.Fatal(err)
		}
		probe := func() {
			r := p.Probe(t.Context(), target)
			switch {
			case c.refuse:
				if r.Failure != muster.FailAuth || r.Reason != "no token" || r.Sent || strings.Contains(r.Detail, "s3cret") ||
					!strings.Contains(r.Detail, "401 Unauthorized invalid_client") {
					t.Errorf("%s: %v %v %s: %s", c.name, r.Outcome, r.Failure, r.Reason, r.Detail)
				}
			case r.Outcome != muster.OK || !strings.HasPrefix(string(r.Body), "Bearer t"):
				t.Errorf("%s: %v %q %s", c.name, r.Outcome, r.Body, r.Detail)
			}
		}
		var work sync.WaitGroup
		if c.tokens == 1 {
			for range 50 {
				work.Go(probe)
			}
		}
		work.Wait()
		for range c.alone {
			probe()
		}
		if got := handed.Load(); got != c.tokens {
			t.Errorf("%s: %d tokens were handed out, want %d", c.name, got, c.tokens)
		}
		p.Close()
	}
}

func TestOAuth2Mistakes(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]HTTP{
		"want an http or https URL":  {OAuth2: &OAuth2{TokenURL: "ftp://x", ClientID: "a"}},
		"it needs a client_id":       {OAuth2: &OAuth2{TokenURL: "http://x"}},
		"never the secret itself":    {OAuth2: &OAuth2{TokenURL: "http://x", ClientID: "a", ClientSecret: "plain"}},
		"want no user and no bearer": {Bearer: "env:T", OAuth2: &OAuth2{TokenURL: "http://x", ClientID: "a"}},
	} {
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
