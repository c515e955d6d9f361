// Package hostkey verifies the keys by which SSH servers identify themselves.
//
// A [DB] holds OpenSSH's known_hosts files, indexed by name: loading 100,000 plain lines takes a
// fraction of a second, and looking one up does not depend on how many there are. Hashed lines can only be tried
// one by one, and are so for names that no plain line knows. [Accepted] is muster's own file of keys
// that were trusted on first use: a file of known_hosts lines that is only appended to, by several
// processes at once if need be. A [Verifier] judges a key by both.
//
// Lines are those of sshd(8): patterns with * and ?, negated with !, names with ports as
// [host]:port, hashed names (|1|…), @revoked and @cert-authority. A line that cannot be read is passed
// over, as ssh does. When nothing is known of [host]:port, what is known of host counts if it
// matches, as with ssh.
package hostkey
