package probe

import (
	"bytes"

	"github.com/musterhq/muster"
)

// The limits of the codec. They are its only differences in verdict from
// [http.ReadResponse] followed by reading the body:
//
//   - a head (all 1xx heads included) beyond maxHead bytes or maxFields fields is refused,
//     where net/http allows 10 MiB: a fleet's answers must not fill the memory;
//   - a body beyond the request's limit is refused or cut, which net/http leaves to its caller.
//
// Header fields are reported as sent: net/http removes Transfer-Encoding, Trailer, some
// Content-Length and Connection fields, and derives Cache-Control from Pragma.
const (
	maxHead   = 64 << 10
	maxFields = 1000
	// maxLine is the longest chunk-size line, CRLF included, and maxTrailer the longest
	// trailer section: the size of the buffer that net/http reads them through.
	maxLine    = 4096
	maxTrailer = 4096
	// maxGuess is how much memory a Content-Length alone is trusted with.
	maxGuess = 16 << 10
	// maxScratch is the largest buffer that a finished response keeps for the next one.
	maxScratch = 64 << 10
)

// state is the part of a response that is expected next.
type state uint8

const (
	inHead      state = iota
	inLength          // a body of known length
	inChunkSize       // a chunk's size line
	inChunkData       // a chunk's payload
	inChunkEnd        // the CRLF after a payload
	inTrailer         // the fields after the last chunk
	inUntilEOF        // a body that ends with the connection
	done
)

// response is an incremental parser of one HTTP/1.x response: it is fed the
// bytes of a connection in any portions and does no I/O. A response may be reused
// after reset; in the steady state it allocates the body and kept header fields only.
type response struct {
	responseConfig

	// What was parsed so far. code and the like are final once state is past inHead.
	state     state
	code      int
	status    string
	close     bool // the connection cannot carry another exchange
	truncated bool
	content   content
	kept      []muster.HeaderField

	framing  framing
	headSize int // bytes of heads consumed
	fields   int
	size     int64  // body bytes taken
	remain   uint64 // bytes to come of the body or chunk
	excess   int64  // chunk overhead, as net/http accounts it
	exact    bool   // body was allocated for this response alone
	body     []byte
	scratch  []byte // reused body buffer when the length is unknown
	carry    []byte // an incomplete line or field
	fold     []byte // a continued field, joined
}

// responseConfig is what the request decides about the parsing of its response.
type responseConfig struct {
	head     bool // the request was a HEAD: there is no body
	limit    int64
	truncate bool // cut a body at the limit instead of refusing it
	discard  bool // check the body and drop it
	keep     *keepSet
}

// framing collects the fields that decide where a response ends.
type framing struct {
	started     bool // the status line was read
	major       byte
	minor       byte
	chunked     bool
	hasLength   bool
	badTrailer  bool
	connClose   bool
	connKeep    bool
	length      uint64
	lengthText  [24]byte // the first Content-Length as written, to compare repeated ones
	lengthDigit int      // its length; beyond the array it is not comparable
}

// reset prepares r for a new response, keeping its buffers.
func (r *response) reset(c responseConfig) {
	scratch := r.scratch
	if cap(scratch) > maxScratch {
		scratch = nil
	}
	*r = response{responseConfig: c, scratch: scratch, carry: r.carry[:0], fold: r.fold[:0]}
}

// feed parses b and returns how many of its bytes belong to the response. Less
// than len(b) without an error means that the response is complete and something follows it.
func (r *response) feed(b []byte) (int, error) {
	n := 0
	for n < len(b) && r.state != done {
		k, err := r.step(b[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (r *response) step(b []byte) (int, error) {
	switch r.state {
	case inHead:
		return r.feedHead(b)
	case inLength:
		return r.feedLength(b)
	case inChunkSize:
		return r.feedChunkSize(b)
	case inChunkData:
		return r.feedChunkData(b)
	case inChunkEnd:
		return r.feedChunkEnd(b)
	case inTrailer:
		return r.feedTrailer(b)
	}
	return r.take(b)
}

// eof tells r that the connection ended, which completes some responses and cuts the others short.
func (r *response) eof() error {
	switch r.state {
	case done:
		return nil
	case inUntilEOF:
		r.state = done
		return nil
	case inHead:
		if !r.framing.started && len(r.carry) == 0 && r.headSize == 0 {
			return errNoAnswer
		}
		return errCutHead
	}
	return errCutBody
}

// begun reports whether any byte of an answer has arrived.
func (r *response) begun() bool {
	return r.state != inHead || r.headSize > 0 || len(r.carry) > 0
}

// feedHead parses the part of a head that b completes, and holds back the rest of b when the
// head goes on.
func (r *response) feedHead(b []byte) (int, error) {
	if len(r.carry) == 0 {
		n, err := r.parseHead(b)
		if err != nil || r.state != inHead {
			return n, err
		}
		r.carry = append(r.carry, b[n:]...)
		return len(b), nil
	}
	held := len(r.carry)
	r.carry = append(r.carry, b...)
	n, err := r.parseHead(r.carry)
	if err != nil {
		return 0, err
	}
	if r.state != inHead {
		r.carry = r.carry[:0]
		return n - held, nil
	}
	r.carry = r.carry[:copy(r.carry, r.carry[n:])]
	return len(b), nil
}

// parseHead parses the complete lines at the start of b and returns their length.
func (r *response) parseHead(b []byte) (int, error) {
	pos := 0
	for r.state == inHead {
		n, err := r.parseHeadLine(b[pos:])
		if err != nil {
			return pos, err
		}
		if n == 0 {
			break
		}
		pos += n
		r.headSize += n
	}
	pending := 0
	if r.state == inHead {
		pending = len(b) - pos
	}
	if r.headSize+pending > maxHead {
		return pos, errHeadTooLarge
	}
	return pos, nil
}

var protoPrefix = []byte("HTTP/")

// parseHeadLine parses the status line, one field or the blank line at the start of
// b. It returns 0 when b does not hold all of it yet.
func (r *response) parseHeadLine(b []byte) (int, error) {
	if !r.framing.started {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if k := min(len(b), len(protoPrefix)); !bytes.Equal(b[:k], protoPrefix[:k]) {
				return 0, malformed("status line", b)
			}
			return 0, nil
		}
		r.framing.started = true
		return i + 1, r.parseStatus(dropCR(b[:i]))
	}
	kv, n, err := r.nextField(b, r.fields == 0)
	if err != nil || n == 0 {
		return 0, err
	}
	if kv == nil {
		return n, r.endHead()
	}
	if r.fields++; r.fields > maxFields {
		return 0, errHeadTooLarge
	}
	return n, r.addField(kv)
}

// endHead decides how the body is framed. A 1xx head other than 101 is skipped.
func (r *response) endHead() error {
	f := &r.framing
	if f.chunked && f.badTrailer {
		return malformed("Trailer field", nil)
	}
	if r.code/100 == 1 && r.code != 101 {
		*f = framing{}
		r.fields, r.kept, r.content = 0, nil, content{}
		return nil
	}
	r.close = f.shouldClose()
	switch {
	case r.head || r.code == 101 || r.code == 204 || r.code == 304:
		r.state = done
	case f.chunked:
		r.state = inChunkSize
		r.body = r.scratch[:0]
	case f.hasLength:
		return r.beginLength(f.length)
	default:
		r.state, r.close = inUntilEOF, true
		r.body = r.scratch[:0]
	}
	return nil
}

// shouldClose reports whether the peer ends the connection after this response.
func (f *framing) shouldClose() bool {
	switch {
	case f.major < 1:
		return true
	case f.major == 1 && f.minor == 0:
		return f.connClose || !f.connKeep
	}
	return f.connClose
}
