//go:build !linux

package probe

func loopPaths() []path { return nil }
