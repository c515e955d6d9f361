package hostfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/musterhq/muster"
)

// Sizes beyond which an input is an error.
const (
	// MaxLine is the longest line or record of the formats that stream.
	MaxLine = 16 << 20
	// MaxDocument is the largest input of the formats that are loaded.
	MaxDocument = 256 << 20
	// MaxYAML is the same for YAML, whose parser takes about 130 times the size of
	// its text in memory. The same inventory as JSON may be larger.
	MaxYAML = 8 << 20
)

// sniffSize is how much of an input is looked at to tell its format.
const sniffSize = 64 << 10

// input is an opened input without its byte order mark.
type input struct {
	name string // as messages call it
	*bufio.Reader
	close func() error
}

func newInput(name string, r io.Reader) *input {
	return &input{name: name, Reader: bufio.NewReaderSize(r, sniffSize), close: func() error { return nil }}
}

func (r Reader) open(ctx context.Context) (*input, error) {
	rc, name, err := r.openRaw(ctx)
	if err != nil {
		return nil, err
	}
	in := newInput(name, &ctxReader{ctx: ctx, r: rc})
	in.close = rc.Close
	if err := in.checkHead(); err != nil {
		return nil, errors.Join(err, rc.Close())
	}
	return in, nil
}

func (r Reader) openRaw(ctx context.Context) (io.ReadCloser, string, error) {
	switch {
	case r.Path == "-":
		stdin := r.Stdin
		if stdin == nil {
			stdin = os.Stdin
		}
		return io.NopCloser(stdin), "standard input", nil
	case isURL(r.Path):
		name := redactURL(r.Path)
		rc, err := r.Fetch(ctx, r.Path, r.header())
		if err != nil {
			return nil, name, muster.Errorf(muster.KindUnavailable, "read %s: %w", name, err)
		}
		return rc, name, nil
	}
	return openFile(r.Path)
}

func openFile(path string) (io.ReadCloser, string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, path, fileError(path, err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		err := muster.Errorf(muster.KindInvalid, "read %s: it is a folder: name a file in it", path)
		return nil, path, errors.Join(err, f.Close())
	}
	return f, path, nil
}

// fileError gives the error of opening path its kind and the way out.
func fileError(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return muster.Errorf(muster.KindNotFound, "read %s: %w: check the path", path, err)
	case errors.Is(err, fs.ErrPermission):
		return muster.Errorf(muster.KindDenied, "read %s: %w: check who may read it", path, err)
	}
	return muster.Errorf(muster.KindUnavailable, "read %s: %w", path, err)
}

// header is what a request to Path's own server carries.
func (r Reader) header() http.Header {
	h := http.Header{}
	if !r.Token.IsZero() {
		h.Set("Authorization", r.Token.Reveal())
	}
	return h
}

// checkHead drops a UTF-8 byte order mark and refuses what is plainly not text.
func (in *input) checkHead() error {
	head, _ := in.Peek(4)
	start := place{1, 1}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err := in.Discard(3)
		return err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return in.errorf(start, "the text is UTF-16: save it as UTF-8")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return in.errorf(start, "the input is compressed: unpack it first, as in zcat FILE | muster … --hostfile -")
	case bytes.IndexByte(head, 0) >= 0:
		return in.errorf(start, "the input is binary, not text")
	}
	return nil
}

// load reads the whole input, up to limit bytes.
func (in *input) load(limit int) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(io.LimitReader(in.Reader, int64(limit)+1)); err != nil {
		return nil, in.readError(place{bytes.Count(buf.Bytes(), []byte("\n")) + 1, 0}, err)
	}
	if buf.Len() > limit {
		return nil, in.errorf(place{}, "larger than %d MiB: split it, or turn it into lines, csv or jsonl, which stream (and YAML into JSON)", limit>>20)
	}
	return buf.Bytes(), nil
}

// ctxReader stops reading when ctx has ended. The first error stays: a look
// ahead must not swallow it.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if c.err == nil && c.ctx.Err() != nil {
		c.err = context.Cause(c.ctx)
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	c.err = err
	return n, err
}

func isURL(path string) bool {
	scheme, _, ok := strings.Cut(path, "://")
	return ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// redactURL is how messages show a URL: its password and query may be secrets.
func redactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		s, _, _ = strings.Cut(s, "?")
		return s
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	return u.Redacted()
}
