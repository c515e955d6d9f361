package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/musterhq/muster"
)

// OAuth2 logs in to a token server with the client's own credentials (RFC 6749, section 4.4), and to every target with
// the token: it is fetched once for all of them, and again before it expires. Its strings are no templates.
type OAuth2 struct {
	// TokenURL is where tokens are to be had.
	TokenURL string `json:"token_url"`
	// ClientID and ClientSecret, a secret reference, are the credentials.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret,omitempty"`
	// Scopes are asked for.
	Scopes []string `json:"scopes,omitempty"`
	// Params are further parameters of the request for a token.
	Params []Pair `json:"params,omitempty"`
	// Proxy is the URL of a proxy to the token server; "" is none.
	Proxy string `json:"proxy,omitempty"`
	// TLS is how https is spoken with the token server.
	TLS TLS `json:"tls,omitzero"`
}

func (o *OAuth2) validate(p *problems) {
	u, err := url.Parse(o.TokenURL)
	p.addIf(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https", "oauth2 token_url %q: want an http or https URL", o.TokenURL)
	p.addIf(o.ClientID == "", "oauth2: it needs a client_id")
	if o.Proxy != "" {
		_, err := parseProxy(o.Proxy)
		p.add(err)
	}
	o.TLS.validateVersions(p)
}

// refusalKept is how long no token is asked for again after one was refused: a fleet must not try a wrong secret
// once per target, which locks accounts.
const refusalKept = 5 * time.Second

// tokens holds the token of an [OAuth2] login. It is safe for concurrent use.
type tokens struct {
	config  clientcredentials.Config
	client  *http.Client
	ctx     context.Context // of requests for tokens, until close
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu    sync.Mutex
	token *oauth2.Token
	fetch *tokenFetch // under way, or refused of late
}

// tokenFetch is one request for a token; its result may be read once done is closed.
type tokenFetch struct {
	done  chan struct{}
	token *oauth2.Token
	err   error
	ended time.Time
}

// stale reports whether f was refused long enough ago for another request.
func (f *tokenFetch) stale() bool {
	select {
	case <-f.done:
		return time.Since(f.ended) > refusalKept
	default:
		return false
	}
}

// oauth prepares the login; nothing is sent before the first attempt.
func (c *compiler) oauth(o *OAuth2, env Env) *tokens {
	conf, err := clientTLS(o.TLS, c.secret)
	c.add(err)
	params := url.Values{}
	for _, p := range o.Params {
		params.Add(p.Name, p.Value)
	}
	s := &tokens{
		config: clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: c.secret("oauth2 client_secret", o.ClientSecret).Reveal(),
			TokenURL: o.TokenURL, Scopes: o.Scopes, EndpointParams: params,
		},
		client: &http.Client{Timeout: env.Timeout, Transport: tokenTransport(o.Proxy, conf, env)},
	}
	s.ctx, s.cancel = context.WithCancel(context.WithValue(context.Background(), oauth2.HTTPClient, s.client))
	return s
}

func tokenTransport(proxy string, conf *tls.Config, env Env) *http.Transport {
	t := &http.Transport{DialContext: env.Dialer.DialContext, TLSClientConfig: conf, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	if u, err := url.Parse(proxy); err == nil && proxy != "" {
		t.Proxy = http.ProxyURL(u)
	}
	return t
}

// authorize puts a valid token into req. Attempts that need a new one at once wait for the same request, each until its ctx ends.
func (s *tokens) authorize(ctx context.Context, req *http.Request) error {
	s.mu.Lock()
	if s.token.Valid() {
		s.token.SetAuthHeader(req)
		s.mu.Unlock()
		return nil
	}
	f := s.fetch
	if f == nil || f.stale() {
		f = &tokenFetch{done: make(chan struct{})}
		s.fetch = f
		s.working.Go(func() { s.get(f) })
	}
	s.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.err != nil {
		return s.refused(f.err)
	}
	f.token.SetAuthHeader(req)
	return nil
}

// refused says why there is no token; what the server wrote in full may hold what is nobody's business.
func (s *tokens) refused(err error) error {
	why := err.Error()
	if r, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		why = strings.TrimSpace(r.Response.Status + " " + r.ErrorCode)
	}
	return &fault{muster.FailAuth, "no token", "token of " + s.config.TokenURL + ": " + why, true}
}

// get asks for a token; the client's timeout bounds it.
func (s *tokens) get(f *tokenFetch) {
	f.token, f.err = s.config.Token(s.ctx)
	f.ended = time.Now()
	s.mu.Lock()
	if s.token = f.token; f.err == nil {
		s.fetch = nil
	}
	s.mu.Unlock()
	close(f.done)
}

func (s *tokens) close() {
	s.cancel()
	s.working.Wait()
	s.client.CloseIdleConnections()
}
