package hostkey

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
)

// Mode says what is done with a host that nothing is known of.
type Mode string

// The modes.
const (
	// Strict refuses it.
	Strict Mode = "strict"
	// TOFU trusts its key on first use, and records it. A changed key is refused.
	TOFU Mode = "tofu"
	// Off takes any key of any host, changed ones too.
	Off Mode = "off"
)

// ParseMode reads a mode, or a value of ssh's StrictHostKeyChecking: yes and ask are strict,
// accept-new is tofu, no is off.
func ParseMode(s string) (Mode, error) {
	switch s {
	case "strict", "yes", "ask":
		return Strict, nil
	case "tofu", "accept-new":
		return TOFU, nil
	case "off", "no":
		return Off, nil
	}
	return "", muster.Errorf(muster.KindInvalid, "host key mode %q: want strict, tofu or off", s)
}

// Reasons of an [Error]: stable and of low cardinality.
const (
	ReasonUnknown = "unknown host key"
	ReasonChanged = "host key changed"
	ReasonRevoked = "host key revoked"
	ReasonCert    = "host certificate refused"
	ReasonRecord  = "host key not recorded"
)

// Error says why a key is not trusted.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Detail names the host, the key's fingerprint, and the way out.
	Detail string
}

// Error returns the detail.
func (e *Error) Error() string { return e.Detail }

// Verifier judges keys. The zero value refuses every host. It is safe for concurrent use.
type Verifier struct {
	// Mode is what is done with unknown hosts; "" is [Strict].
	Mode Mode
	// Known are the user's known_hosts files; nil is none.
	Known *DB
	// Accepted holds the keys that were trusted on first use, and takes further ones; nil is none:
	// TOFU then trusts without a record.
	Accepted *Accepted
}

// Verify returns nil when key is to be trusted as the key of host on port, else an [*Error].
func (v *Verifier) Verify(host string, port uint16, key ssh.PublicKey) error {
	if v.Mode == Off {
		return nil
	}
	name, bare := Name(host, port), Name(host, 0)
	if v.revoked(name, key) || v.revoked(bare, key) {
		return &Error{ReasonRevoked, fmt.Sprintf("%s: host key %s %s is revoked by a @revoked line", name, key.Type(), ssh.FingerprintSHA256(key))}
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		if v.certified(name, cert) {
			return checkCert(host, name, cert)
		}
		key = cert.Key
	}
	o := offer(key)
	entries := v.keys(name)
	if slices.ContainsFunc(entries, func(e *entry) bool { return e.is(o) }) {
		return nil
	}
	if len(entries) > 0 {
		return v.changed(name, key, entries[0])
	}
	if bare != name {
		if slices.ContainsFunc(v.keys(bare), func(e *entry) bool { return e.is(o) }) {
			return nil
		}
	}
	return v.unknown(name, key)
}

func (v *Verifier) keys(name string) []*entry {
	var entries []*entry
	if v.Known != nil {
		entries = v.Known.known(name)
	}
	if v.Accepted != nil {
		entries = append(entries, v.Accepted.known(name)...)
	}
	return entries
}

func (v *Verifier) revoked(name string, key ssh.PublicKey) bool {
	if v.Known == nil {
		return false
	}
	entries := v.Known.marked(revoked, name)
	if len(entries) == 0 {
		return false
	}
	keys := []ssh.PublicKey{key}
	if cert, ok := key.(*ssh.Certificate); ok {
		keys = []ssh.PublicKey{cert.Key, cert.SignatureKey}
	}
	for _, k := range keys {
		o := offer(k)
		if slices.ContainsFunc(entries, func(e *entry) bool { return e.is(o) }) {
			return true
		}
	}
	return false
}

// certified reports whether an authority for name signed the certificate.
func (v *Verifier) certified(name string, cert *ssh.Certificate) bool {
	if v.Known == nil {
		return false
	}
	o := offer(cert.SignatureKey)
	return slices.ContainsFunc(v.Known.marked(authority, name), func(e *entry) bool { return e.is(o) })
}

func checkCert(host, name string, cert *ssh.Certificate) error {
	c := ssh.CertChecker{}
	err := c.CheckCert(strings.ToLower(host), cert)
	if err == nil && cert.CertType != ssh.HostCert {
		err = fmt.Errorf("it is no host certificate")
	}
	if err != nil {
		return &Error{ReasonCert, fmt.Sprintf("%s: certificate %q of its host key: %v", name, cert.KeyId, err)}
	}
	return nil
}

func (v *Verifier) changed(name string, key ssh.PublicKey, e *entry) error {
	file := v.Accepted.file()
	if e.file >= 0 {
		file = v.Known.files[e.file]
	}
	return &Error{ReasonChanged, fmt.Sprintf(
		"%s presents %s %s, but %s line %d has another key for it: somebody may be listening in; if the host was set up anew, remove that line: ssh-keygen -f %s -R '%s'",
		name, key.Type(), ssh.FingerprintSHA256(key), file, e.line, file, name)}
}

// unknown decides on a host that nothing is known of.
func (v *Verifier) unknown(name string, key ssh.PublicKey) error {
	if v.Mode != TOFU {
		return &Error{ReasonUnknown, fmt.Sprintf(
			"%s presents %s %s, which no known_hosts file has: add it there, or trust it on first use with --host-key tofu",
			name, key.Type(), ssh.FingerprintSHA256(key))}
	}
	if v.Accepted == nil {
		return nil
	}
	e, err := v.Accepted.accept(name, key)
	switch {
	case err != nil:
		return &Error{ReasonRecord, fmt.Sprintf("%s: record its host key: %v", name, err)}
	case e != nil: // another process was faster, and met another key
		return v.changed(name, key, e)
	}
	return nil
}
