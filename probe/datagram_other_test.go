//go:build !linux

package probe

func packetPaths() []datagramPath { return nil }
