package sshconfig

import (
	"strconv"
	"strings"
)

// Config is a read configuration. It is immutable and safe for concurrent use; the
// zero value says nothing of any host.
type Config struct {
	blocks  []block
	exact   map[string][]int // lower-case name to the blocks for it alone, ascending
	pattern []int            // all other blocks, ascending
	local   string           // local user's name
}

// Host is what a configuration says of one host. Zero values are what it says nothing of. Paths are as
// they are written: see [Tokens.Expand].
type Host struct {
	// HostName is the name or address to connect to, tokens expanded; "" is the name looked up.
	HostName string
	// User logs in.
	User string
	// Port is 0 unless stated.
	Port uint16
	// IdentityFiles and CertificateFiles are the paths of private keys and of their certificates.
	IdentityFiles, CertificateFiles []string
	// IdentitiesOnly offers no other keys of the agent.
	IdentitiesOnly bool
	// IdentityAgent is the agent's socket: a path, "SSH_AUTH_SOCK", "$NAME", or "none".
	IdentityAgent string
	// ProxyJump is a list of [user@]host[:port], separated by commas, or "none".
	ProxyJump string
	// ProxyCommand is a command that would make the connection, "" for none.
	ProxyCommand string
	// KnownHosts and GlobalKnownHosts are the files of host keys; "none" is no file.
	KnownHosts, GlobalKnownHosts []string
	// StrictHostKeyChecking is "yes", "no", "accept-new", "ask" or "off".
	StrictHostKeyChecking string
	// HostKeyAlias is the name to look host keys up by.
	HostKeyAlias string
}

// block is a run of settings that apply under the same conditions.
type block struct {
	conditions []condition // all must hold
	settings   []setting
}

type setting struct {
	keyword string // lower case
	args    []string
}

// Lookup returns what the configuration says of host for a login as user; "" leaves the user to it.
func (c *Config) Lookup(host, user string) Host {
	h := Host{User: user}
	q := query{config: c, name: strings.ToLower(host), host: &h}
	exact, pattern := c.exact[q.name], c.pattern
	for len(exact) > 0 || len(pattern) > 0 {
		var i int
		if len(pattern) == 0 || len(exact) > 0 && exact[0] < pattern[0] {
			i, exact = exact[0], exact[1:]
		} else {
			i, pattern = pattern[0], pattern[1:]
		}
		if b := &c.blocks[i]; q.holds(b.conditions) {
			h.apply(b.settings, host)
		}
	}
	return h
}

// apply takes the settings that nothing earlier has fixed.
func (h *Host) apply(settings []setting, name string) {
	for i := range settings {
		s := &settings[i]
		first := s.args[0]
		switch s.keyword {
		case "hostname":
			if h.HostName == "" {
				h.HostName = strings.NewReplacer("%%", "%", "%h", name).Replace(first)
			}
		case "user":
			setOnce(&h.User, first)
		case "port":
			if n, err := strconv.ParseUint(first, 10, 16); h.Port == 0 && err == nil {
				h.Port = uint16(n)
			}
		case "proxyjump":
			if h.ProxyCommand == "" { // of the two the first one counts
				setOnce(&h.ProxyJump, first)
			}
		case "proxycommand":
			if h.ProxyJump == "" {
				setOnce(&h.ProxyCommand, first)
			}
		default:
			h.applyKeys(s)
		}
	}
}

// applyKeys is apply for the keywords about keys.
func (h *Host) applyKeys(s *setting) {
	first := s.args[0]
	switch s.keyword {
	case "identityfile":
		h.IdentityFiles = append(h.IdentityFiles, first)
	case "certificatefile":
		h.CertificateFiles = append(h.CertificateFiles, first)
	case "identitiesonly":
		h.IdentitiesOnly = h.IdentitiesOnly || strings.EqualFold(first, "yes")
	case "identityagent":
		setOnce(&h.IdentityAgent, first)
	case "userknownhostsfile":
		if h.KnownHosts == nil {
			h.KnownHosts = s.args
		}
	case "globalknownhostsfile":
		if h.GlobalKnownHosts == nil {
			h.GlobalKnownHosts = s.args
		}
	case "stricthostkeychecking":
		setOnce(&h.StrictHostKeyChecking, strings.ToLower(first))
	case "hostkeyalias":
		setOnce(&h.HostKeyAlias, first)
	}
}

func setOnce(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
