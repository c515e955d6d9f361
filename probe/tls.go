package probe

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/musterhq/muster"
)

// Handshake is one TLS handshake with each target, and nothing after it. The zero value goes to port 443 and
// verifies the certificate against the system's roots and the target's name; what does not hold is a
// failure of kind tls that says why. The certificate is reported then, too.
//
// The status is the version ("TLS 1.3"), the body one line of text for people, and the fields are
//
//	version cipher curve alpn       what was agreed on, nil where there is none
//	verified, verify_error          whether the certificate holds; why not
//	client_cert_requested           the server asked for a client's certificate
//	ocsp_stapled                    it sent a proof of the certificate's validity along
//	cert.subject cert.issuer        distinguished names
//	cert.names                      DNS names, addresses, URIs, joined by ", "
//	cert.serial cert.sha256         in hexadecimal digits
//	cert.not_before cert.not_after  times in RFC 3339
//	cert.days_left                  whole days, negative once it has expired
//	cert.key cert.sig               "ECDSA P-256", "RSA 2048"; "SHA256-RSA"
//	cert.self_signed
//	chain.length chain.days_left    certificates sent; days until the first of them expires
type Handshake struct {
	// Port is for targets that state none, a template; "" is 443, or the usual one of StartTLS.
	Port string `json:"port,omitempty"`
	// TLS is what to offer and to trust. A MinVersion below 1.2 offers the ciphers of those times too.
	// With Insecure the fields tell of the verification, and the handshake is ok.
	TLS TLS `json:"tls,omitzero"`
	// MaxVersion is the highest version to offer, as in TLS.MinVersion; "" is the highest there is.
	MaxVersion string `json:"max_version,omitempty"`
	// ALPN lists the application protocols to offer, such as "h2".
	ALPN []string `json:"alpn,omitempty"`
	// NoPQ offers no post-quantum key exchange: some old peers choke on the larger greeting.
	NoPQ bool `json:"no_pq,omitempty"`
	// StartTLS names the protocol in which the connection is upgraded first: ftp, imap, ldap, mysql, pop3,
	// postgres, smtp or xmpp. "" begins with TLS.
	StartTLS string `json:"starttls,omitempty"`
	// Chain makes the body the certificates that were sent, in PEM form.
	Chain bool `json:"chain,omitempty"`
}

// Validate reports every problem at once.
func (h Handshake) Validate() error {
	var p problems
	if h.Port != "" && !isTemplate(h.Port) {
		_, err := parsePort(h.Port)
		p.add(err)
	}
	h.TLS.validate(&p)
	high := slices.Index(tlsVersionNames, h.MaxVersion)
	p.addIf(high < 0, "max_version %q: want 1.0, 1.1, 1.2 or 1.3", h.MaxVersion)
	low := max(slices.Index(tlsVersionNames, h.TLS.MinVersion), 0)
	p.addIf(high > 0 && tlsVersions[low] > tlsVersions[high], "max_version %s: it is below the lowest version, 1.2 unless tls min_version says otherwise", h.MaxVersion)
	for _, name := range h.ALPN {
		p.addIf(name == "" || len(name) > 255, "alpn %q: want a protocol such as h2 or http/1.1", name)
	}
	_, known := upgrades()[h.StartTLS]
	p.addIf(h.StartTLS != "" && !known, "starttls %q: want one of %s", h.StartTLS, strings.Join(slices.Sorted(maps.Keys(upgrades())), ", "))
	return errors.Join(p...)
}

// Safe is true: a handshake only looks.
func (h Handshake) Safe() bool { return true }

// Traits names the fields.
func (h Handshake) Traits() Traits {
	return Traits{Fields: []string{
		"version", "cipher", "curve", "alpn", "verified", "verify_error", "client_cert_requested", "ocsp_stapled",
		"cert.subject", "cert.issuer", "cert.names", "cert.serial", "cert.sha256", "cert.not_before", "cert.not_after",
		"cert.days_left", "cert.key", "cert.sig", "cert.self_signed", "chain.length", "chain.days_left",
	}}
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (h Handshake) Prober(env Env) (muster.Prober, error) { return compileHandshake(h, env) }
