package hostkey_test

import (
	"testing"

	"github.com/musterhq/muster/hostkey"
)

// A key that is revoked for a host is so on all of its ports.
func TestRevokedOnEveryPort(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	v := hostkey.Verifier{Mode: hostkey.TOFU, Known: db(t, "@revoked host "+hostkey.Line("", key)[1:], hostkey.Line("host", key))}
	for _, port := range []uint16{22, 2222} {
		if err := v.Verify("host", port, key); reason(err) != hostkey.ReasonRevoked {
			t.Errorf("port %d: %v", port, err)
		}
	}
}
