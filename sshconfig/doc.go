// Package sshconfig reads the configuration of the OpenSSH client, ssh_config(5), as far as it says
// how a host is reached and logged in to.
//
// A [Config] is read once, by [Load], and then asked for each host by [Config.Lookup], whose cost
// grows with the patterns in the files but not with the blocks for single hosts: those are indexed.
//
// As with ssh, the first value that is found for a keyword wins, and IdentityFile and
// CertificateFile add up. Read are Host (patterns, negation), Match (all, host, originalhost, user,
// localuser), Include, HostName, User, Port, IdentityFile, CertificateFile, IdentitiesOnly, IdentityAgent,
// ProxyJump, ProxyCommand, UserKnownHostsFile, GlobalKnownHostsFile, StrictHostKeyChecking and
// HostKeyAlias. Other keywords are passed over. A Match block with other criteria (exec, final, …) never
// applies: nothing is run to read a configuration. Host patterns are compared without regard to case.
package sshconfig
