//go:build !http3

package probe

// hasHTTP3 says whether HTTP/3 was built in.
const hasHTTP3 = false

// newHTTP3 is never called: a spec that asks for HTTP/3 does not compile.
func newHTTP3(*httpProber) http3Transport { return nil }
