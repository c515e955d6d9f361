package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
	"github.com/musterhq/muster/probe"
)

// sshLoginFlags say how SSH servers are reached and logged in to.
type sshLoginFlags struct {
	user, port, jump, config, hostKey, agent string
	identities, certificates, knownHosts     []string
	pass, passphrase, jumpPass               string
	askPass, askPassphrase                   bool
	handshake                                time.Duration
}

func (f *sshLoginFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&f.user, "user", "u", "", "log in as this `USER` (default: ssh configuration, else you)")
	fs.StringVar(&f.port, "port", "", "`PORT` of targets that name none (default: ssh configuration, else 22)")
	fs.StringArrayVarP(&f.identities, "identity", "i", nil, "private key `FILE` (default: ssh configuration, else the usual ones in ~/.ssh)")
	fs.StringArrayVar(&f.certificates, "certificate", nil, "its certificate `FILE` (default: IDENTITY-cert.pub)")
	fs.BoolVar(&f.askPassphrase, "ask-passphrase", false, "ask for the passphrase of the private keys")
	fs.StringVar(&f.passphrase, "passphrase", "", "that passphrase: `env:VAR` or file:PATH")
	fs.BoolVar(&f.askPass, "ask-pass", false, "ask for the login password")
	fs.StringVar(&f.pass, "pass", "", "login password: `env:VAR` or file:PATH")
	fs.StringVar(&f.agent, "agent", "", "`SOCKET` of the ssh agent, or none (default $SSH_AUTH_SOCK)")
	fs.StringVarP(&f.jump, "jump", "J", "", "go through `[USER@]HOST[:PORT],...`, or none (default: ssh configuration)")
	fs.StringVar(&f.jumpPass, "jump-pass", "", "login password of jump hosts: `env:VAR` or file:PATH")
	fs.StringVar(&f.hostKey, "host-key", "", "unknown hosts: `strict|tofu|off`; tofu trusts their first key and records it in known_hosts of muster's state folder (default: ssh configuration, else strict)")
	fs.StringArrayVar(&f.knownHosts, "known-hosts", nil, "known_hosts `FILE` in place of the usual ones; when strict, keys that tofu recorded do not count then")
	fs.StringVarP(&f.config, "ssh-config", "F", "", "ssh configuration `FILE`, or none (default ~/.ssh/config and the system's)")
	fs.DurationVar(&f.handshake, "handshake-timeout", probe.DefaultHandshakeTimeout, "bound of key exchange and login")
}

// login compiles the flags.
func (p *Program) sshLogin(f *sshLoginFlags) (probe.SSHLogin, error) {
	l := probe.SSHLogin{
		User: f.user, Port: f.port, Identity: f.identities, Certificates: f.certificates, Agent: f.agent,
		Jump: f.jump, Config: f.config, HostKey: hostkey.Mode(f.hostKey), KnownHosts: f.knownHosts,
		JumpPassword: f.jumpPass,
	}
	if f.handshake != probe.DefaultHandshakeTimeout {
		l.HandshakeTimeout = muster.Duration(f.handshake)
	}
	var err error
	if l.Password, err = askOr("pass", f.askPass, f.pass, "login password"); err != nil {
		return l, err
	}
	if l.Passphrase, err = askOr("passphrase", f.askPassphrase, f.passphrase, "passphrase of the private key"); err != nil {
		return l, err
	}
	return l, secretRef("jump-pass", f.jumpPass)
}

// askOr returns the reference of a secret that is either asked for or referred to.
func askOr(flag string, ask bool, ref, what string) (string, error) {
	if ask && ref != "" {
		return "", usageError{fmt.Errorf("--ask-%s and --%[1]s: give one of them", flag)}
	}
	if ask {
		return "ask:" + what, nil
	}
	return ref, secretRef(flag, ref)
}

// secretRef refuses a secret that is given by its value.
func secretRef(flag, ref string) error {
	for _, kind := range []string{"env:", "file:", "ask:"} {
		if name, ok := strings.CutPrefix(ref, kind); ok && name != "" {
			return nil
		}
	}
	if ref == "" {
		return nil
	}
	return usageError{fmt.Errorf("--%s: a secret is given as env:VAR or file:PATH, never by its value: arguments are visible to everybody on this machine", flag)}
}
