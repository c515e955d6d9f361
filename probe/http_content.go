package probe

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"mime"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"

	"github.com/musterhq/muster"
)

// content is what a response says of its body. The zero value is text of
// unknown charset, not encoded.
type content struct {
	typed   bool
	binary  bool   // of a type in which a byte order mark means nothing
	charset string // the stated one, lower case; "" when absent or UTF-8
	utf8    bool   // UTF-8 is stated
	coding  coding
}

// coding is a Content-Encoding.
type coding uint8

const (
	identity coding = iota
	gzipped
	deflated
	otherCoding // left as sent
)

// addType takes a Content-Type; the first one counts.
func (c *content) addType(value []byte) {
	if c.typed {
		return
	}
	c.typed = true
	c.binary = !isText(value)
	_, after, ok := bytes.Cut(value, []byte{';'})
	if !ok {
		return
	}
	if params := trimBlank(after); equalFold(params, "charset=utf-8") {
		c.utf8 = true
		return
	}
	_, params, err := mime.ParseMediaType(string(value))
	if err != nil {
		return
	}
	c.charset = strings.ToLower(params["charset"])
	if c.charset == "utf-8" || c.charset == "utf8" {
		c.charset, c.utf8 = "", true
	}
}

func isText(value []byte) bool {
	if i := bytes.IndexByte(value, ';'); i >= 0 {
		value = value[:i]
	}
	value = trimBlank(value)
	return hasPrefixFold(value, "text/") || hasSuffixFold(value, "json") ||
		hasSuffixFold(value, "xml") || hasSuffixFold(value, "javascript")
}

// addCoding takes a Content-Encoding. More than one layer is left as sent.
func (c *content) addCoding(value []byte) {
	was := c.coding
	switch {
	case equalFold(value, "identity"), len(value) == 0:
		return
	case equalFold(value, "gzip"), equalFold(value, "x-gzip"):
		c.coding = gzipped
	case equalFold(value, "deflate"):
		c.coding = deflated
	default:
		c.coding = otherCoding
	}
	if was != identity {
		c.coding = otherCoding
	}
}

// unpack is what decode is allowed and asked to do.
type unpack struct {
	compressed bool  // the request asked for a compressed answer
	limit      int64 // on the decompressed size
	truncate   bool
	cut        bool // the body was cut already, so that its end is missing
}

// decode returns body decompressed and as UTF-8, and whether it was cut at the limit. A
// charset it does not know leaves the bytes as sent, as browsers do.
func (c *content) decode(body []byte, u unpack) (_ []byte, cut bool, err error) {
	if u.compressed && (c.coding == gzipped || c.coding == deflated) && len(body) > 0 {
		if body, cut, err = c.decompress(body, u); err != nil {
			return nil, false, err
		}
	}
	if enc := c.decoderFor(body); enc != nil {
		text, err := enc.NewDecoder().Bytes(body)
		if err == nil {
			body = text
		}
	}
	return body, cut, nil
}

// decoderFor returns the charset to decode body from, or nil when it is to stay. A byte order mark
// outranks the stated charset (WHATWG Encoding, "decode").
func (c *content) decoderFor(body []byte) encoding.Encoding {
	if !c.binary {
		switch {
		case bytes.HasPrefix(body, []byte{0xef, 0xbb, 0xbf}):
			return unicode.UTF8BOM
		case bytes.HasPrefix(body, []byte{0xfe, 0xff}), bytes.HasPrefix(body, []byte{0xff, 0xfe}):
			if !c.utf8 {
				return unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM)
			}
		}
	}
	if c.charset == "" {
		return nil
	}
	enc, err := htmlindex.Get(c.charset)
	if err != nil || enc == unicode.UTF8 {
		return nil
	}
	return enc
}

func (c *content) decompress(body []byte, u unpack) (_ []byte, cut bool, err error) {
	zr, err := c.reader(body)
	if err != nil {
		return nil, false, badCoding(err)
	}
	out, err := io.ReadAll(io.LimitReader(zr, u.limit+1))
	over := int64(len(out)) > u.limit
	switch {
	case over && !u.truncate:
		return nil, false, errTooLarge
	case over:
		return bytes.Clone(out[:u.limit]), true, nil
	case err != nil && !(u.cut && errors.Is(err, io.ErrUnexpectedEOF)):
		return nil, false, badCoding(err)
	}
	return bytes.Clone(out), false, nil
}

// reader returns the decompressor. What is called deflate is zlib by the standard and raw deflate
// by some servers; the first two bytes tell.
func (c *content) reader(body []byte) (io.Reader, error) {
	r := bytes.NewReader(body)
	if c.coding == gzipped {
		return gzip.NewReader(r)
	}
	if len(body) >= 2 && body[0]&0x0f == 8 && (int(body[0])<<8|int(body[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

func badCoding(err error) *fault {
	return &fault{failure: muster.FailProtocol, reason: "malformed content encoding", detail: "decompress the body: " + err.Error()}
}
