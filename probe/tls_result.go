package probe

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// report fills in what is known of the handshake, whatever came of it.
func (p *handshakeProber) report(g *greeting, r *muster.Result) {
	cs := g.state
	leaf := cs.PeerCertificates[0]
	version := tls.VersionName(cs.Version)
	if r.Outcome == muster.OK {
		r.Status = version
	}
	verifyError := ""
	if g.bad != nil {
		verifyError = tlsReason(g.bad)
	}
	names := certNames(leaf)
	r.Fields = append(make([]muster.Field, 0, 24), []muster.Field{
		{Name: "version", Value: version},
		{Name: "cipher", Value: tls.CipherSuiteName(cs.CipherSuite)},
		{Name: "curve", Value: orNone(cs.CurveID != 0, cs.CurveID.String())},
		{Name: "alpn", Value: orNone(cs.NegotiatedProtocol != "", cs.NegotiatedProtocol)},
		{Name: "verified", Value: g.bad == nil},
		{Name: "verify_error", Value: orNone(verifyError != "", verifyError)},
		{Name: "client_cert_requested", Value: g.asked},
		{Name: "ocsp_stapled", Value: len(cs.OCSPResponse) > 0},
	}...)
	r.Fields = appendCertFields(r.Fields, leaf, names, r.Started)
	first := leaf.NotAfter
	for _, c := range cs.PeerCertificates {
		first = earlier(c.NotAfter, first)
	}
	r.Fields = append(
		r.Fields, muster.Field{Name: "chain.length", Value: float64(len(cs.PeerCertificates))},
		muster.Field{Name: "chain.days_left", Value: daysLeft(first, r.Started)},
	)
	if p.env.DiscardBody {
		return
	}
	if p.spec.Chain {
		for _, c := range cs.PeerCertificates {
			r.Body = append(r.Body, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		return
	}
	r.Body = sentence(version, cs, names, verifyError)
}

func orNone(known bool, v string) any {
	if !known {
		return nil
	}
	return v
}

func appendCertFields(fs []muster.Field, c *x509.Certificate, names string, now time.Time) []muster.Field {
	sum := sha256.Sum256(c.Raw)
	return append(fs, []muster.Field{
		{Name: "cert.subject", Value: c.Subject.String()},
		{Name: "cert.issuer", Value: c.Issuer.String()},
		{Name: "cert.names", Value: names},
		{Name: "cert.serial", Value: c.SerialNumber.Text(16)},
		{Name: "cert.sha256", Value: hex.EncodeToString(sum[:])},
		{Name: "cert.not_before", Value: c.NotBefore.UTC().Format(time.RFC3339)},
		{Name: "cert.not_after", Value: c.NotAfter.UTC().Format(time.RFC3339)},
		{Name: "cert.days_left", Value: daysLeft(c.NotAfter, now)},
		{Name: "cert.key", Value: keyName(c)},
		{Name: "cert.sig", Value: c.SignatureAlgorithm.String()},
		{Name: "cert.self_signed", Value: selfSigned(c)},
	}...)
}

// daysLeft counts whole days; what has passed is negative.
func daysLeft(end, now time.Time) float64 { return math.Floor(end.Sub(now).Hours() / 24) }

func certNames(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return strings.Join(append(names, c.EmailAddresses...), ", ")
}

func keyName(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return "RSA " + strconv.Itoa(k.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// sentence is the handshake in one line.
func sentence(version string, cs *tls.ConnectionState, names, verifyError string) []byte {
	leaf := cs.PeerCertificates[0]
	b := []byte(version)
	if cs.NegotiatedProtocol != "" {
		b = append(append(b, ", "...), cs.NegotiatedProtocol...)
	}
	subject := leaf.Subject.String()
	b = append(append(b, ", "...), subject...)
	if names != "" && names != leaf.Subject.CommonName {
		const most = 80
		if r := []rune(names); len(r) > most {
			names = string(r[:most-1]) + "…"
		}
		b = append(append(append(b, " ("...), names...), ')')
	}
	b = append(append(b, ", by "...), leaf.Issuer.String()...)
	b = append(append(b, ", until "...), leaf.NotAfter.UTC().Format(time.DateOnly)...)
	if verifyError != "" {
		b = append(append(b, ", not verified: "...), verifyError...)
	}
	return append(b, '\n')
}
