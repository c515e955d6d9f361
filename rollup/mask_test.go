package rollup

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/musterhq/muster"
)

func mask(m Masks, body string) string {
	t := &muster.Target{ID: "https://web1.lan:8443/x", Host: "web1.lan", Port: 8443}
	r := muster.Result{Target: t.ID, Address: netip.MustParseAddrPort("10.0.0.1:8443"), Body: []byte(body)}
	return string(m.Append(nil, t, &r))
}

func TestMasks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"2026-11-20T18:34:41Z", "<time>"},
		{"2026-11-20T18:34:41.123456+01:00 x", "<time> x"},
		{"2026-11-20 18:34:41,123 INFO", "<time> INFO"},
		{"2009-11-10 23:00:00 +0000 UTC.", "<time>."},
		{`{"at":"2026-11-20","n":3}`, `{"at":"<time>","n":3}`},
		{"2026/11/20 18:34:41 x", "<time> x"},
		{"20261120T183441Z", "<time>"},
		{"Fri, 20 Nov 2026 18:34:41 GMT", "<time>"},
		{"Friday, 20-Nov-26 18:34:41 GMT", "<time>"},
		{"Fri Nov 20 18:34:41 2026", "<time>"},
		{"Fri Nov  6 18:34:41 UTC 2026", "<time>"},
		{"Nov  6 18:34:41 web sshd", "<time> web sshd"},
		{"Jan 2, 2006 is", "<time> is"},
		{"- - [20/Nov/2026:18:34:41 +0000] \"GET", "- - [<time>] \"GET"},
		{"since 18:34:41 up", "since <time> up"},
		{"1795199681 and 1795199681123", "<time> and <time>"},
		{"t=1795199681.123456", "t=<time>"},
		{"id 123e4567-e89b-12d3-a456-426614174000!", "id <id>!"},
		{"sha deadbeef12 x", "sha <id> x"},
		{"0x7ffe1234abcd", "<id>"},
		{"01ARZ3NDEKTSV4RRFFQ69G5FAV", "<id>"},
		{"X-Request-Id: abc.DEF/1", "X-Request-Id: <id>"},
		{`{"requestId":"zz-9","trace_id": 17}`, `{"requestId":"<id>","trace_id": <id>}`},
		{"req_id=q1&x=2", "req_id=<id>&x=2"},
		{"i am web1.lan (10.0.0.1)", "i am <name> (<name>)"},
		{"at 10.0.0.1:8443, web1.lan:8443", "at <name>, <name>"},
		{"see https://web1.lan:8443/x now", "see <name> now"},
	} {
		if got := mask(MaskAll, c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

// What looks a little like a time, an id or a name stays.
func TestNoFalseMasks(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"version 1.2.3", "v1.27.0-rc1", "1.20.300.4000", "nginx/1.27.3", "linux 6.8.0-45-generic", "2024.11.2",
		"price 19.99 $1795199681 1795199681.50", "1,234,567", "-1795199681", "count 12345678", "99999999999", "1.1795199681",
		"00:11:22:33:44:55", "fe80::12:34:56", "aa:bb:cc:00:11:22", "12:34", "25:00:00", "10:61:00", "2026-13-01", "2026-11-32", "12026-11-20",
		"deadbeef", "acceded effaced", "facade", "abc1234", "color #a1b2c3", "1e9", "Monday", "Mon", "May be", "March 1x", "Sun 12",
		"myweb1.lanx", "web1.lan2", "web1", "10.0.0.12", "110.0.0.1", "10.0.0.1.5", "9.10.0.0.1",
		"valid: yes", "id: 7", "userid=bob", "request: x", "idea: y", "request_id: null", "requestId",
		"été 2026", "ünicode12345678",
	} {
		if got := mask(MaskAll, s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

func TestMasksAreSeparate(t *testing.T) {
	t.Parallel()
	const s = "web1.lan 18:34:41 deadbeef12"
	for _, c := range []struct{ masks, want string }{
		{"none", s},
		{"", s},
		{"time", "web1.lan <time> deadbeef12"},
		{"id", "web1.lan 18:34:41 <id>"},
		{"name", "<name> 18:34:41 deadbeef12"},
		{"time,name", "<name> <time> deadbeef12"},
		{"all", "<name> <time> <id>"},
	} {
		m, err := ParseMasks(c.masks)
		if err != nil {
			t.Fatal(err)
		}
		if got := mask(m, s); got != c.want {
			t.Errorf("%s: %q, want %q", c.masks, got, c.want)
		}
		if back, err := ParseMasks(m.String()); back != m || err != nil {
			t.Errorf("%v reads back as %v, %v", m, back, err)
		}
	}
	if _, err := ParseMasks("time,ids"); muster.KindOf(err) != muster.KindInvalid {
		t.Errorf("ParseMasks: %v", err)
	}
}

func TestMaskOfIPv6Name(t *testing.T) {
	t.Parallel()
	target := &muster.Target{ID: "[fd00::1]:80", Host: "fd00::1", Port: 80}
	r := muster.Result{Target: target.ID, Address: netip.MustParseAddrPort("[fd00::1]:80"), Body: []byte("on [fd00::1]:80 or fd00::1, not fd00::12")}
	if got := string(MaskName.Append([]byte("> "), target, &r)); got != "> on <name> or <name>, not fd00::12" {
		t.Errorf("%q", got)
	}
}

// Whatever the moment, each usual way to write it is masked as a whole.
func TestEveryTimeIsMasked(t *testing.T) {
	t.Parallel()
	layouts := []string{
		time.RFC3339, time.RFC3339Nano, time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate, time.RubyDate,
		time.Stamp, time.StampMicro, time.DateTime, time.DateOnly, time.TimeOnly, "02/Jan/2006:15:04:05 -0700", "2006/01/02 15:04:05",
		"Jan _2, 2006", "20060102T150405Z", "2006-01-02T15:04Z07:00",
	}
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("CET", 3600), time.FixedZone("PST", -8*3600)}).Draw(t, "zone")
		at := time.Unix(rapid.Int64Range(1_000_000_000, 2_147_000_000).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone)
		before := rapid.SampledFrom([]string{"", "at ", `{"t":"`, "[", "time="}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", " x", `"}`, "]", ", y", ".\n"}).Draw(t, "after")
		if layout == time.RFC850 && at.Year() < 2000 {
			return
		}
		in := before + at.Format(layout) + after
		if got := mask(MaskTime, in); got != before+"<time>"+after {
			t.Fatalf("%q became %q", in, got)
		}
	})
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"2026-11-20T18:34:41Z", "Fri, 20 Nov 2026 18:34:41 GMT", "x-request-id: 7", "10.0.0.1:80", "1795199681.1", "123e4567-e89b-12d3-a456-426614174000", "0x", "Jan", "12:"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, body, id string) {
		r := muster.Result{Target: id, Address: netip.MustParseAddrPort("10.0.0.1:80"), Body: []byte(body)}
		got := string(MaskAll.Append([]byte("kept"), &muster.Target{ID: id, Host: id, Port: 1}, &r))
		if !strings.HasPrefix(got, "kept") || string(r.Body) != body {
			t.Fatalf("%q", got)
		}
		// Only whole pieces are replaced: what is left is in the body, in order.
		rest := body
		for part := range strings.SplitSeq(strings.NewReplacer("<time>", "\x00|", "<id>", "\x00|", "<name>", "\x00|").Replace(got[4:]), "\x00|") {
			at := strings.Index(rest, part)
			if at < 0 && !strings.ContainsAny(body, "<\x00") {
				t.Fatalf("%q is not left of %q", part, body)
			}
			rest = rest[max(at, 0):]
		}
		if plain := string(Masks(0).Append(nil, nil, &r)); plain != body {
			t.Fatalf("no mask changed %q to %q", body, plain)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	body := `{"host":"web1.lan","addr":"10.0.0.1:8443","time":"2026-11-20T18:34:41.123Z","uptime":1795199681,"request_id":"9f86d081884c7d65","status":"ok","version":"1.27.3","load":[0.12,0.34,0.56],"note":"nothing to see"}`
	target := &muster.Target{ID: "web1.lan:8443", Host: "web1.lan", Port: 8443}
	r := muster.Result{Target: target.ID, Address: netip.MustParseAddrPort("10.0.0.1:8443"), Body: []byte(body)}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	var dst []byte
	for b.Loop() {
		dst = MaskAll.Append(dst[:0], target, &r)
	}
}
