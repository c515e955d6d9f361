package probe

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
	"github.com/musterhq/muster/sshconfig"
	"github.com/musterhq/muster/vars"
)

// sshLogin is a compiled [SSHLogin]: it opens connections for every kind that needs them. It is
// safe for concurrent use.
type sshLogin struct {
	env    Env
	spec   SSHLogin
	user   *vars.Template // nil: the configuration's
	port   *vars.Template
	jump   *vars.Template
	config *sshconfig.Config
	tokens sshconfig.Tokens // home and local user
	certs  []*ssh.Certificate

	password, jumpPassword muster.Secret

	keys       keyring
	accepted   *hostkey.Accepted
	preference hostkey.Preference
	jumps      jumpPool
	idle       sshIdle
	work       sync.WaitGroup // what goes on behind attempts
	killLimit  time.Duration  // bounds each of it

	mu        sync.Mutex
	agents    map[string]*keyAgent
	auths     map[authKey]*sshAuth
	verifiers map[verifierKey]*hostkey.Verifier
}

// sshLogin reads what the login refers to.
func (c *compiler) sshLogin(l SSHLogin, env Env) *sshLogin {
	s := &sshLogin{
		env: env, spec: l, tokens: localTokens(), killLimit: usualKillLimit,
		user: c.parseShown("user", l.User), port: c.parseShown("port", l.Port), jump: c.parseShown("jump", l.Jump),
		password: c.secret("password", l.Password), jumpPassword: c.secret("jump_password", l.JumpPassword),
		agents: map[string]*keyAgent{}, auths: map[authKey]*sshAuth{}, verifiers: map[verifierKey]*hostkey.Verifier{},
	}
	s.keys.passphrase = c.secret("passphrase", l.Passphrase)
	s.jumps.login = s
	if env.ReuseHint {
		s.idle.start(env.Dialer, &s.work)
	}
	var err error
	s.config, err = loadSSHConfig(l.Config, s.tokens)
	c.add(err)
	s.certs, err = readCertificates(s.expandAll(l.Certificates, s.tokens))
	c.add(err)
	if path := cmp.Or(l.AcceptedHosts, env.AcceptedHosts); path != "" {
		s.accepted, err = hostkey.OpenAccepted(s.tokens.Expand(path))
		c.add(err)
	}
	for _, path := range s.expandAll(l.Identity, s.tokens) {
		if id := s.keys.key(path); id.signer == nil && id.public == nil {
			c.add(muster.Errorf(muster.KindInvalid, "identity: %w", id.err))
		}
	}
	return s
}

// parseShown is parseIf for what messages, and the processes of targets, show to everybody.
func (c *compiler) parseShown(name, text string) *vars.Template {
	t := c.parseIf(name, text)
	if t != nil && t.Secret() {
		c.add(muster.Errorf(muster.KindInvalid, "%s: it is seen by others, so that no secret may stand in it", name))
	}
	return t
}

// localTokens are home and user of whoever runs this.
func localTokens() sshconfig.Tokens {
	t := sshconfig.Tokens{Home: os.Getenv("HOME")}
	if u, err := user.Current(); err == nil {
		t.LocalUser, t.Home = u.Username, cmp.Or(t.Home, u.HomeDir)
	}
	return t
}

func loadSSHConfig(path string, t sshconfig.Tokens) (*sshconfig.Config, error) {
	src := sshconfig.Source{Home: t.Home, User: t.LocalUser}
	switch path {
	case "none":
		return new(sshconfig.Config), nil
	case "":
		src.Files = []string{filepath.Join(t.Home, ".ssh", "config"), "/etc/ssh/ssh_config"}
	default:
		path = t.Expand(path)
		if _, err := os.Stat(path); err != nil {
			return nil, muster.Errorf(muster.KindInvalid, "ssh configuration: %w", err)
		}
		src.Files = []string{path}
	}
	return sshconfig.Load(src)
}

func (s *sshLogin) expandAll(paths []string, t sshconfig.Tokens) []string {
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = t.Expand(p)
	}
	return out
}

// handshakeTimeout bounds key exchange and login together.
func (s *sshLogin) handshakeTimeout() time.Duration {
	return cmp.Or(time.Duration(s.spec.HandshakeTimeout), DefaultHandshakeTimeout)
}

// authKey says what the methods of a login depend on.
type authKey struct {
	identities, certificates, agent string
	only, jump                      bool
}

// sshAuth are the methods of a login, and what could not be used for it.
type sshAuth struct {
	methods []ssh.AuthMethod
	notes   string
}

// auth returns how to log in to the host that h describes.
func (s *sshLogin) auth(ctx context.Context, h *sshconfig.Host, t sshconfig.Tokens, jump bool) (*sshAuth, error) {
	ids, certs := s.spec.Identity, h.CertificateFiles
	if len(ids) == 0 {
		ids = h.IdentityFiles
	}
	if len(ids) == 0 {
		ids = usualIdentities()
	}
	ids, certs = s.expandAll(ids, t), s.expandAll(certs, t)
	k := authKey{strings.Join(ids, "\x00"), strings.Join(certs, "\x00"), s.agentPath(h), h.IdentitiesOnly, jump}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.auths[k]; ok {
		return a, nil
	}
	a, err := s.makeAuth(ctx, ids, certs, k)
	if err == nil {
		s.auths[k] = a
	}
	return a, err
}

func (s *sshLogin) makeAuth(ctx context.Context, paths, certPaths []string, k authKey) (*sshAuth, error) {
	certs, err := readCertificates(certPaths)
	if err != nil {
		return nil, err
	}
	var ids []*sshKey
	for _, p := range paths {
		ids = append(ids, s.keys.key(p))
	}
	a := &sshAuth{notes: complaints(ids)}
	var held []ssh.Signer
	if k.agent != "" {
		ag := s.agent(ctx, k.agent)
		held = ag.held
		if ag.err != nil {
			a.notes = strings.TrimPrefix(a.notes+"; "+ag.err.Error(), "; ")
		}
	}
	if list := offers(ids, append(certs, s.certs...), held, k.only); len(list) > 0 {
		a.methods = append(a.methods, ssh.PublicKeys(list...))
	}
	password := s.password
	if k.jump {
		password = s.jumpPassword
	}
	if !password.IsZero() {
		a.methods = append(a.methods, ssh.Password(password.Reveal()), ssh.KeyboardInteractive(answerAll(password)))
	}
	return a, nil
}

// answerAll gives the password to every question that is asked without echo.
func answerAll(password muster.Secret) ssh.KeyboardInteractiveChallenge {
	return func(_, _ string, questions []string, echos []bool) ([]string, error) {
		answers := make([]string, len(questions))
		for i := range questions {
			if !echos[i] {
				answers[i] = password.Reveal()
			}
		}
		return answers, nil
	}
}

// agentPath returns the socket to ask, "" for none.
func (s *sshLogin) agentPath(h *sshconfig.Host) string {
	path := cmp.Or(s.spec.Agent, h.IdentityAgent, "SSH_AUTH_SOCK")
	if path == "none" {
		return ""
	}
	if path == "SSH_AUTH_SOCK" {
		return os.Getenv("SSH_AUTH_SOCK")
	}
	if name, ok := strings.CutPrefix(path, "$"); ok {
		return os.Getenv(name)
	}
	return s.tokens.Expand(path)
}

func (s *sshLogin) agent(ctx context.Context, path string) *keyAgent {
	a, ok := s.agents[path]
	if !ok {
		a = openAgent(ctx, path, s.handshakeTimeout())
		s.agents[path] = a
	}
	return a
}

// verifierKey says what the judgement of host keys depends on.
type verifierKey struct {
	mode  hostkey.Mode
	files string
}

// verifier returns who judges the key of the host that h describes.
func (s *sshLogin) verifier(h *sshconfig.Host, t sshconfig.Tokens) (*hostkey.Verifier, error) {
	mode, err := hostkey.ParseMode(cmp.Or(string(s.spec.HostKey), h.StrictHostKeyChecking, string(hostkey.Strict)))
	if err != nil {
		return nil, err
	}
	files := s.expandAll(s.knownHosts(h), t)
	k := verifierKey{mode, strings.Join(files, "\x00")}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.verifiers[k]; ok {
		return v, nil
	}
	v := &hostkey.Verifier{Mode: mode, Accepted: s.accepted}
	if mode == hostkey.Strict && len(s.spec.KnownHosts) > 0 && s.spec.AcceptedHosts == "" {
		v.Accepted = nil // who names the files of known hosts means these alone
	}
	if mode != hostkey.Off {
		if v.Known, err = hostkey.Load(files...); err != nil {
			return nil, err
		}
	}
	s.verifiers[k] = v
	return v, nil
}

func (s *sshLogin) knownHosts(h *sshconfig.Host) []string {
	if len(s.spec.KnownHosts) > 0 {
		return s.spec.KnownHosts
	}
	users, global := h.KnownHosts, h.GlobalKnownHosts
	if users == nil {
		users = []string{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"}
	}
	if global == nil {
		global = []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	}
	var files []string
	for _, f := range append(append([]string(nil), users...), global...) {
		if f != "none" && f != "/dev/null" {
			files = append(files, f)
		}
	}
	return files
}

// Close waits for commands that are still being ended, and ends the connections to jump hosts and agents.
func (s *sshLogin) Close() error {
	s.idle.close()
	s.work.Wait()
	errs := []error{s.jumps.close()}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.agents {
		errs = append(errs, a.close())
	}
	clear(s.agents)
	if s.accepted != nil {
		errs = append(errs, s.accepted.Close())
	}
	return errors.Join(errs...)
}
