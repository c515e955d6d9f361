package cli

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// httpFlags are the flags of one HTTP exchange; their letters are curl's where these
// do not clash with clush's.
type httpFlags struct {
	method, data, user, bearer, agent, proxy string
	headers, form, cookies, keep             []string
	compressed, truncate, insecure, details  bool
	location, http2, http2Only, http3        bool
	maxRedirs                                int
	proxyUser, scheme, port                  string
	cacert, cert, key, serverName            string
	bodyLimit                                string
	headerTimeout, bodyTimeout               time.Duration
	async                                    asyncFlags
}

func (f *httpFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&f.method, "request", "X", "", "method (default GET, POST with -d or --form)")
	fs.StringArrayVarP(&f.headers, "header", "H", nil, "request `'NAME: VALUE'`; templates see every target's variables")
	fs.StringVarP(&f.data, "data", "d", "", "request `BODY`, @FILE or @- for standard input")
	fs.StringArrayVar(&f.form, "form", nil, "form field `NAME=VALUE`, sent urlencoded")
	fs.StringVarP(&f.user, "user", "u", "", "basic authentication: `NAME:env:VAR` or NAME:file:PATH")
	fs.StringVar(&f.bearer, "bearer", "", "bearer token: `env:VAR` or file:PATH")
	fs.StringVarP(&f.agent, "user-agent", "A", "", "User-Agent header")
	fs.StringVar(&f.proxy, "proxy", "", "send through this proxy `URL`")
	fs.StringVar(&f.proxyUser, "proxy-user", "", "log in to the proxy: `NAME:env:VAR` or NAME:file:PATH")
	fs.StringArrayVar(&f.cookies, "cookie", nil, "cookie `NAME=VALUE`")
	fs.BoolVarP(&f.location, "location", "L", false, "follow redirects")
	fs.IntVar(&f.maxRedirs, "max-redirs", 10, "with -L: at most this many")
	fs.BoolVar(&f.compressed, "compressed", false, "ask for a compressed answer and decode it")
	fs.BoolVar(&f.http2, "http2", false, "offer HTTP/2 over TLS")
	fs.BoolVar(&f.http2Only, "http2-prior-knowledge", false, "speak HTTP/2 without asking")
	fs.BoolVar(&f.http3, "http3", false, "speak HTTP/3, to https alone (a muster built with -tags http3)")
	fs.StringVar(&f.scheme, "scheme", "", "`http|https` for targets that name no scheme (default http)")
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none (default the scheme's)")
	fs.BoolVarP(&f.insecure, "insecure", "k", false, "do not verify the target's certificate")
	fs.StringVar(&f.cacert, "cacert", "", "verify the target with the authorities in this `FILE`")
	fs.StringVarP(&f.cert, "cert", "E", "", "client certificate `FILE` (PEM)")
	fs.StringVar(&f.key, "key", "", "its private key `FILE` (PEM)")
	fs.StringVar(&f.serverName, "server-name", "", "name for SNI and verification (default: the target's)")
	fs.StringVar(&f.bodyLimit, "body-limit", "1MiB", "a larger answer is too_large, or cut with --truncate")
	fs.BoolVar(&f.truncate, "truncate", false, "cut larger answers and mark them")
	fs.BoolVar(&f.details, "details", false, "put http.version, http.tls and http.redirects into the result's fields")
	fs.StringArrayVar(&f.keep, "keep-header", nil, "keep this response header in the result (`NAME`, * for all)")
	fs.DurationVar(&f.headerTimeout, "header-timeout", 0, "bound of the wait for the answer's header (0: only --timeout)")
	fs.DurationVar(&f.bodyTimeout, "body-timeout", 0, "bound of reading the body (0: only --timeout)")
}

// httpSpec compiles the flags and the action's method and URL into the probe's parameters.
func (p *Program) httpSpec(f *httpFlags, method, action string) (*probe.HTTP, error) {
	limit, err := parseBytes(f.bodyLimit)
	if err != nil {
		return nil, usageError{fmt.Errorf("--body-limit: %w", err)}
	}
	h := &probe.HTTP{
		Method: method, URL: action, Scheme: f.scheme, Port: f.port, Bearer: f.bearer, UserAgent: f.agent, Proxy: f.proxy,
		Follow: f.follow(), Compressed: f.compressed, HTTP2: f.version(), HTTP3: f.http3, BodyLimit: limit, Truncate: f.truncate,
		KeepHeaders: f.keep, Details: f.details, HeaderTimeout: muster.Duration(f.headerTimeout), BodyTimeout: muster.Duration(f.bodyTimeout),
		TLS: probe.TLS{CA: f.cacert, Cert: f.cert, Key: f.key, ServerName: f.serverName, Insecure: f.insecure},
	}
	if h.Method != "" && f.method != "" && !strings.EqualFold(h.Method, f.method) {
		return nil, usageError{fmt.Errorf("%s and -X %s: name the method once", h.Method, f.method)}
	}
	if h.Method == "" {
		h.Method = f.method
	}
	for _, text := range f.headers {
		field, err := probe.ParseHeader(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("-H: %w", err)}
		}
		h.Header = append(h.Header, field)
	}
	if h.Form, err = parsePairs("--form", f.form); err != nil {
		return nil, err
	}
	if h.Cookies, err = parsePairs("--cookie", f.cookies); err != nil {
		return nil, err
	}
	if h.User, h.Password, err = splitUser("-u", f.user); err != nil {
		return nil, err
	}
	if h.ProxyUser, h.ProxyPassword, err = splitUser("--proxy-user", f.proxyUser); err != nil {
		return nil, err
	}
	if err := p.addBody(f, h); err != nil {
		return nil, err
	}
	if err := h.Validate(); err != nil {
		return nil, usageError{err}
	}
	p.hide(h) // last: what stands in place of a secret tells nothing of its defects
	return h, nil
}

func parsePairs(flag string, texts []string) ([]probe.Pair, error) {
	var pairs []probe.Pair
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("%s %q: want NAME=VALUE", flag, text)}
		}
		pairs = append(pairs, probe.Pair{Name: name, Value: value})
	}
	return pairs, nil
}

func (f *httpFlags) follow() int {
	if !f.location {
		return 0
	}
	return f.maxRedirs
}

func (f *httpFlags) version() probe.HTTP2 {
	switch {
	case f.http2Only:
		return probe.HTTP2Always
	case f.http2:
		return probe.HTTP2Auto
	}
	return probe.HTTP2Off
}

func splitUser(flag, s string) (name, ref string, err error) {
	name, ref, _ = strings.Cut(s, ":")
	if ref != "" && !strings.HasPrefix(ref, "env:") && !strings.HasPrefix(ref, "file:") {
		return "", "", usageError{fmt.Errorf("%s %s:…: a password is given as %[2]s:env:VAR or %[2]s:file:PATH, never by its value: arguments are visible to everybody on this machine", flag, name)}
	}
	return name, ref, nil
}

// addBody takes the body from the flag, a file, or standard input.
func (p *Program) addBody(f *httpFlags, h *probe.HTTP) error {
	path, isFile := strings.CutPrefix(f.data, "@")
	switch {
	case !isFile:
		h.Body = f.data
	case path == "-":
		text, err := io.ReadAll(p.In)
		if err != nil {
			return fmt.Errorf("-d @-: %w", err)
		}
		h.Body = string(text)
	default:
		return frozenBody(h, path)
	}
	return nil
}

// frozenBody takes the body from a file as it is now, so that a re-run sends the same; bytes that a spec cannot
// hold stay in the file.
func frozenBody(h *probe.HTTP, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return usageError{fmt.Errorf("-d @%s: %w", path, err)}
	}
	if !utf8.Valid(text) || len(text) > maxFrozenBody {
		h.BodyFile = path
		return nil
	}
	h.Body = string(text)
	return nil
}

// maxFrozenBody bounds what a stored spec carries along.
const maxFrozenBody = 1 << 20

// splitAction reads [METHOD] PATH|URL. base is the target that a full URL names by itself.
func splitAction(args []string, targetsGiven bool) (method, action, base string, err error) {
	if len(args) == 2 {
		method, args = strings.ToUpper(args[0]), args[1:]
	}
	if len(args) == 1 {
		action = args[0]
	}
	if strings.ContainsAny(action, " \t\n") && !strings.Contains(action, "{{") {
		return "", "", "", usageError{fmt.Errorf("%q: a URL holds no spaces: write %%20", action)}
	}
	scheme, _, full := strings.Cut(action, "://")
	switch {
	case !full && action != "" && !strings.HasPrefix(action, "/") && !strings.HasPrefix(action, "{{") && !strings.HasPrefix(action, "?"):
		return "", "", "", usageError{fmt.Errorf("%q: want a path such as /status or a full URL", action)}
	case !full || strings.Contains(scheme, "{{"):
		return method, action, "", nil
	case targetsGiven && strings.Contains(action, "{{"):
		return method, action, "", nil // the URL is made from each target's variables
	case targetsGiven:
		return "", "", "", usageError{fmt.Errorf("%s names a target of its own beside -w: give a path such as /status, or the URL alone", action)}
	}
	base, action = splitURL(action)
	return method, action, base, nil
}

// splitURL cuts a URL into the target (scheme, host, port) and the action's path.
func splitURL(s string) (base, path string) {
	host := strings.Index(s, "://") + len("://")
	end := strings.IndexAny(s[host:], "/?#")
	if end < 0 {
		return s, "/"
	}
	return s[:host+end], s[host+end:]
}

// parseBytes reads a size such as 64KiB, 10MB or 1048576.
func parseBytes(s string) (int64, error) {
	units := []struct {
		suffix string
		factor float64
	}{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"kB", 1e3},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"B", 1},
		{"", 1},
	}
	for _, u := range units {
		num, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if f *= u.factor; err != nil || !(f >= 0 && f < math.MaxInt64) { // NaN neither
			break
		}
		return int64(f), nil
	}
	return 0, fmt.Errorf("%q: want a size such as 64KiB, 1MiB or 1048576", s)
}
