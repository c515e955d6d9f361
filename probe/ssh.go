package probe

import (
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/hostkey"
)

// DefaultSSHTimeout bounds one attempt of a kind that runs commands or copies files.
const DefaultSSHTimeout = 10 * time.Minute

// DefaultHandshakeTimeout bounds key exchange and login together.
const DefaultHandshakeTimeout = 10 * time.Second

// sshFanout is how many attempts are under way unless the plan says: beyond it, logins of a
// fleet that answers at once only wait for each other's cryptography.
const sshFanout = 500

// SSHLogin is how an SSH server is reached and logged in to. The zero value is what ssh without options does: the
// user's configuration, keys and agent, with host keys verified. User, Port and Jump are templates of
// package vars.
type SSHLogin struct {
	// User logs in; "" is the configuration's, else the local user.
	User string `json:"user,omitempty"`
	// Port is for targets that state none; "" is the configuration's, else 22.
	Port string `json:"port,omitempty"`
	// Identity are paths of private keys, offered in this order in place of the configuration's and the usual ones.
	Identity []string `json:"identity,omitempty"`
	// Certificates are paths of certificates for these keys; KEY-cert.pub is found without.
	Certificates []string `json:"certificates,omitempty"`
	// Passphrase is the secret reference of the passphrase of protected keys.
	Passphrase string `json:"passphrase,omitempty"`
	// Password is the secret reference of the login password.
	Password string `json:"password,omitempty"`
	// Agent is the path of the agent's socket; "" is the configuration's, else $SSH_AUTH_SOCK; "none" asks no agent.
	Agent string `json:"agent,omitempty"`
	// Jump is a list of [user@]host[:port], separated by commas: each is reached through the one before it. All
	// targets behind it share one connection. "" is the configuration's ProxyJump, "none" is none.
	Jump string `json:"jump,omitempty"`
	// JumpPassword is the secret reference of the password for the jump hosts; they are never
	// offered Password.
	JumpPassword string `json:"jump_password,omitempty"`
	// Config is the path of the configuration; "" is the user's and the system's, "none" is none.
	Config string `json:"config,omitempty"`
	// HostKey says what is done with hosts that nothing is known of; "" is the configuration's
	// StrictHostKeyChecking, else strict.
	HostKey hostkey.Mode `json:"host_key,omitempty"`
	// KnownHosts are paths of known_hosts files in place of the configuration's and the usual ones. In strict
	// mode keys that were trusted on first use do not count then, unless their file is named too.
	KnownHosts []string `json:"known_hosts,omitempty"`
	// AcceptedHosts is the path of the file in which host keys trusted on first use are kept; "" is
	// the one that whoever runs this has for all.
	AcceptedHosts string `json:"accepted_hosts,omitempty"`
	// HandshakeTimeout bounds key exchange and login together; 0 is [DefaultHandshakeTimeout].
	HandshakeTimeout muster.Duration `json:"handshake_timeout,omitempty"`
}

// Sudo runs a command as another user. The zero value does not.
type Sudo struct {
	// User is who runs it; "" is root when there is a Password, else there is no sudo.
	User string `json:"user,omitempty"`
	// Password is the secret reference of the password that sudo asks for.
	Password string `json:"password,omitempty"`
}

// SSH runs one command, or a script that it brings along, on each target. Command, Args and the values of Env are
// templates of package vars.
//
// Standard output is the body and standard error the field "stderr". The exit status is the
// code; without an expectation of the action's own 0 is ok, and another one is unexpected with
// the reason "exit N". A command that ends by a signal or with its channel is a failure exit.
type SSH struct {
	SSHLogin

	// Command is given to the login shell, or with sudo to a POSIX shell.
	Command string `json:"command,omitempty"`
	// Raw sends Command and Args as they are, {{ included.
	Raw bool `json:"raw,omitempty"`
	// Script is the path of a local file to run in place of Command, read when the probe is compiled: it is stored in a
	// temporary file of the target (in the TMPDIR of Env) over the same connection, run by what its first line
	// says, else by sh, and removed.
	Script string `json:"script,omitempty"`
	// Args are its arguments, as a shell takes them.
	Args string `json:"args,omitempty"`
	// Sudo runs it as another user.
	Sudo Sudo `json:"sudo,omitzero"`
	// Env is the command's environment; what the server refuses is set by env(1).
	Env []Pair `json:"env,omitempty"`
	// PTY asks for a terminal, on which standard error is part of standard output.
	PTY bool `json:"pty,omitempty"`
	// Stdin is the path of a file for standard input, read when the probe is compiled; "" is
	// an empty input.
	Stdin string `json:"stdin,omitempty"`

	// BodyLimit is the most standard output in bytes; 0 is [DefaultBodyLimit]. More ends the command, and the
	// target fails as too_large.
	BodyLimit int64 `json:"body_limit,omitempty"`
	// Truncate cuts standard output at the limit, and marks it, and lets the command go on instead.
	Truncate bool `json:"truncate,omitempty"`
}

// Safe is false: nobody knows what a command does.
func (s SSH) Safe() bool { return false }

// Traits say that attempts last longer and cost more than others.
func (s SSH) Traits() Traits {
	return Traits{Timeout: DefaultSSHTimeout, Fanout: sshFanout, Fields: []string{"stderr", "signal"}}
}

// Prober compiles the spec. Configuration, keys, known hosts and secrets that it refers to are read now.
func (s SSH) Prober(env Env) (muster.Prober, error) { return compileSSH(s, env) }
