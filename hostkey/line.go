package hostkey

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format of hashed known_hosts lines
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster/sshconfig"
)

// marker says what a line is for.
type marker uint8

const (
	known marker = iota
	authority
	revoked
)

// entry is the key of one line. Its texts are parts of the file's.
type entry struct {
	kind string // "ssh-ed25519"
	key  string // base64
	file int32  // number in [DB.files]
	line int32  // from 1
	next int32  // entry of the same name, by number + 1; 0 is none
}

// is reports whether the entry holds the key.
func (e *entry) is(o offered) bool { return e.kind == o.kind && e.key == o.key }

// offered is a key as lines have it.
type offered struct{ kind, key string }

func offer(key ssh.PublicKey) offered {
	return offered{key.Type(), base64.StdEncoding.EncodeToString(key.Marshal())}
}

// parsed is one line.
type parsed struct {
	marker    marker
	names     string // separated by commas
	kind, key string
}

// parseLine cuts a line into its parts; ok is false for comments and lines that nobody can read.
func parseLine(line string) (p parsed, ok bool) {
	first, rest := cutField(line)
	if first == "" || first[0] == '#' {
		return p, false
	}
	if first[0] == '@' {
		switch first {
		case "@cert-authority":
			p.marker = authority
		case "@revoked":
			p.marker = revoked
		default:
			return p, false
		}
		first, rest = cutField(rest)
	}
	p.names = first
	p.kind, rest = cutField(rest)
	p.key, _ = cutField(rest)
	return p, p.key != "" && matchesKind(p.key, p.kind)
}

// matchesKind reports whether the key's own name of its kind, with which its encoding starts, is kind.
func matchesKind(key, kind string) bool {
	var buf [64]byte
	head := key[:min(len(key), 84)/4*4]
	if len(kind) > 58 {
		return false
	}
	n, err := base64.StdEncoding.Decode(buf[:], []byte(head))
	return err == nil && n > 4+len(kind) && string(buf[:4]) == string([]byte{0, 0, 0, byte(len(kind))}) && string(buf[4:4+len(kind)]) == kind
}

// cutField returns the first field and what follows it.
func cutField(s string) (field, rest string) {
	s = strings.TrimLeft(s, " \t")
	end := strings.IndexAny(s, " \t\r\n")
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}

// Name is how known_hosts files call a server: the host alone on port 22, else [host]:port.
func Name(host string, port uint16) string {
	host = strings.ToLower(host)
	if port == 22 || port == 0 {
		return host
	}
	return "[" + host + "]:" + strconv.Itoa(int(port))
}

// Line returns the known_hosts line for a key under the given name, without a line break.
func Line(name string, key ssh.PublicKey) string {
	o := offer(key)
	return name + " " + o.kind + " " + o.key
}

// pattern is a line with wildcards or negation.
type pattern struct {
	list  []string // lower case
	entry int32
}

func (p *pattern) matches(name string) bool {
	found := false
	for _, text := range p.list {
		text, negated := strings.CutPrefix(text, "!")
		if !sshconfig.Match(text, name) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// hashed is a line whose name is hidden.
type hashed struct {
	salt, sum string
	entry     int32
}

// parseHashed reads "|1|salt|sum".
func parseHashed(name string) (h hashed, ok bool) {
	salt, sum, ok := strings.Cut(strings.TrimPrefix(name, "|1|"), "|")
	if !ok {
		return h, false
	}
	s, err1 := base64.StdEncoding.DecodeString(salt)
	d, err2 := base64.StdEncoding.DecodeString(sum)
	return hashed{salt: string(s), sum: string(d)}, err1 == nil && err2 == nil && len(d) == sha1.Size
}

func (h *hashed) matches(name string) bool {
	mac := hmac.New(sha1.New, []byte(h.salt))
	mac.Write([]byte(name))
	var sum [sha1.Size]byte
	return string(mac.Sum(sum[:0])) == h.sum
}
