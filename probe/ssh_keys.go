package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// usualIdentities are the keys in ~/.ssh that are offered when nothing names any, in ssh's order.
func usualIdentities() []string {
	return []string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"}
}

// keyring parses each private key once. It is safe for concurrent use.
type keyring struct {
	passphrase muster.Secret

	mu   sync.Mutex
	keys map[string]*sshKey
}

// sshKey is one key file: as a signer, as far as it can be used.
type sshKey struct {
	path   string
	signer ssh.Signer    // nil: see err
	public ssh.PublicKey // nil when nothing tells
	certs  []*ssh.Certificate
	err    error
}

// key returns the parsed key at path.
func (k *keyring) key(path string) *sshKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id, ok := k.keys[path]; ok {
		return id
	}
	if k.keys == nil {
		k.keys = map[string]*sshKey{}
	}
	id := readKey(path, k.passphrase)
	k.keys[path] = id
	return id
}

func readKey(path string, passphrase muster.Secret) *sshKey {
	id := &sshKey{path: path}
	id.public, _ = readPublic(path + ".pub")
	if cert, err := readPublic(path + "-cert.pub"); err == nil {
		if c, ok := cert.(*ssh.Certificate); ok {
			id.certs = append(id.certs, c)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		id.err = err
		return id
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil { // IdentityFile may name the public half of an agent's key
		id.public, id.err = pub, fmt.Errorf("%s is a public key, and no agent holds its private half", path)
		return id
	}
	id.signer, id.err = parseKey(path, text, passphrase)
	if id.signer != nil {
		id.public = id.signer.PublicKey()
	}
	return id
}

func parseKey(path string, text []byte, passphrase muster.Secret) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(text)
	if _, protected := errors.AsType[*ssh.PassphraseMissingError](err); protected {
		if passphrase.IsZero() {
			return nil, fmt.Errorf("%s is protected: give its passphrase (--ask-passphrase, or --passphrase env:NAME), or load it into an agent", path)
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase.Reveal()))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return signer, nil
}

func readPublic(path string) (ssh.PublicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(text)
	return pub, err
}

// offers lists what to log in with: certificates before the bare keys, the agent's before files.
func offers(ids []*sshKey, certs []*ssh.Certificate, held []ssh.Signer, only bool) []ssh.Signer {
	var list []ssh.Signer
	seen := map[string]bool{}
	add := func(s ssh.Signer) {
		if k := string(s.PublicKey().Marshal()); !seen[k] {
			seen[k] = true
			list = append(list, s)
		}
	}
	addWithCerts := func(s ssh.Signer, own []*ssh.Certificate) {
		for _, c := range slices.Concat(own, certs) {
			if cs, err := ssh.NewCertSigner(c, s); err == nil {
				add(cs)
			}
		}
		add(s)
	}
	for _, s := range held {
		i := slices.IndexFunc(ids, func(id *sshKey) bool { return id.is(s.PublicKey()) })
		switch {
		case i >= 0:
			addWithCerts(s, ids[i].certs)
		case !only:
			addWithCerts(s, nil)
		}
	}
	for _, id := range ids {
		if id.signer != nil {
			addWithCerts(id.signer, id.certs)
		}
	}
	return list
}

// is reports whether the agent's key, bare or with a certificate, is the identity's.
func (id *sshKey) is(held ssh.PublicKey) bool {
	if c, ok := held.(*ssh.Certificate); ok {
		held = c.Key
	}
	return id.public != nil && string(id.public.Marshal()) == string(held.Marshal())
}

// readCertificates reads certificates that were named by themselves.
func readCertificates(paths []string) ([]*ssh.Certificate, error) {
	var certs []*ssh.Certificate
	for _, path := range paths {
		pub, err := readPublic(path)
		if err != nil {
			return nil, muster.Errorf(muster.KindInvalid, "certificate %s: %w", path, err)
		}
		c, ok := pub.(*ssh.Certificate)
		if !ok {
			return nil, muster.Errorf(muster.KindInvalid, "certificate %s: it is a bare %s key", path, pub.Type())
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// keyAgent is the connection to one agent, which all logins share.
type keyAgent struct {
	conn net.Conn
	held []ssh.Signer
	err  error
}

// openAgent asks the agent at path for its keys. No agent is no error: there are no keys then.
func openAgent(ctx context.Context, path string, limit time.Duration) *keyAgent {
	conn, err := dial.Unix(ctx, path)
	if err != nil {
		return &keyAgent{err: fmt.Errorf("agent: %w", err)}
	}
	conn = &patientConn{conn, limit}
	a := &keyAgent{conn: conn}
	if a.held, err = agent.NewClient(conn).Signers(); err != nil {
		a.err = fmt.Errorf("agent %s: %w", path, err)
	}
	return a
}

// patientConn bounds each answer: an agent may wait for a person, but not for ever. After one that did not come no
// further question is asked, since it would be taken for the answer to that.
type patientConn struct {
	net.Conn
	limit time.Duration
}

// Write writes a request and starts its time.
func (c *patientConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Read reads an answer.
func (c *patientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.Close()
	}
	return n, err
}

func (a *keyAgent) close() error {
	if a.conn == nil {
		return nil
	}
	if err := a.conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// complaints says which identities cannot be used; those that do not exist are no complaint.
func complaints(ids []*sshKey) string {
	var texts []string
	for _, id := range ids {
		if id.err != nil && !errors.Is(id.err, fs.ErrNotExist) {
			texts = append(texts, id.err.Error())
		}
	}
	return strings.Join(texts, "; ")
}
