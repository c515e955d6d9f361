package dial

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/musterhq/muster"
)

// The limits of RFC 1035 on the text of a name without its trailing dot.
const (
	maxName  = 253
	maxLabel = 63
)

// canonical returns the form in which a name is asked for and kept: ASCII, lower case. It does
// not allocate for names that are in this form.
func canonical(host string) (string, *Error) {
	ascii, lower := asciiLower(host)
	if !ascii {
		if !utf8.ValidString(host) {
			return "", badName(host, "a name is UTF-8")
		}
		a, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", badName(host, err.Error())
		}
		host = a
	} else if !lower {
		host = strings.ToLower(host)
	}
	if why := checkName(host); why != "" {
		return "", badName(host, why)
	}
	return host, nil
}

func asciiLower(s string) (ascii, lower bool) {
	ascii, lower = true, true
	for i := range len(s) {
		c := s[i]
		ascii = ascii && c < 0x80
		lower = lower && (c < 'A' || c > 'Z')
	}
	return ascii, lower
}

// checkName says what keeps a name from ever resolving, "" when nothing does. Underscores pass:
// they are common in private zones.
func checkName(name string) string {
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return "the host is empty"
	}
	if len(name) > maxName {
		return "a name has at most 253 characters"
	}
	run := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.' && run == 0:
			return "a label is empty"
		case c == '.':
			run = 0
			continue
		case c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z'):
			return "a name consists of letters, digits, hyphens and dots"
		}
		if run++; run > maxLabel {
			return "a label has at most 63 characters"
		}
	}
	if run == 0 {
		return "a label is empty"
	}
	return ""
}

func badName(host, why string) *Error {
	const most = 80 // enough to recognise a name by
	if len(host) > most {
		host = host[:most] + "…"
	}
	return &Error{Outcome: muster.Invalid, Reason: "invalid host", Detail: "host " + strings.ToValidUTF8(host, "?") + ": " + why}
}
