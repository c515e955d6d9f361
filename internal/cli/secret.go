package cli

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// sensitive matches a header line whose value is a secret, wherever it stands in an argument.
var sensitive = regexp.MustCompile(`(?i)^(.*?(?:authorization|cookie|api-?key|auth-token|access-token|secret)[a-z-]*\s*[:=]\s*)(.+)$`)

// secret resolves a reference: env:NAME, file:PATH, given:NAME for a value that stood on this
// command line, or "" for none. The value never appears in messages.
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
	case "given":
		if s, ok := p.given[name]; ok {
			return s, nil
		}
		return muster.Secret{}, muster.Errorf(muster.KindInvalid, "the value of %s was given on the command line of the first run and is not stored: run it anew, with {{secret \"env:NAME\"}} in its place", name)
	}
	return muster.Secret{}, muster.Errorf(muster.KindInvalid,
		"a secret is given as env:NAME or file:PATH, never by its value: arguments are visible to everybody on this machine")
}

// hide replaces the value of a header that carries a secret by a reference that only this
// process can resolve, so that it reaches neither the store nor a log.
func (p *Program) hide(h *probe.Header) {
	if h.Drop || strings.Contains(h.Value, "{{") || !sensitive.MatchString(h.Name+": x") {
		return
	}
	if p.given == nil {
		p.given = map[string]muster.Secret{}
	}
	p.given[h.Name] = muster.NewSecret(h.Value)
	h.Value = fmt.Sprintf("{{secret %q}}", "given:"+h.Name)
}

// commandLine is the invocation as it is kept with the run: quoted for a shell, secrets left out.
func commandLine(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		if m := sensitive.FindStringSubmatch(a); m != nil && !strings.Contains(m[2], "{{") {
			a = m[1] + muster.Secret{}.String()
		}
		words[i] = shellQuote(a)
	}
	return strings.Join(words, " ")
}
