// Package probe does one protocol's exchange with one target.
//
// A [Spec] is a probe as it is written down: JSON-able, without secrets, the same on every
// machine. [Decode] reads one by the name of its kind, and its Prober method compiles it, with what
// only the running process knows (an [Env]), into a [muster.Prober]. Compiled probers are safe for
// concurrent use, and also are a [Checker] and a [Previewer]; where many exchanges
// fit one event loop they are a [muster.BatchProber] too.
//
// The kinds are:
//
//	copy   [Copy]: files over SFTP, to each target or from it
//	dns    [DNS]: one question to a name server, over UDP, TCP or TLS
//	async  [Async]: a job that an HTTP API starts, polled until it is done
//	exec   [Exec]: a local command per target, monitoring plugins among them
//	grpc   [GRPC]: a health check by the standard protocol
//	http   [HTTP]: one request, one answer, over HTTP/1.1 or HTTP/2, plain or TLS
//	ping   [Ping]: ICMP echo requests, over one socket for all targets
//	tcp    [TCP]: one connection, and a dialogue over it
//	tls    [Handshake]: one TLS handshake, and what the certificate says
//	udp    [UDP]: one datagram, one or several in return
//	ws     [WebSocket]: an upgrade, a dialogue of messages, the closing handshake
//	ssh    [SSH]: one command, its output, standard error and exit status
//
// Every string that is sent is a template of package vars. A defect that one target's values
// cause (a missing variable, a line break inside of a header) makes that target invalid
// before anything is sent, and is no error of the others.
package probe
