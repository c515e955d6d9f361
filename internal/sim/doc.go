// Package sim is a simulated fleet in one process: up to 16 million loopback
// addresses (every 127.x.y.z) behind one listener per service, each with a
// behaviour, a latency and a body of its own, cheap enough not to be the
// bottleneck of what is measured against it. The services are HTTP, plain and
// over TLS, lines of text over TCP, an echo over UDP, commands and files over
// SSH, DNS, and the health service of gRPC.
//
// What an address does is a pure function of the seed, the local address and
// the port, so two runs with one seed see the same fleet however their
// requests interleave. A [Fleet] describes it, [Fleet.Start] serves it, and an
// admin endpoint tells what really arrived and how idle the fleet was:
//
//	GET  /stats           totals, peaks, CPU and idleness since the last reset
//	GET  /hits?over=1     addresses hit more than once
//	GET  /hits/127.1.2.3  one address
//	GET  /hits.csv        every address
//	GET  /rules           the rules in force
//	POST /rules           replace the rules (text, see [ParseRules])
//	POST /reset           zero the counters
//	GET  /healthz         "ok"
//
// # Behaviours
//
// A behaviour is written name, name:argument or name(argument); parts joined
// with + add up, as in "slow:50ms+status:503":
//
//	ok                    200 with the body
//	status:503            that status with the body (below 200, 500)
//	slow:50ms             delay before the answer; also 10ms-2s (uniform),
//	                      exp(100ms), normal(100ms,20ms), lognormal(100ms,0.5)
//	reset[:accept|body]   RST once the request is in, on accept, or mid-body
//	hang[:accept]         read the request and never answer; or never even read
//	hang-body             head and half the body, then silence
//	reset:handshake, hang:handshake, close-before:handshake   the same in the TLS handshake
//	drip[:1s]             the answer byte by byte, one per interval
//	garbage[:512]         bytes that are not HTTP, then FIN
//	oversized[:16M]       a correctly framed body of that size
//	endless[:chunked|head] a body, chunked body or header that never ends
//	close-early           half of the body promised by Content-Length, then FIN
//	close-before[:accept] FIN without a byte, after the request or on accept
//	conflict[:chunked]    two different Content-Length, or one beside chunked
//	chunked               200 in chunks
//	redirect[:URL|loop]   302 to /redirected (which answers 200), URL or itself
//	flaky:0.3[,503]       that share of the requests fails, by request number
//	warmup:2[,503]        the first requests of each address fail
//	once                  200, and the connection closes after each answer
//	version:2.5.0         the address reports that version
//
// That is HTTP. Every other service does under each behaviour what comes closest
// in its protocol; what is not listed for a service is ok there.
//
// # TCP
//
// A connection is greeted with "220 ADDR muster-sim ready", each line answered
// with "OK ADDR LINE", and QUIT with "221 ADDR bye" and the end.
//
//	status:554            554 instead of 220 and OK
//	slow                  before the banner and before each answer
//	reset[:accept|body]   RST once a line is in, on accept, or mid-banner
//	hang[:accept]         a banner, then silence; or silence from the start
//	hang-body             half the banner, then silence
//	drip                  banner and answers byte by byte
//	garbage               bytes that are not text instead of the banner, then FIN
//	oversized             that many bytes of lines behind the banner
//	endless               a line that never ends behind the banner
//	close-early           half the banner, then FIN
//	close-before[:accept] FIN instead of an answer, or on accept
//	flaky, warmup         those answers begin with the status instead of OK
//	once                  the connection closes after the first answer
//
// # UDP
//
// A datagram is answered with "ADDR PAYLOAD" from the address it was sent to.
//
//	status:503            "503 ADDR PAYLOAD"
//	slow                  before the answer
//	hang, hang-body, close-before   silence
//	reset                 ICMP port unreachable (silence without the right to raw sockets)
//	garbage               that many bytes of noise
//	oversized             a datagram of that size, at most the 65,507 bytes of UDP
//	endless               1,000 times the answer, one per millisecond
//	drip                  a datagram per byte, at most 64, one per interval
//	chunked               the answer in two datagrams
//	close-early           half the answer
//	conflict[:chunked]    the answer from an address that was not asked; and again from the right one
//	flaky, warmup         those datagrams are lost
//
// # SSH
//
// Any user may log in with any key or the password "sim", and run one command per
// session: true, false, exit N, echo TEXT, stderr TEXT, hostname, env, cat, yes, sleep D,
// kill SIGNAL; anything else prints "ADDR: COMMAND". All addresses have one host
// key, which follows from the seed. SFTP keeps the files of each address in memory.
//
//	status:3              exit code 3 (1 if above 255); files refused with that SFTP status or for want of space
//	status:401, :403      the login is refused
//	slow                  before the command
//	reset[:accept|handshake|login|body]   RST at the command, on accept, after the
//	                      version, after the login, or with half the output out
//	hang[:accept|handshake|login]         silence from there on
//	hang-body             half the output, then silence
//	drip                  the output byte by byte
//	garbage               bytes that are not SSH, then FIN
//	oversized             that many bytes of output
//	endless[:head]        output that never ends; or lines before the version that never end
//	close-early           half the output, then the channel closes without a status
//	close-before[:accept|handshake|login] FIN there
//	conflict              another host key than the fleet's
//	flaky, warmup         those commands exit with the status (1 if above 255)
//	once                  the connection closes after one command
//	version:X             the server calls itself muster-sim_X
//
// # DNS
//
// Every name has records of the types A, AAAA, NS, PTR, MX, SRV, SOA and TXT that follow
// from the seed and the name; TXT tells which address answers. Names below nxdomain do
// not exist, those below empty have no records. Listeners answer over UDP and TCP. Where
// nothing else is said, behaviours are those of UDP, and over TCP those of HTTP.
//
//	status:5              that rcode (SERVFAIL if above 15)
//	chunked               TC over UDP, the whole answer over TCP
//	oversized             TXT records of about that size
//	redirect              a referral: no answer, NS in the authority section
//	conflict:id           another id than that of the question
//	conflict:question     another question
//	flaky, warmup         those questions are lost (SERVFAIL over TCP)
//	version:X             TXT tells the version too
//
// # gRPC
//
// grpc.health.v1.Health/Check says SERVING of every service but those whose names begin with
// unknown, which are NOT_FOUND; other methods are UNIMPLEMENTED. In plain text and over TLS.
//
//	status:2              up to 3 that health status, up to 16 that code, else NOT_SERVING
//	slow                  before the answer
//	reset[:accept|handshake|body]   RST at the request, on accept, before the HTTP/2
//	                      handshake (over TLS: in the TLS handshake), or mid-message
//	hang, close-before    likewise
//	hang-body             most of the message, then silence
//	drip                  the message byte by byte
//	garbage               noise instead of HTTP/2
//	conflict              an answer in HTTP/1.1
//	oversized, endless    a message of that size, or one that never ends
//	close-early           most of the message, then the end of the connection
//	flaky, warmup         those calls as under status
//
// # Paths of HTTP
//
// Two paths answer alike on every address, whatever its behaviour: /echo
// returns method, headers and body of the request, /headers only the headers.
package sim
