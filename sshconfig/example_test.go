package sshconfig_test

import (
	"fmt"
	"log"
	"os"

	"github.com/musterhq/muster/sshconfig"
)

func Example() {
	f, err := os.CreateTemp("", "config")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	fmt.Fprint(f, "Host db*\n  User admin\n  ProxyJump bastion\nHost *\n  Port 2222\n")
	f.Close()
	c, err := sshconfig.Load(sshconfig.Source{Files: []string{f.Name()}})
	if err != nil {
		log.Fatal(err)
	}
	h := c.Lookup("db7", "")
	fmt.Println(h.User, h.Port, h.ProxyJump)
	// Output: admin 2222 bastion
}
