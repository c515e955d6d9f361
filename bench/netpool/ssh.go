package main

import (
	"errors"
	"net"
	"os"
	"strconv"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// commander logs in over SSH and runs true, with nothing around it.
func commander(port int, key, hosts string) (func(addr string) bool, error) {
	text, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, err
	}
	verify, err := knownhosts.New(hosts)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: verify,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}
	return func(addr string) bool { return command(net.JoinHostPort(addr, strconv.Itoa(port)), config) == nil }, nil
}

func command(addr string, config *ssh.ClientConfig) error {
	raw, err := net.Dial("tcp4", addr)
	if err != nil {
		return err
	}
	conn, channels, requests, err := ssh.NewClientConn(raw, addr, config)
	if err != nil {
		return errors.Join(err, raw.Close())
	}
	c := ssh.NewClient(conn, channels, requests)
	defer c.Close() // what matters has been answered
	s, err := c.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Run("true")
}
