package probe

import (
	"errors"
	"strings"

	"github.com/musterhq/muster"
)

// GRPC asks each target for its health by the standard protocol, grpc.health.v1.Health/Check. All strings but the
// metadata's names and the file and secret references are templates of package vars.
//
// SERVING is ok. Any other state, and any status of the call itself (NOT_FOUND for a service that the server
// does not know, UNIMPLEMENTED for a server without health), is an answer, and unexpected. The probe's own
// fields are grpc_status and grpc_message, the status of the call. The status is the name of the state,
// its code the state's number, 1 for SERVING; a call that went wrong has its status there, and the code 0.
type GRPC struct {
	// Service is the name of a service, such as "shop.Cart"; "" asks for the server as a whole.
	Service string `json:"service,omitempty"`
	// Port is for targets that state none.
	Port string `json:"port,omitempty"`
	// Secure speaks TLS; targets with the scheme https are spoken to over TLS without it, too.
	Secure bool `json:"secure,omitempty"`
	// TLS is how it is spoken.
	TLS TLS `json:"tls,omitzero"`
	// Authority is the :authority of the call; "" is the target's host and port.
	Authority string `json:"authority,omitempty"`
	// Metadata is sent with the call. Names are made lower case; a value whose name ends in "-bin" is in base64.
	Metadata []Pair `json:"metadata,omitempty"`
}

var _ Traited = GRPC{}

// The probe's own fields.
const (
	grpcStatusField  = "grpc_status"
	grpcMessageField = "grpc_message"
)

// Traits names the fields of the call's status.
func (g GRPC) Traits() Traits { return Traits{Fields: []string{grpcStatusField, grpcMessageField}} }

// Safe reports true: a health check only looks.
func (g GRPC) Safe() bool { return true }

// Validate reports every problem at once. It neither reads files nor parses templates, which
// Prober does.
func (g GRPC) Validate() error {
	var p problems
	if g.Port != "" && !isTemplate(g.Port) {
		_, err := parsePort(g.Port)
		p.add(err)
	}
	for _, m := range g.Metadata {
		name := strings.ToLower(m.Name)
		p.addIf(!isMetadataName(name), "metadata %q: want a name of letters, digits, \"-\", \"_\" and \".\"", m.Name)
		p.addIf(strings.HasPrefix(name, "grpc-") || name == "te" || name == "content-type", "metadata %s: it belongs to the protocol and cannot be set", m.Name)
		if !isTemplate(m.Value) {
			p.add(checkHeaderValue("metadata "+m.Name, m.Value))
		}
	}
	g.TLS.validate(&p)
	return errors.Join(p...)
}

// isMetadataName reports whether s is what the gRPC protocol calls a key.
func isMetadataName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	})
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (g GRPC) Prober(env Env) (muster.Prober, error) { return compileGRPC(g, env) }
