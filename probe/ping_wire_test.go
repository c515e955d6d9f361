package probe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// sealed is an echo request of w with the given payload.
func sealed(w *icmpWire, family int, key uint16, payload []byte) []byte {
	b := append(make([]byte, w.room()), payload...)
	w.seal(b, family, key)
	return b
}

// quote is the IP header of a datagram to an address, and the datagram.
func quote(family int, to netip.Addr, datagram []byte) []byte {
	header := make([]byte, ipv4Header)
	if family == 4 {
		header[0], header[9] = 0x45, 1
		copy(header[16:], to.AsSlice())
	} else {
		header = make([]byte, ipv6Header)
		header[0], header[6] = 0x60, icmp6Number
		copy(header[24:], to.AsSlice())
	}
	return append(header, datagram...)
}

func TestICMPChecksum(t *testing.T) {
	t.Parallel()
	// The example of RFC 1071, section 3, and the same with an odd byte.
	if got := internetChecksum([]byte{0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("%#x", got)
	}
	if got := internetChecksum([]byte{0, 1, 0xf2}); got != ^uint16(0xf201) {
		t.Errorf("%#x", got)
	}
	w := &icmpWire{ident: 0xbeef}
	for n := range 70 {
		if b := sealed(w, 4, 7, bytes.Repeat([]byte{0xff}, n)); internetChecksum(b) != 0 {
			t.Errorf("%d bytes of payload: checksum %#x", n, internetChecksum(b))
		}
	}
}

// What is sent is recognised when it comes back: as a reply, and in the error of a router.
func TestICMPWireKnowsItsOwn(t *testing.T) {
	t.Parallel()
	for family, to := range map[int]netip.Addr{4: netip.MustParseAddr("10.1.2.3"), 6: netip.MustParseAddr("2001:db8::1")} {
		w := &icmpWire{ident: 0x1234, raw4: true, raw6: true}
		request := sealed(w, family, 0xabcd, []byte("12345678"))
		reply := append([]byte(nil), request...)
		reply[0] = map[int]byte{4: icmpEchoReply, 6: icmp6EchoReply}[family]
		packet := reply
		if family == 4 {
			packet = quote(4, to, reply)
			packet[8] = 99
		}
		a := arrival{peer: netip.AddrPortFrom(to, 5), data: packet}
		if !w.read(&a, family) || a.key != 0xabcd || string(a.data) != "12345678" || a.err != nil || a.peer != netip.AddrPortFrom(to, 0) || family == 4 && a.ttl != 99 {
			t.Errorf("IPv%d reply: %+v", family, a)
		}
		message := append([]byte{icmpTimeExceeded, 0, 0, 0, 0, 0, 0, 0}, quote(family, to, request[:8])...)
		if family == 6 {
			message[0] = icmp6TimeExceeded
		} else {
			message = quote(4, to, message)
		}
		a = arrival{peer: netip.MustParseAddrPort("192.0.2.1:0"), data: message}
		if !w.read(&a, family) || a.key != 0xabcd || a.err != errTTLExceeded || a.peer != netip.AddrPortFrom(to, 0) {
			t.Errorf("IPv%d error: %+v", family, a)
		}
		w.ident++
		for _, p := range [][]byte{packet, message} {
			if a := (arrival{data: p}); w.read(&a, family) {
				t.Errorf("IPv%d: took what is another's: %+v", family, a)
			}
		}
	}
}

func FuzzICMPWire(f *testing.F) {
	w := icmpWire{ident: 0x1234, raw4: true, raw6: true}
	to := netip.MustParseAddr("10.1.2.3")
	f.Add([]byte{}, byte(0))
	f.Add(quote(4, to, sealed(&w, 4, 1, []byte("12345678"))), byte(3))
	f.Add(quote(4, to, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quote(4, to, sealed(&w, 4, 1, nil))...)), byte(3))
	f.Add(append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, quote(6, netip.IPv6Unspecified(), sealed(&w, 6, 1, nil))...), byte(3))
	f.Fuzz(func(t *testing.T, b []byte, how byte) {
		w := icmpWire{ident: 0x1234, raw4: how&1 != 0, raw6: how&2 != 0}
		for _, family := range []int{4, 6} {
			a := arrival{peer: netip.MustParseAddrPort("10.0.0.1:0"), data: b}
			if w.read(&a, family) && w.raw(family) && !bytes.Contains(b, binary.BigEndian.AppendUint16(nil, w.ident)) {
				t.Fatalf("took a message that does not bear the identifier: %x", b)
			}
			a = arrival{peer: netip.MustParseAddrPort("10.0.0.1:0"), data: b}
			w.readQuote(&a, family)
			if !a.bare && a.key != binary.BigEndian.Uint16(b[6:]) {
				t.Fatalf("key %d", a.key)
			}
		}
		x := pingExchange{n: 3, nonce: 1 << 60}
		if k, ok := x.number(b); ok && (k < 0 || k >= x.n) {
			t.Fatalf("a reply to request %d of %d", k, x.n)
		}
	})
}
