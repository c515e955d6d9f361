package hostkey

import (
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// family is a kind of key and the algorithms to ask for it by, in order of preference.
type family struct {
	kind        string
	algorithms  []string
	certificate []string
}

// families lists the kinds of keys, cheapest to verify and strongest first, as ssh does.
func families() []family {
	return []family{
		{ssh.KeyAlgoED25519, []string{ssh.KeyAlgoED25519}, []string{ssh.CertAlgoED25519v01}},
		{ssh.KeyAlgoECDSA256, []string{ssh.KeyAlgoECDSA256}, []string{ssh.CertAlgoECDSA256v01}},
		{ssh.KeyAlgoECDSA384, []string{ssh.KeyAlgoECDSA384}, []string{ssh.CertAlgoECDSA384v01}},
		{ssh.KeyAlgoECDSA521, []string{ssh.KeyAlgoECDSA521}, []string{ssh.CertAlgoECDSA521v01}},
		{
			ssh.KeyAlgoRSA,
			[]string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
			[]string{ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01},
		},
	}
}

// orders caches the lists of algorithms by what is known of a host.
type orders struct {
	mu    sync.Mutex
	lists map[knowledge][]string
}

// knowledge is which families are known of a host, as bits, and whether an authority is.
type knowledge struct {
	kinds     uint8
	authority bool
}

// Preference lists host key algorithms in the order to ask for. The zero value works; it is safe for
// concurrent use.
type Preference struct{ orders orders }

// For returns the algorithms to ask host for: those of the keys that v knows of it first, so that a server
// with several keys presents the known one. The list is shared and must not be changed.
func (p *Preference) For(v *Verifier, host string, port uint16) []string {
	return p.orders.list(v.knowledge(host, port))
}

func (v *Verifier) knowledge(host string, port uint16) knowledge {
	var k knowledge
	if v.Mode == Off {
		return k
	}
	name := Name(host, port)
	entries := v.keys(name)
	if len(entries) == 0 && port != 22 {
		entries = v.keys(Name(host, 0))
	}
	for i, f := range families() {
		if slices.ContainsFunc(entries, func(e *entry) bool { return e.kind == f.kind }) {
			k.kinds |= 1 << i
		}
	}
	k.authority = v.Known != nil && len(v.Known.marked(authority, name)) > 0
	return k
}

func (o *orders) list(k knowledge) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if l, ok := o.lists[k]; ok {
		return l
	}
	if o.lists == nil {
		o.lists = map[knowledge][]string{}
	}
	l := k.order()
	o.lists[k] = l
	return l
}

func (k knowledge) order() []string {
	var l, unknown []string
	for i, f := range families() {
		if k.authority {
			l = append(l, f.certificate...)
		}
		if k.kinds&(1<<i) == 0 {
			unknown = append(unknown, f.algorithms...)
		}
	}
	for i, f := range families() {
		if k.kinds&(1<<i) != 0 {
			l = append(l, f.algorithms...)
		}
	}
	return append(l, unknown...)
}
