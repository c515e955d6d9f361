package probe

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// world is the network behind a tun device, in a namespace of its own: the address that is pinged decides
// what becomes of the echo request.
type world struct {
	tun     *os.File
	mu      sync.Mutex // guards what follows
	seen    map[visit]int
	broken  []string // what was wrong with requests
	onQuery func()
	late    sync.WaitGroup
}

// visit is one pinger's way to one address.
type visit struct {
	to    netip.Addr
	ident uint16
}

// query is an echo request that has reached the world.
type query struct {
	family  int
	packet  []byte // from the IP header on
	icmp    []byte
	from    netip.Addr
	to      netip.Addr
	ttl     byte
	df      bool
	number  int // of those of this pinger to this address, from 1
	host    byte
	special byte // which behaviour: the second byte of 10.x, the second group of fd00:x
}

const (
	worldDelay = 450 * time.Millisecond
	worldStall = 200 * time.Millisecond
	worldTTL   = 57
)

// newWorld makes the device. The process must have a network namespace of its own.
func newWorld(t *testing.T) *world {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no tun device: %v", err)
	}
	ifr, err := unix.NewIfreq("t0")
	if err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		t.Skipf("no tun device: %v", err)
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"link", "set", "t0", "up"},
		{"addr", "add", "10.0.0.1/8", "dev", "t0"},
		{"addr", "add", "fd00::1/16", "dev", "t0", "nodad"},
		{"route", "add", "unreachable", "10.250.0.0/16"},
		{"route", "add", "prohibit", "10.251.0.0/16"},
		{"route", "add", "blackhole", "10.252.0.0/16"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	w := &world{tun: os.NewFile(uintptr(fd), "tun"), seen: map[visit]int{}}
	var wg sync.WaitGroup
	wg.Go(w.serve)
	t.Cleanup(func() { w.late.Wait(); w.tun.Close(); wg.Wait() })
	return w
}

func (w *world) serve() {
	b := make([]byte, 64<<10)
	for {
		n, err := w.tun.Read(b)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if q, ok := w.parse(append([]byte(nil), b[:max(n, 0)]...)); ok {
			w.answer(&q)
		}
	}
}

// parse takes an echo request, and checks that it is a sound one.
func (w *world) parse(p []byte) (q query, ok bool) {
	switch {
	case len(p) >= 28 && p[0]>>4 == 4 && p[9] == 1 && p[20] == icmpEcho:
		q = query{family: 4, packet: p, icmp: p[20:], ttl: p[8], df: p[6]&0x40 != 0, special: p[17], host: p[19]}
		q.from, q.to = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
	case len(p) >= 48 && p[0]>>4 == 6 && p[6] == icmp6Number && p[40] == icmp6Echo:
		q = query{family: 6, packet: p, icmp: p[40:], ttl: p[7], special: p[27], host: p[39]}
		q.from, q.to = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
	default:
		return q, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v := visit{q.to, binary.BigEndian.Uint16(q.icmp[4:])}
	w.seen[v]++
	q.number = w.seen[v]
	if w.onQuery != nil {
		w.onQuery()
	}
	if q.family == 4 && internetChecksum(q.icmp) != 0 {
		w.broken = append(w.broken, "checksum of a request to "+q.to.String())
	}
	return q, true
}

func (w *world) answer(q *query) {
	router := netip.MustParseAddr("10.0.0.254")
	if q.family == 6 {
		router = netip.MustParseAddr("fd00::254")
	}
	reply := func() { w.send(q, q.to, q.reply(0)) }
	switch q.special {
	case 1:
		reply()
	case 3: // the first two are lost
		if q.number >= 3 {
			reply()
		}
	case 4, 15: // duplicates
		for range 3 {
			reply()
		}
	case 5: // garbage, and the truth only for some
		w.send(q, q.to, q.reply(1))
		w.send(q, q.to, q.reply(0)[:12])
		w.send(q, q.to, q.reply(0)[:8])
		w.send(q, q.to, []byte{0})
		if q.host == 2 {
			reply()
		}
	case 6: // a reply from somebody else
		w.send(q, router, q.reply(0))
	case 7: // as little of the request as a router must quote
		w.send(q, router, q.refuse(map[int][2]byte{4: {icmpTimeExceeded, 0}, 6: {icmp6TimeExceeded, 0}}[q.family], q.packet[:len(q.packet)-len(q.icmp)+8]))
	case 8: // the code is in the address
		w.send(q, router, q.refuse(map[int][2]byte{4: {icmpUnreachable, q.host}, 6: {icmp6Unreachable, q.host}}[q.family], q.packet))
	case 9: // the error of another pinger's request
		w.send(q, router, q.refuse([2]byte{icmpUnreachable, 1}, q.altered(len(q.packet)-len(q.icmp)+5)))
	case 10: // later than it is waited for
		w.late.Add(1)
		time.AfterFunc(worldDelay, func() { defer w.late.Done(); reply() })
	case 11: // the error of a request to another host
		w.send(q, router, q.refuse([2]byte{icmpUnreachable, 1}, q.altered(19)))
	case 12:
		if q.ttl == 7 && (q.df || q.family == 6) {
			reply()
		}
	case 16: // while the pinger is busy elsewhere
		w.late.Add(1)
		time.AfterFunc(worldStall/10, func() { defer w.late.Done(); reply() })
	case 14: // nobody will ever come here again
		exec.Command("ip", "route", "replace", "unreachable", "10.14.0.0/16").Run()
	case 13: // every second is lost
		if q.number%2 == 1 {
			reply()
		}
	}
}

// reply is the request as an echo reply, with a byte of the payload off by the given number.
func (q *query) reply(off byte) []byte {
	b := append([]byte(nil), q.icmp...)
	b[0] = map[int]byte{4: icmpEchoReply, 6: icmp6EchoReply}[q.family]
	b[8] += off
	return b
}

// altered is the request with another byte at i.
func (q *query) altered(i int) []byte {
	b := append([]byte(nil), q.packet...)
	b[i]++
	return b
}

func (q *query) refuse(kind [2]byte, quote []byte) []byte {
	return append([]byte{kind[0], kind[1], 0, 0, 0, 0, 0, 0}, quote...)
}

// send puts an ICMP message of the given source on its way to the pinger.
func (w *world) send(q *query, from netip.Addr, icmp []byte) {
	icmp = append(make([]byte, 0, len(icmp)), icmp...)
	if len(icmp) >= 4 {
		icmp[2], icmp[3] = 0, 0
		binary.BigEndian.PutUint16(icmp[2:], internetChecksum(append(pseudoHeader(q, from, len(icmp)), icmp...)))
	}
	var p []byte
	if q.family == 4 {
		p = make([]byte, 20, 20+len(icmp))
		p[0], p[8], p[9] = 0x45, worldTTL, 1
		binary.BigEndian.PutUint16(p[2:], uint16(20+len(icmp)))
		copy(p[12:], from.AsSlice())
		copy(p[16:], q.from.AsSlice())
		binary.BigEndian.PutUint16(p[10:], internetChecksum(p))
	} else {
		p = make([]byte, 40, 40+len(icmp))
		p[0], p[6], p[7] = 0x60, icmp6Number, worldTTL
		binary.BigEndian.PutUint16(p[4:], uint16(len(icmp)))
		copy(p[8:], from.AsSlice())
		copy(p[24:], q.from.AsSlice())
	}
	w.tun.Write(append(p, icmp...))
}

// pseudoHeader is what the checksum of ICMPv6 covers besides the message.
func pseudoHeader(q *query, from netip.Addr, n int) []byte {
	if q.family == 4 {
		return nil
	}
	b := append(from.AsSlice(), q.from.AsSlice()...)
	b = binary.BigEndian.AppendUint32(b, uint32(n))
	return append(b, 0, 0, 0, icmp6Number)
}
