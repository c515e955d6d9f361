package probe

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"golang.org/x/net/http2"
)

// callStream is the one stream of a connection that carries one call.
const callStream = 1

// maxAnswer bounds the message of an answer; a health check's has two bytes.
const maxAnswer = 4 << 10

// maxFrame is the largest frame that a client which says nothing of it accepts.
const maxFrame = 16 << 10

// maxAnswerHeader bounds a list of header fields.
const maxAnswerHeader = 16 << 10

// appendCall appends all that a client has to say for the call: preface, settings, and the request, so that one write
// sends it.
func appendCall(dst []byte, c *call, left time.Duration) []byte {
	dst = append(dst, http2.ClientPreface...)
	dst = appendFrame(dst, http2.FrameSettings, 0, 0, func(b []byte) []byte {
		b = appendSetting(b, http2.SettingEnablePush, 0)
		return appendSetting(b, http2.SettingMaxHeaderListSize, maxAnswerHeader)
	})
	dst = appendFrame(dst, http2.FrameHeaders, http2.FlagHeadersEndHeaders, callStream, func(b []byte) []byte {
		scheme := "http"
		if c.secure {
			scheme = "https"
		}
		b = appendLiteral(b, ":method", "POST")
		b = appendLiteral(b, ":scheme", scheme)
		b = appendLiteral(b, ":path", grpcPath)
		b = appendLiteral(b, ":authority", c.authority)
		b = appendLiteral(b, "te", "trailers")
		b = appendLiteral(b, "content-type", "application/grpc")
		b = appendLiteral(b, "user-agent", "muster")
		b = appendLiteral(b, "grpc-timeout", strconv.FormatInt(max(min(left.Milliseconds(), 99_999_999), 1), 10)+"m")
		for _, m := range c.metadata {
			b = appendLiteral(b, m.Name, m.Value)
		}
		return b
	})
	return appendFrame(dst, http2.FrameData, http2.FlagDataEndStream, callStream, func(b []byte) []byte {
		var message []byte
		if c.service != "" {
			message = append(message, 1<<3|2) // field 1, a string
			message = binary.AppendUvarint(message, uint64(len(c.service)))
			message = append(message, c.service...)
		}
		b = append(b, 0) // not compressed
		b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
		return append(b, message...)
	})
}

// appendFrame appends an HTTP/2 frame whose payload is what fill appends.
func appendFrame(dst []byte, kind http2.FrameType, flags http2.Flags, stream uint32, fill func([]byte) []byte) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, byte(kind), byte(flags))
	dst = binary.BigEndian.AppendUint32(dst, stream)
	head := len(dst)
	dst = fill(dst)
	n := len(dst) - head
	dst[at], dst[at+1], dst[at+2] = byte(n>>16), byte(n>>8), byte(n)
	return dst
}

func appendSetting(dst []byte, id http2.SettingID, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, uint16(id)), value)
}

// appendLiteral appends a header field as HPACK's literal that is never indexed: the connection has no second
// request to be smaller, and values may be secrets.
func appendLiteral(dst []byte, name, value string) []byte {
	dst = append(dst, 0x10)
	return appendHPACKString(appendHPACKString(dst, name), value)
}

func appendHPACKString(dst []byte, s string) []byte {
	const most = 1<<7 - 1 // of the prefix; longer ones go on in varint groups
	if len(s) < most {
		return append(append(dst, byte(len(s))), s...)
	}
	dst = append(dst, most)
	return append(binary.AppendUvarint(dst, uint64(len(s)-most)), s...)
}

// protocolReader notices a peer that answers in HTTP/1 before the frames' reader takes its text for a length.
type protocolReader struct {
	r     io.Reader
	first func()
	head  [5]byte
	n     int
}

// Read reads from r.
func (p *protocolReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 && p.n < len(p.head) {
		if p.n == 0 {
			p.first()
		}
		p.n += copy(p.head[p.n:], b[:n])
		if string(p.head[:]) == "HTTP/" {
			return 0, errHTTP1
		}
	}
	return n, err
}

// servingStates are the states of the health protocol.
var servingStates = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// decodeState reads a HealthCheckResponse behind its length prefix.
func decodeState(b []byte) (state uint64, err error) {
	if len(b) < 5 || b[0] != 0 || int64(binary.BigEndian.Uint32(b[1:])) != int64(len(b)-5) {
		return 0, malformed("grpc message", b)
	}
	for m := b[5:]; len(m) > 0; {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, malformed("health message", b)
		}
		m = m[n:]
		value, rest, ok := cutProtobuf(m, tag&7)
		if !ok || tag>>3 == 0 || tag == 1<<3|2 {
			return 0, malformed("health message", b)
		}
		if tag == 1<<3 {
			state = value
		}
		m = rest
	}
	if state >= uint64(len(servingStates)) {
		return 0, malformed("health message", b)
	}
	return state, nil
}

// cutProtobuf takes a field's value of the given wire type off m; the value is that of a varint.
func cutProtobuf(m []byte, wire uint64) (value uint64, rest []byte, ok bool) {
	size := uint64(0)
	switch wire {
	case 0:
		v, n := binary.Uvarint(m)
		return v, m[max(n, 0):], n > 0
	case 1:
		size = 8
	case 2:
		v, n := binary.Uvarint(m)
		if n <= 0 {
			return 0, nil, false
		}
		m, size = m[n:], v
	case 5:
		size = 4
	default:
		return 0, nil, false
	}
	if size > uint64(len(m)) {
		return 0, nil, false
	}
	return 0, m[size:], true
}

// quoteJSON returns s as a JSON string.
func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
