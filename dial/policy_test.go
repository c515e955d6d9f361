package dial_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow, deny, addr, reason string
	}{
		{"", "", "10.1.2.3", ""},
		{"", "", "127.0.0.1", ""},
		{"", "", "::1", ""},
		{"", "", "2001:db8::1", ""},
		{"", "", "169.254.169.254", "denied link-local 169.254.0.0/16"},
		{"", "", "::ffff:169.254.169.254", "denied link-local 169.254.0.0/16"},
		{"", "", "64:ff9b::a9fe:a9fe", "denied link-local 169.254.0.0/16"},
		{"", "", "64:ff9b::808:808", ""},
		{"", "", "2002:a9fe:a9fe::1", "denied link-local 169.254.0.0/16"},
		{"", "", "::169.254.169.254", "denied link-local 169.254.0.0/16"},
		{"", "", "fe80::1%eth0", "denied link-local fe80::/10"},
		{"", "", "fe80::1", "denied link-local fe80::/10"},
		{"", "", "fd00:ec2::254", "denied metadata fd00:ec2::254/128"},
		{"", "", "fd20:ce::254", "denied metadata fd20:ce::254/128"},
		{"", "", "100.100.100.200", "denied metadata 100.100.100.200/32"},
		{"", "", "168.63.129.16", "denied metadata 168.63.129.16/32"},
		{"", "", "224.0.0.1", "denied multicast 224.0.0.0/4"},
		{"", "", "239.255.255.255", "denied multicast 224.0.0.0/4"},
		{"", "", "ff02::1", "denied multicast ff00::/8"},
		{"", "", "255.255.255.255", "denied broadcast 255.255.255.255/32"},
		{"", "", "0.0.0.0", "denied unspecified 0.0.0.0/8"},
		{"", "", "0.1.2.3", "denied unspecified 0.0.0.0/8"},
		{"", "", "::", "denied unspecified ::/128"},
		{"10.0.0.0/8", "", "10.1.2.3", ""},
		{"10.0.0.0/8", "", "11.1.2.3", "denied not in allow list"},
		{"10.0.0.0/8", "", "169.254.169.254", "denied link-local 169.254.0.0/16"},
		{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "denied 10.1.0.0/16"},
		{"10.1.2.3", "10.0.0.0/8", "10.1.2.3", "denied 10.0.0.0/8"},
		{"169.254.0.0/16", "", "169.254.1.1", ""},
		{"169.254.0.0/16", "169.254.169.254", "169.254.169.254", "denied 169.254.169.254/32"},
		{"169.254.0.0/16", "", "64:ff9b::a9fe:101", ""},
		{"fe80::/10", "", "fe80::1%lo", ""},
		{"", "127.0.0.0/8", "::ffff:127.0.0.1", "denied 127.0.0.0/8"},
		{"", "::ffff:127.0.0.0/104", "127.0.0.1", "denied 127.0.0.0/8"},
		{"", "10.0.0.0/8", "64:ff9b::a01:203", "denied 10.0.0.0/8"},
		{"", "64:ff9b::/96", "64:ff9b::808:808", "denied 64:ff9b::/96"},
	} {
		p, err := dial.ParsePolicy(strings.Fields(tt.allow), strings.Fields(tt.deny))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if e := p.Check(netip.MustParseAddr(tt.addr)); e != nil {
			got = e.Reason
			if e.Outcome != muster.Denied || !strings.Contains(e.Detail, tt.reason) || e.Transient {
				t.Errorf("%s: error %#v", tt.addr, e)
			}
		}
		if got != tt.reason {
			t.Errorf("allow %q deny %q: Check(%s) = %q, want %q", tt.allow, tt.deny, tt.addr, got, tt.reason)
		}
	}
}

// TestRulesMatchesLoop compares the compiled lookup with the plain one over lists long enough for
// the binary search.
func TestRulesMatchesLoop(t *testing.T) {
	t.Parallel()
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c"), rapid.Byte().Draw(t, "d")})
		if rapid.Bool().Draw(t, "six") {
			b := a.As4()
			a = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, b[0], b[1], b[2], b[3]})
			return netip.PrefixFrom(a, rapid.IntRange(33, 64).Draw(t, "bits"))
		}
		return netip.PrefixFrom(a, rapid.IntRange(9, 32).Draw(t, "bits"))
	})
	rapid.Check(t, func(t *rapid.T) {
		ps := rapid.SliceOfN(prefix, 0, 40).Draw(t, "prefixes")
		a := prefix.Draw(t, "addr").Addr()
		want := false
		for _, p := range ps {
			want = want || p.Masked().Contains(a)
		}
		p := dial.Policy{Deny: ps}
		if got := p.Check(a) != nil; got != want {
			t.Fatalf("Check(%v) denied = %v, want %v", a, got, want)
		}
	})
}

func TestParsePolicyJoinsProblems(t *testing.T) {
	t.Parallel()
	_, err := dial.ParsePolicy([]string{"10.0.0.0/8", "10.0.0.0/33"}, []string{"host", ""})
	if err == nil || muster.KindOf(err) == "" {
		t.Fatal("no error")
	}
	for _, want := range []string{`allow "10.0.0.0/33"`, `deny "host"`, `deny ""`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "::ffff:1.2.3.4/100", "fe80::1%eth0", "1.2.3.4", "::/0", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := dial.ParsePolicy(nil, []string{s})
		if err != nil {
			return
		}
		if e := p.Check(p.Deny[0].Addr()); e == nil {
			t.Errorf("deny %q does not deny %v", s, p.Deny[0].Addr())
		}
		text := p.Deny[0].String()
		if q, err := dial.ParsePolicy(nil, []string{text}); err != nil || q.Deny[0] != p.Deny[0] {
			t.Errorf("%q reads back as %v, %v", text, q.Deny, err)
		}
	})
}
