// Package probe does one protocol's exchange with one target.
package probe
