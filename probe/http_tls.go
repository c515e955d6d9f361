package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

var (
	tlsVersionNames = []string{"", "1.0", "1.1", "1.2", "1.3"}
	tlsVersions     = []uint16{tls.VersionTLS12, tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13}
)

func (t *TLS) validateVersions(p *problems) {
	known := slices.Contains(tlsVersionNames, t.MinVersion) && slices.Contains(tlsVersionNames, t.MaxVersion)
	p.addIf(!slices.Contains(tlsVersionNames, t.MinVersion), "tls min_version %q: want 1.0, 1.1, 1.2 or 1.3", t.MinVersion)
	p.addIf(!slices.Contains(tlsVersionNames, t.MaxVersion), "tls max_version %q: want 1.0, 1.1, 1.2 or 1.3", t.MaxVersion)
	p.addIf(known && t.MaxVersion != "" && t.MinVersion > t.MaxVersion, "tls min_version %s: it is above max_version %s", t.MinVersion, t.MaxVersion)
}

// clientTLS compiles the configuration, reading its files.
func clientTLS(t TLS, secret func(name, ref string) muster.Secret) (*tls.Config, error) {
	c := &tls.Config{
		InsecureSkipVerify: t.Insecure,
		MinVersion:         tlsVersions[max(slices.Index(tlsVersionNames, t.MinVersion), 0)],
	}
	if t.MaxVersion != "" {
		c.MaxVersion = tlsVersions[max(slices.Index(tlsVersionNames, t.MaxVersion), 0)]
		if t.MinVersion == "" { // who asks for old versions only gets them
			c.MinVersion = min(c.MinVersion, c.MaxVersion)
		}
	}
	if t.CA != "" {
		pem, err := os.ReadFile(strings.TrimPrefix(t.CA, "file:"))
		if err != nil {
			return nil, muster.Errorf(muster.KindInvalid, "tls ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, muster.Errorf(muster.KindInvalid, "tls ca %s: want certificates in PEM form", t.CA)
		}
	}
	if t.Cert == "" {
		return c, nil
	}
	cert, err := clientCert(t, secret)
	if err != nil {
		return nil, muster.Errorf(muster.KindInvalid, "tls cert %s: %w", t.Cert, err)
	}
	c.Certificates = []tls.Certificate{cert}
	return c, nil
}

func clientCert(t TLS, secret func(name, ref string) muster.Secret) (tls.Certificate, error) {
	chain, err := os.ReadFile(strings.TrimPrefix(t.Cert, "file:"))
	if err != nil {
		return tls.Certificate{}, err
	}
	key := chain
	switch kind, _, isRef := strings.Cut(t.Key, ":"); {
	case t.Key == "":
	case isRef && kind != "file" && !strings.ContainsAny(kind, "/."):
		key = []byte(pemSecret(secret, t.Key))
	default:
		if key, err = os.ReadFile(strings.TrimPrefix(t.Key, "file:")); err != nil {
			return tls.Certificate{}, fmt.Errorf("key: %w", err)
		}
	}
	return tls.X509KeyPair(chain, key)
}

func pemSecret(secret func(name, ref string) muster.Secret, ref string) string {
	return secret("tls key", ref).Reveal()
}

// tlsFor returns the configuration for one server.
func (p *httpProber) tlsFor(serverName string) *tls.Config {
	c := p.tls.Clone()
	c.ServerName = serverName
	return c
}

// failTLS makes r the failure of a handshake.
func failTLS(r *muster.Result, err error) {
	failIn(r, err, dial.PhaseTLS)
	if r.Outcome == muster.Failed && r.Failure == muster.FailTLS {
		r.Reason = tlsReason(err)
	}
}

// remoteAlert returns the alert by which the peer ended the connection, or nil.
func remoteAlert(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "remote error" {
		return e.Err
	}
	return nil
}

// isTLSError reports whether err is TLS's own, in whichever phase it came: a TLS 1.3 server refuses a client's
// certificate after the handshake.
func isTLSError(err error) bool {
	if strings.HasPrefix(err.Error(), "tls: ") || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return true
	}
	_, verify := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	return verify || record || remoteAlert(err) != nil
}

// tlsReason groups handshake errors.
func tlsReason(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "certificate signed by unknown authority"
	case errors.As(err, &name):
		return "certificate is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate expired or not yet valid"
	case errors.As(err, &invalid):
		return "certificate invalid"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "peer does not speak tls"
	}
	if alert := remoteAlert(err); alert != nil {
		return alert.Error()
	}
	return "tls handshake"
}
