package dial_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// listenUDP returns a UDP socket and its address.
func listenUDP(t *testing.T, addr string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestDialUDPTalks(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		peer, ap := listenUDP(t, addr)
		d := dial.Dialer{Budget: &dial.Budget{Limit: 1}}
		c, err := d.DialUDP(t.Context(), ap)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("ping"))
		b := make([]byte, 10)
		n, from, err := peer.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "ping" {
			t.Fatalf("the peer read %q, %v", b[:n], err)
		}
		peer.WriteToUDPAddrPort([]byte("pong"), from)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "pong" {
			t.Errorf("Read = %q, %v", b[:n], err)
		}
		if got := d.Budget.Short(); got != 0 {
			t.Errorf("short of %d descriptors before the budget is used up", got)
		}
		c.Close()
		c.Close()
		if got := d.Budget.InUse(); got != 0 {
			t.Errorf("%d descriptors in use after Close", got)
		}
	}
}

func TestDialUDPRefused(t *testing.T) {
	t.Parallel()
	peer, ap := listenUDP(t, "127.0.0.1:0")
	peer.Close()
	var d dial.Dialer
	c, err := d.DialUDP(t.Context(), ap)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write([]byte("anybody"))
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err = c.Read(make([]byte, 1))
	wantFailure(t, dial.Classify(err, dial.PhaseExchange), muster.FailRefused, "connection refused")
}

func TestDialUDPKeepsThePolicyAndTheSource(t *testing.T) {
	t.Parallel()
	var d dial.Dialer
	_, err := d.DialUDP(t.Context(), netip.MustParseAddrPort("169.254.169.254:53"))
	if e, ok := errors.AsType[*dial.Error](err); !ok || e.Outcome != muster.Denied {
		t.Errorf("a metadata service: %v, want denied", err)
	}
	_, ap := listenUDP(t, "127.0.0.1:0")
	from := dial.Dialer{Source: netip.MustParseAddr("127.0.0.7")}
	c, err := from.DialUDP(t.Context(), ap)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); got != from.Source {
		t.Errorf("sent from %v, want %v", got, from.Source)
	}
	_, err = from.DialUDP(t.Context(), netip.MustParseAddrPort("[::1]:53"))
	wantFailure(t, err, muster.FailLocal, "source address")
}

func sendTo(t *testing.T, fd int, ap netip.AddrPort, b []byte) {
	t.Helper()
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
	if ap.Addr().Unmap().Is4() {
		sa = &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().Unmap().As4()}
	}
	if err := unix.Sendto(fd, b, 0, sa); err != nil {
		t.Fatal(err)
	}
}

// receive waits for a message of fd, or of its error queue, and returns its control messages.
func receive(t *testing.T, fd, flags int) (b []byte, control []unix.SocketControlMessage) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 5000); err != nil || n != 1 {
		t.Fatalf("poll = %d, %v", n, err)
	}
	b, oob := make([]byte, 2048), make([]byte, 512)
	n, m, _, _, err := unix.Recvmsg(fd, b, oob, flags)
	if err != nil {
		t.Fatal(err)
	}
	control, err = unix.ParseSocketControlMessage(oob[:m])
	if err != nil {
		t.Fatal(err)
	}
	return b[:n], control
}

func has(control []unix.SocketControlMessage, level, kind int32) bool {
	for _, c := range control {
		if c.Header.Level == level && c.Header.Type == kind {
			return true
		}
	}
	return false
}

func TestOpenPacketServesManyTargets(t *testing.T) {
	t.Parallel()
	for family, addr := range map[int]string{4: "127.0.0.1:0", 6: "[::1]:0"} {
		d := dial.Dialer{Budget: &dial.Budget{Limit: 1}}
		fd, err := d.OpenPacket(family)
		if err != nil {
			t.Fatal(err)
		}
		a, first := listenUDP(t, addr)
		sendTo(t, fd, first, []byte("one"))
		b := make([]byte, 10)
		_, from, err := a.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		a.WriteToUDPAddrPort([]byte("answer"), from)
		if got, control := receive(t, fd, 0); string(got) != "answer" || !has(control, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS) {
			t.Errorf("received %q with %v, want an answer with its time", got, control)
		}
		_, err = d.OpenPacket(family)
		wantFailure(t, err, muster.FailLocal, dial.ReasonDescriptors)
		d.Close(fd)
		if got := d.Budget.InUse(); got != 0 {
			t.Errorf("%d descriptors in use after Close", got)
		}
	}
}

func TestOpenPacketReportsRefusals(t *testing.T) {
	t.Parallel()
	for family, addr := range map[int]string{4: "127.0.0.1:0", 6: "[::1]:0"} {
		var d dial.Dialer
		fd, err := d.OpenPacket(family)
		if err != nil {
			t.Fatal(err)
		}
		peer, gone := listenUDP(t, addr)
		peer.Close()
		sendTo(t, fd, gone, []byte("anybody"))
		_, control := receive(t, fd, unix.MSG_ERRQUEUE)
		if !has(control, unix.SOL_IP, unix.IP_RECVERR) && !has(control, unix.SOL_IPV6, unix.IPV6_RECVERR) {
			t.Errorf("the error queue holds %v, want the refusal", control)
		}
		d.Close(fd)
	}
}

func TestOpenPacketRejects(t *testing.T) {
	t.Parallel()
	var d dial.Dialer
	if _, err := d.OpenPacket(5); err == nil || !strings.Contains(err.Error(), "want 4 or 6") {
		t.Errorf("family 5: %v", err)
	}
	from := dial.Dialer{Source: netip.MustParseAddr("127.0.0.7")}
	_, err := from.OpenPacket(6)
	wantFailure(t, err, muster.FailLocal, "source address")
	if got := d.Shortage(); got != (dial.Shortage{}) {
		t.Errorf("shortage %+v, want none", got)
	}
}

// TestOpenICMPUnprivileged plays a user without rights: in a namespace where ping sockets are permitted, and in
// one where they are not.
func TestOpenICMPUnprivileged(t *testing.T) {
	t.Parallel()
	for permitted, want := range map[string]string{
		"0 2147483647": "raw=false <nil>",
		"1 0":          "setcap cap_net_raw+ep",
	} {
		if got := unprivileged(t, permitted); !strings.Contains(got, want) {
			t.Errorf("ping_group_range %s: %q, want %q", permitted, got, want)
		}
	}
}

// unprivileged starts this binary as nobody in a network namespace, and returns what OpenICMP says there.
func unprivileged(t *testing.T, groups string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `echo "$0" >/proc/sys/net/ipv4/ping_group_range && exec setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all "$1"`, groups, "/proc/self/fd/3")
	self, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), roleEnv+"=icmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("a namespace without rights needs root: %v: %s", err, out)
	}
	return string(out)
}
