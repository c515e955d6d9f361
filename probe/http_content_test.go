package probe

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"testing"

	"github.com/musterhq/muster"
)

func pack(t testing.TB, kind string, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "gzip":
		w = gzip.NewWriter(&buf)
	case "zlib":
		w = zlib.NewWriter(&buf)
	default:
		w, _ = flate.NewWriter(&buf, 6)
	}
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

func reply(headers string, body []byte) string {
	return fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", okHead, headers, len(body), body)
}

func TestContent(t *testing.T) {
	t.Parallel()
	hi := []byte("hi")
	bomb := pack(t, "gzip", make([]byte, 10<<20))
	gz := "Content-Encoding: gzip\r\n"
	cases := []struct {
		name, reply string
		spec        HTTP
		body        string
		fail        muster.Failure
	}{
		{"latin-1", reply("Content-Type: text/plain; charset=ISO-8859-1\r\n", []byte("k\xe4se")), HTTP{}, "käse", 0},
		{"quoted charset", reply("Content-Type: text/plain; charset=\"windows-1252\"\r\n", []byte("\x80")), HTTP{}, "€", 0},
		{"shift-jis", reply("content-type: text/html;charset=shift_jis\r\n", []byte("\x82\xa0")), HTTP{}, "あ", 0},
		{"utf-8", reply("Content-Type: text/plain; charset=UTF-8\r\n", []byte("käse")), HTTP{}, "käse", 0},
		{"utf-8 mark", reply("Content-Type: text/plain\r\n", []byte("\xef\xbb\xbfhi")), HTTP{}, "hi", 0},
		{"utf-16 mark", reply("Content-Type: text/plain\r\n", []byte("\xff\xfeh\x00i\x00")), HTTP{}, "hi", 0},
		{"binary stays", reply("Content-Type: image/png\r\n", []byte("\xff\xfeh\x00")), HTTP{}, "\xff\xfeh\x00", 0},
		{"unknown charset", reply("Content-Type: text/plain; charset=klingon\r\n", []byte("k\xe4")), HTTP{}, "k\xe4", 0},
		{"gzip", reply(gz, pack(t, "gzip", hi)), HTTP{Compressed: true}, "hi", 0},
		{"gzip and charset", reply(gz+"Content-Type: text/plain; charset=latin1\r\n", pack(t, "gzip", []byte("\xe4"))), HTTP{Compressed: true}, "ä", 0},
		{"deflate", reply("Content-Encoding: deflate\r\n", pack(t, "zlib", hi)), HTTP{Compressed: true}, "hi", 0},
		{"raw deflate", reply("Content-Encoding: deflate\r\n", pack(t, "flate", hi)), HTTP{Compressed: true}, "hi", 0},
		{"gzip not asked for", reply(gz, pack(t, "gzip", hi)), HTTP{}, string(pack(t, "gzip", hi)), 0},
		{"two layers", reply(gz+gz, hi), HTTP{Compressed: true}, "hi", 0},
		{"broken gzip", reply(gz, []byte("no gzip")), HTTP{Compressed: true}, "", muster.FailProtocol},
		{"cut gzip", reply(gz, pack(t, "gzip", hi)[:12]), HTTP{Compressed: true}, "", muster.FailProtocol},
		{"bomb", reply(gz, bomb), HTTP{Compressed: true}, "", muster.FailTooLarge},
		{"bomb, cut", reply(gz, bomb), HTTP{Compressed: true, BodyLimit: 20000, Truncate: true}, string(make([]byte, 20000)), 0},
		{"empty gzip", okHead + gz + "Content-Length: 0\r\n\r\n", HTTP{Compressed: true}, "", 0},
	}
	for _, way := range paths() {
		for _, c := range cases {
			spec := c.spec
			way.adapt(&spec)
			r := way.probe(t.Context(), compile(t, spec, Env{}), serve(t, answerWith(c.reply)))
			if string(r.Body) != c.body || r.Failure != c.fail || r.Truncated != c.spec.Truncate {
				t.Errorf("%s by %s: %v %v %q %s", c.name, way.name, r.Outcome, r.Failure, r.Body[:min(len(r.Body), 50)], r.Detail)
			}
		}
	}
}

func TestKeptHeaders(t *testing.T) {
	t.Parallel()
	target := serve(t, answerWith(okHead+"Server: x\r\nX-A: 1\r\nX-a: 2\r\nContent-Length: 0\r\n\r\n"))
	for _, way := range paths() {
		spec := HTTP{KeepHeaders: []string{"x-A"}}
		way.adapt(&spec)
		r := way.probe(t.Context(), compile(t, spec, Env{KeepHeaders: []string{"Server"}}), target)
		if fmt.Sprint(r.Header) != "[{server x} {x-a 1} {x-a 2}]" {
			t.Errorf("%s: kept %v", way.name, r.Header)
		}
		spec = HTTP{}
		way.adapt(&spec)
		if r := way.probe(t.Context(), compile(t, spec, Env{DiscardBody: true}), target); r.Header != nil || r.Outcome != muster.OK {
			t.Errorf("%s: kept unasked %v", way.name, r.Header)
		}
	}
}

func TestDiscardBody(t *testing.T) {
	t.Parallel()
	for _, way := range paths() {
		spec := HTTP{BodyLimit: 3}
		way.adapt(&spec)
		env := Env{DiscardBody: true}
		r := way.probe(t.Context(), compile(t, spec, env), serve(t, answerWith(reply("", []byte("abc")))))
		if r.Body != nil || r.Outcome != muster.OK {
			t.Errorf("%s: %v %q", way.name, r.Outcome, r.Body)
		}
		r = way.probe(t.Context(), compile(t, spec, env), serve(t, answerWith(reply("", []byte("abcd")))))
		if r.Failure != muster.FailTooLarge {
			t.Errorf("%s: the limit holds for dropped bodies: %v", way.name, r.Outcome)
		}
	}
}
