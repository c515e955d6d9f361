package probe

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/musterhq/muster"
)

// reference parses one response with net/http, 1xx heads skipped as its Transport does.
func reference(data []byte, head bool) (resp *http.Response, body, rest []byte, err error) {
	method := "GET"
	if head {
		method = "HEAD"
	}
	br := bufio.NewReader(bytes.NewReader(data))
	for {
		resp, err = http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return nil, nil, nil, err
		}
		if resp.StatusCode/100 != 1 || resp.StatusCode == 101 {
			break
		}
	}
	body, err = io.ReadAll(resp.Body)
	rest, _ = io.ReadAll(br)
	return resp, body, rest, err
}

// parseSplit feeds data in portions of random size and reports how much was consumed.
func parseSplit(r *response, data []byte, portion func() int) (int, error) {
	pos := 0
	for pos < len(data) {
		k := min(max(portion(), 1), len(data)-pos)
		n, err := r.feed(data[pos : pos+k])
		pos += n
		if err != nil {
			return pos, err
		}
		if r.state == done {
			return pos, nil
		}
	}
	return pos, r.eof()
}

func portions(seed uint64) func() int {
	rnd := rand.New(rand.NewPCG(seed, 1))
	switch seed % 4 {
	case 0:
		return func() int { return 1 << 30 }
	case 1:
		return func() int { return 1 }
	case 2:
		return func() int { return 1 + rnd.IntN(7) }
	}
	return func() int { return 1 + rnd.IntN(200) }
}

// checkAgainstReference is the differential property. The listed differences of
// http_response.go are the only verdicts that may differ.
func checkAgainstReference(t *testing.T, data []byte, head bool, seed uint64) {
	t.Helper()
	resp, body, rest, wantErr := reference(data, head)
	var r response
	r.reset(responseConfig{head: head, limit: 1 << 30, keep: newKeepSet("*")})
	n, err := parseSplit(&r, data, portions(seed))
	if errors.Is(err, errHeadTooLarge) {
		return
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("verdict differs: got %v, net/http says %v\ninput %q head %v seed %d", err, wantErr, data, head, seed)
	}
	if err != nil {
		return
	}
	checkSame(t, &r, resp, data)
	if got := r.takeBody(); !bytes.Equal(got, body) {
		t.Fatalf("body %q, net/http has %q\ninput %q", got, body, data)
	}
	if r.close != resp.Close && !r.truncated && len(resp.Trailer) == 0 && resp.Close {
		t.Fatalf("close %v, net/http says %v\ninput %q", r.close, resp.Close, data)
	}
	if !r.close && !bytes.Equal(data[n:], rest) {
		t.Fatalf("left %q unread, net/http %q\ninput %q", data[n:], rest, data)
	}
}

func checkSame(t *testing.T, r *response, resp *http.Response, data []byte) {
	t.Helper()
	if r.code != resp.StatusCode || len(resp.Status) <= maxStatus && r.status != strings.ToValidUTF8(strings.TrimRight(resp.Status, " \t"), "?") {
		t.Fatalf("status %d %q, net/http has %d %q\ninput %q", r.code, r.status, resp.StatusCode, resp.Status, data)
	}
	got := http.Header{}
	for _, f := range r.kept {
		got[http.CanonicalHeaderKey(f.Name)] = append(got[http.CanonicalHeaderKey(f.Name)], f.Value)
	}
	for name, want := range resp.Header {
		if strings.Contains(name, " ") || name == "Cache-Control" || name == "Content-Length" {
			continue
		}
		if strings.Join(got[name], "|") != strings.Join(want, "|") {
			t.Fatalf("header %s is %q, net/http has %q\ninput %q", name, got[name], want, data)
		}
	}
}

var responseCases = []string{
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
	"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\n\r\nraw",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n5;ext=1 \r\nhello\r\n0\r\nX-A: b\r\n\r\nrest",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\nXX\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
	"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n \r\n\r\nhello",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n \r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX-Long: a\r\n\tb\r\n  c\r\nY: z\r\n\r\n",
	"HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length : 3\r\n\r\nabc",
	"HTTP/1.1 200 OK\r\n: z\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n",
	"HTTP/1.1 200 OK\r\nnocolon\r\n\r\n",
	"HTTP/1.1 200 OK\nX: y\n\nbody",
	"HTTP/1.1 200 OK\r\r\nX: y\r\n\r\nbody",
	"HTTP/1.1 200 OK\r\nX: y\r\n\r\r\nbody",
	"HTTP/1.1 200\r\n\r\n", "HTTP/1.1  200  OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 -00 OK\r\n\r\n", "HTTP/1.1 -01 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
	"HTTP/1.x 200 OK\r\n\r\n", "HTTP/0.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/2.0 200 OK\r\nConnection: close\r\n\r\n",
	"HTTP/0.9 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nraw", "HTTP/11.1 200 OK\r\n\r\n",
	"SSH-2.0-OpenSSH_9.2\r\n", "garbage", "", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nX: y", "HTTP/1.1 200 OK\r\nX: y\r\n",
	"\r\nHTTP/1.1 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 1\r\n\r\nx",
}

func TestResponseAgrees(t *testing.T) {
	t.Parallel()
	for _, c := range responseCases {
		for seed := range uint64(8) {
			checkAgainstReference(t, []byte(c), false, seed)
			checkAgainstReference(t, []byte(c), true, seed)
		}
	}
}

func FuzzResponse(f *testing.F) {
	for i, c := range responseCases {
		f.Add([]byte(c), i%5 == 0, uint64(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, head bool, seed uint64) {
		checkAgainstReference(t, data, head, seed)
	})
}

func TestResponseChunkLineLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{4090, 4091, 4092, 4093, 4094, 4095, 4096, 5000} {
		data := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", n) + "\r\nhello\r\n0\r\n\r\n"
		for seed := range uint64(4) {
			checkAgainstReference(t, []byte(data), false, seed)
		}
		data = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("x", n) + "\r\n\r\n"
		for seed := range uint64(4) {
			checkAgainstReference(t, []byte(data), false, seed)
		}
	}
}

func TestResponseChunkOverhead(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, extension := range []int{0, 10, 12, 13, 14, 15, 100, 1000} {
		chunk := "1;" + strings.Repeat("x", extension) + "\r\ny\r\n"
		for _, n := range []int{10, 100, 20000} {
			checkAgainstReference(t, []byte(head+strings.Repeat(chunk, n)+"0\r\n\r\n"), false, uint64(n))
		}
	}
}

func TestResponseLimits(t *testing.T) {
	t.Parallel()
	const head = "HTTP/1.1 200 OK\r\n"
	cases := []struct {
		name, data string
		truncate   bool
		want       error
		body       string
	}{
		{"length at limit", head + "Content-Length: 4\r\n\r\nabcd", false, nil, "abcd"},
		{"length over", head + "Content-Length: 5\r\n\r\nabcde", false, errTooLarge, ""},
		{"length over, cut", head + "Content-Length: 5\r\n\r\nabcde", true, nil, "abcd"},
		{"chunked over", head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", false, errTooLarge, ""},
		{"chunked over, cut", head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", true, nil, "abcd"},
		{"endless", head + "\r\n" + strings.Repeat("x", 100), false, errTooLarge, ""},
		{"endless, cut", head + "\r\n" + strings.Repeat("x", 100), true, nil, "xxxx"},
		{"exact until end", head + "\r\nabcd", false, nil, "abcd"},
		{"huge length", head + "Content-Length: 9000000000000000000\r\n\r\nabcd", false, errTooLarge, ""},
		{"big head", head + "X: " + strings.Repeat("x", maxHead) + "\r\n\r\n", false, errHeadTooLarge, ""},
		{"endless 1xx", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 5000), false, errHeadTooLarge, ""},
		{"many fields", head + strings.Repeat("X: y\r\n", maxFields+1) + "\r\n", false, errHeadTooLarge, ""},
	}
	for _, c := range cases {
		for seed := range uint64(4) {
			var r response
			r.reset(responseConfig{limit: 4, truncate: c.truncate})
			_, err := parseSplit(&r, []byte(c.data), portions(seed))
			if !errors.Is(err, c.want) {
				t.Fatalf("%s (seed %d): error %v, want %v", c.name, seed, err, c.want)
			}
			if err == nil && (string(r.takeBody()) != c.body || r.truncated != c.truncate) {
				t.Errorf("%s: truncated %v, want body %q", c.name, r.truncated, c.body)
			}
		}
	}
}

func TestResponseKeepsHeaders(t *testing.T) {
	t.Parallel()
	var r response
	r.reset(responseConfig{limit: 10, keep: newKeepSet("x-b", "Server")})
	data := "HTTP/1.1 200 OK\r\nServer: nginx\r\nX-A: 1\r\nx-B: 2\r\nX-B: 3\r\nContent-Length: 0\r\n\r\n"
	if _, err := r.feed([]byte(data)); err != nil {
		t.Fatal(err)
	}
	want := []muster.HeaderField{{Name: "server", Value: "nginx"}, {Name: "x-b", Value: "2"}, {Name: "x-b", Value: "3"}}
	if len(r.kept) != 3 || r.kept[0] != want[0] || r.kept[1] != want[1] || r.kept[2] != want[2] {
		t.Errorf("kept %v, want %v", r.kept, want)
	}
}

func BenchmarkResponse(b *testing.B) {
	data := []byte("HTTP/1.1 200 OK\r\nServer: sim\r\nDate: Fri, 20 Nov 2026 18:34:41 GMT\r\nContent-Type: application/json\r\n" +
		"Content-Length: 200\r\nConnection: close\r\n\r\n" + strings.Repeat("x", 200))
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	var r response
	for b.Loop() {
		r.reset(responseConfig{limit: 1 << 20})
		if n, err := r.feed(data); n != len(data) || err != nil || r.state != done {
			b.Fatal(n, err)
		}
		r.takeBody()
	}
}
