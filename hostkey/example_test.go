package hostkey_test

import (
	"fmt"
	"log"

	"golang.org/x/crypto/ssh"

	"github.com/musterhq/muster/hostkey"
)

func Example() {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIArGELo1S5Dae8VGVCwWU4k2vzZsRZppZ1CPkyPgzHk2"))
	if err != nil {
		log.Fatal(err)
	}
	v := hostkey.Verifier{Mode: hostkey.Strict}
	fmt.Println(v.Verify("web1", 22, key))
	// Output: web1 presents ssh-ed25519 SHA256:xk6fnTBrPWKO7wlI/zyPgdgzyWcH6417uRCdudk1XFw, which no known_hosts file has: add it there, or trust it on first use with --host-key tofu
}
