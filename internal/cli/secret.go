package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/term"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/blackbox"
	"github.com/musterhq/muster/probe"
)

// secretName matches names of headers, cookies and parameters whose values are secrets.
const secretName = `(?:authorization|cookie|token|passw|credential|signature|session|secret|api[-_]?key|access[-_]?key|auth[-_]?key)`

var (
	// sensitive matches the name of a header that carries a secret.
	sensitive = regexp.MustCompile(`(?i)` + secretName)
	// sensitiveLine matches a header line or assignment with such a name, wherever it stands in
	// an argument.
	sensitiveLine = regexp.MustCompile(`(?is)^(.*?` + secretName + `[\w-]*\s*[:=]\s*)(.+)$`)
	// userinfo matches the credentials in a URL, or rather too much than too little.
	userinfo = regexp.MustCompile(`(://)[^/?#\s]*[^\s,!&^/?#]@`)
)

// secret resolves a reference: env:NAME, file:PATH, given:NAME for a value that stood on this
// command line, ask:WHAT for one that is asked for on the terminal, or "" for none. The value never appears in messages.
func (p *Program) secret(ref string) (muster.Secret, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "":
		return muster.Secret{}, nil
	case "env":
		if v := p.Getenv(name); v != "" {
			return muster.NewSecret(v), nil
		}
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "environment variable %s is empty or not set", name)
	case "file":
		text, err := os.ReadFile(name)
		if err != nil {
			return muster.Secret{}, muster.Errorf(muster.KindInvalid, "read the secret: %w", err)
		}
		return muster.NewSecret(strings.TrimRight(string(text), "\r\n")), nil
	case "ask":
		return p.ask(name)
	case blackbox.SecretKind:
		return blackbox.Secret(name)
	case "given":
		if s, ok := p.given[name]; ok {
			return s, nil
		}
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "the value of %s was given on the command line of the first run and is not stored: run it anew, with {{secret \"env:NAME\"}} in its place", name)
	}
	return muster.Secret{}, muster.Errorf(muster.KindInvalid,
		"a secret is given as env:NAME or file:PATH, never by its value: arguments are visible to everybody on this machine")
}

// ask asks for a secret on the terminal, without echo, once per process.
func (p *Program) ask(what string) (muster.Secret, error) {
	key := "ask:" + what
	if s, ok := p.given[key]; ok {
		return s, nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "%s: there is no terminal to ask on: give it as env:NAME or file:PATH, with --pass, --passphrase or --sudo-pass", what)
	}
	defer tty.Close()
	text, err := readSecret(tty, "muster: "+what+": ")
	if errors.Is(err, io.EOF) { // Ctrl-C, Ctrl-D
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "%s: not given, nothing was sent", what)
	}
	if err != nil {
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "%s: read it from the terminal: %w", what, err)
	}
	if p.given == nil {
		p.given = map[string]muster.Secret{}
	}
	p.given[key] = muster.NewSecret(text)
	return p.given[key], nil
}

// readSecret asks once nothing is echoed any more, so that what is typed ahead stays unseen too.
func readSecret(tty *os.File, prompt string) (string, error) {
	fd := int(tty.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	defer term.Restore(fd, before)
	return term.NewTerminal(tty, "").ReadPassword(prompt)
}

// hide replaces the values of headers that carry secrets, and of all cookies, by references that
// only this process can resolve, so that they reach neither the store nor a log.
func (p *Program) hide(h *probe.HTTP) {
	for i := range h.Header {
		if f := &h.Header[i]; !f.Drop && sensitive.MatchString(f.Name) {
			f.Value = p.reference(f.Name, f.Value)
		}
	}
	for i := range h.Cookies {
		c := &h.Cookies[i]
		c.Value = p.reference("cookie-"+c.Name, c.Value)
	}
}

// hidePairs does the same to the variables of a command's environment.
func (p *Program) hidePairs(env []probe.Pair) {
	for i := range env {
		if v := &env[i]; sensitive.MatchString(v.Name) {
			v.Value = p.reference("env-"+v.Name, v.Value)
		}
	}
}

// reference keeps a value that stood on the command line and returns the template that stands
// for it. One that is a template itself is made of variables and references already.
func (p *Program) reference(name, value string) string {
	if value == "" || strings.Contains(value, "{{") {
		return value
	}
	if p.given == nil {
		p.given = map[string]muster.Secret{}
	}
	key := name
	for n := 2; !p.given[key].IsZero(); n++ { // a header may be given twice
		key = fmt.Sprintf("%s-%d", name, n)
	}
	p.given[key] = muster.NewSecret(value)
	return fmt.Sprintf("{{secret %q}}", "given:"+key)
}

// commandLine is the invocation as it is kept with the run: quoted for a shell, secrets left out.
func commandLine(args []string) string {
	words := make([]string, len(args))
	cookie := false
	for i, a := range args {
		switch {
		case cookie:
			a = hideCookie(a)
		case strings.HasPrefix(a, "--cookie="):
			a = "--cookie=" + hideCookie(strings.TrimPrefix(a, "--cookie="))
		default:
			a = hideLine(a)
		}
		cookie = !cookie && args[i] == "--cookie"
		words[i] = shellQuote(withoutUserinfo(a))
	}
	return strings.Join(words, " ")
}

// hideCookie leaves the name of NAME=VALUE.
func hideCookie(pair string) string {
	name, value, ok := strings.Cut(pair, "=")
	switch {
	case strings.Contains(value, "{{"):
		return pair
	case !ok:
		return muster.Secret{}.String()
	}
	return name + "=" + muster.Secret{}.String()
}

// hideLine leaves the name of a header line or assignment that carries a secret.
func hideLine(a string) string {
	m := sensitiveLine.FindStringSubmatch(a)
	if m == nil || strings.Contains(m[2], "{{") || strings.HasPrefix(m[2], "env:") || strings.HasPrefix(m[2], "file:") {
		return a
	}
	return m[1] + muster.Secret{}.String()
}

// withoutUserinfo returns a text with the credentials in its URLs taken out.
func withoutUserinfo(s string) string { return userinfo.ReplaceAllString(s, "${1}…@") }
