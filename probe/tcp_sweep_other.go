//go:build !linux

package probe

import "github.com/musterhq/muster"

// swept returns p: there is no event loop on this system.
func (p *tcpProber) swept() muster.Prober { return p }
