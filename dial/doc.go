// Package dial opens every socket of every probe.
//
// A [Dialer] turns a target's host into one address ([Dialer.Resolve]), holds the target
// [Policy] against that address, takes a descriptor from its [Budget], and connects: as a
// [net.Conn] for goroutines ([Dialer.Dial], [Dialer.DialContext]) or as a bare non-blocking
// socket for event loops ([Dialer.Open]). Of the protocols without connections, UDP has the same
// two ([Dialer.DialUDP], [Dialer.OpenPacket]), and echo requests have [Dialer.OpenICMP].
//
// Whatever goes wrong is an [*Error] that says how the target ends: its outcome, failure, a
// stable reason and a detail for people. [Classify] gives the same to errors of connections.
package dial
