package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// authority signs a certificate for each address that is asked for one. Keys
// and certificates follow from the seed, so runs with one seed trust the same
// authority.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
	leaf ed25519.PrivateKey // shared by all addresses
	pem  []byte

	mu     sync.Mutex
	issued map[string]*tls.Certificate
}

// maxIssued bounds the certificates kept; making one takes about 100 µs.
const maxIssued = 10_000

func newAuthority(seed uint64) (*authority, error) {
	a := &authority{key: derive(seed, "authority"), leaf: derive(seed, "leaf"), issued: map[string]*tls.Certificate{}}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "muster sim authority"},
		NotBefore: validFrom(), NotAfter: validFrom().AddDate(100, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(nil, template, template, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make the sim's certificate authority: %w", err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("make the sim's certificate authority: %w", err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a, nil
}

func validFrom() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }

// derive makes a key that is secret to nobody: it follows from the seed.
func derive(seed uint64, purpose string) ed25519.PrivateKey {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("muster sim "+purpose), seed))
	return ed25519.NewKeyFromSeed(sum[:])
}

func (a *authority) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: a.certificate}
}

// certificate is for the address that was dialled and the name that was asked for.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ep := endpointOf(hello.Conn.LocalAddr())
	id := ep.addr.Addr().String() + " " + hello.ServerName
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.issued[id]; c != nil {
		return c, nil
	}
	if len(a.issued) >= maxIssued {
		clear(a.issued)
	}
	c, err := a.issue(ep, hello.ServerName)
	if err == nil {
		a.issued[id] = c
	}
	return c, err
}

func (a *authority) issue(ep endpoint, name string) (*tls.Certificate, error) {
	hostname := string(appendHostname(nil, ep))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetUint64(ep.key>>1 | 2), Subject: pkix.Name{CommonName: hostname},
		NotBefore: validFrom(), NotAfter: validFrom().AddDate(99, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{ep.addr.Addr().AsSlice()}, DNSNames: []string{hostname, "localhost"},
	}
	if name != "" && name != "localhost" {
		template.DNSNames = append(template.DNSNames, name)
	}
	der, err := x509.CreateCertificate(nil, template, a.cert, a.leaf.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of %s: %w", ep.addr, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.leaf}, nil
}
