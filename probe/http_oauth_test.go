package probe

import (
	"context"
	"fmt"
	"net"
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

// tokenServer hands out tokens, each another one, and counts them and those who asked; refuse has it refuse.
func tokenServer(t *testing.T, refuse bool, life time.Duration) (url string, handed, asked *atomic.Int32) {
	t.Helper()
	handed, asked = new(atomic.Int32), new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		id, secret, _ := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if refuse || id != "me" || secret != "s3cret" || r.FormValue("scope") != "read write" || r.FormValue("aud") != "x" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":"invalid_client","error_description":"s3cret is wrong"}`)
			return
		}
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":%d}`, handed.Add(1), int(life.Seconds()))
	}))
	t.Cleanup(s.Close)
	return s.URL, handed, asked
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
	}{{"one for all", time.Hour, false, 5, 1}, {"expired at once", time.Second, false, 5, 5}, {"refused", time.Hour, true, 20, 0}} {
		url, handed, asked := tokenServer(t, c.refuse, c.life)
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
		if got := asked.Load(); c.refuse && got > 2 { // one request; some servers take the secret in the form alone, so that both ways are tried
			t.Errorf("%s: the server was asked %d times", c.name, got)
		}
		p.Close()
	}
}

// TestOAuth2SilentServer ends attempts that wait for a token with their context, and the request with the prober.
func TestOAuth2SilentServer(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	silent := serve(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		asked <- struct{}{}
		c.Read(make([]byte, 1<<20)) // until the client leaves
		for {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return
			}
		}
	})
	p, err := compileHTTP(HTTP{URL: "/", OAuth2: &OAuth2{
		TokenURL: "http://" + netip.AddrPortFrom(silent.Addr, silent.Port).String(), ClientID: "me",
	}}, Env{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if r := p.Probe(ctx, silent); r.Outcome != muster.Canceled || r.Sent {
		t.Errorf("%v %s", r.Outcome, r.Detail)
	}
	p.Close() // or it waits for a minute
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
