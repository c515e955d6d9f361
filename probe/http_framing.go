package probe

import "bytes"

// beginLength starts a body of n bytes.
func (r *response) beginLength(n uint64) error {
	if n == 0 {
		r.state = done
		return nil
	}
	if n > uint64(r.limit) {
		if !r.truncate {
			return errTooLarge
		}
		// What is beyond the limit stays unread, and so the connection is of no further use.
		n, r.truncated, r.close = uint64(r.limit), true, true
	}
	r.state, r.remain, r.exact = inLength, n, true
	if !r.discard {
		r.body = make([]byte, 0, min(n, maxGuess))
	}
	return nil
}

func (r *response) feedLength(b []byte) (int, error) {
	b = b[:min(uint64(len(b)), r.remain)]
	n, err := r.take(b)
	if r.remain -= uint64(n); r.remain == 0 {
		r.state = done
	}
	return n, err
}

// take adds b to the body, up to the limit.
func (r *response) take(b []byte) (int, error) {
	if room := r.limit - r.size; int64(len(b)) > room {
		if !r.truncate {
			return 0, errTooLarge
		}
		b = b[:room]
		r.truncated, r.close, r.state = true, true, done
	}
	r.size += int64(len(b))
	if r.discard {
		return len(b), nil
	}
	if r.exact && len(r.body)+len(b) > cap(r.body) {
		// The peer has sent as much as was guessed, so the announced length is trusted now.
		grown := make([]byte, len(r.body), uint64(len(r.body))+r.remain)
		copy(grown, r.body)
		r.body = grown
	}
	r.body = append(r.body, b...)
	return len(b), nil
}

// takeBody hands over the body in a slice of its own and of its exact size; nil when empty.
func (r *response) takeBody() []byte {
	b := r.body
	r.body = nil
	if !r.exact {
		r.scratch = b[:0]
	}
	if len(b) == 0 {
		return nil
	}
	if r.exact && len(b) == cap(b) {
		return b
	}
	own := make([]byte, len(b))
	copy(own, b)
	return own
}

// feedChunkSize parses a chunk's size line, held back while it is incomplete.
func (r *response) feedChunkSize(b []byte) (int, error) {
	line := b
	i := bytes.IndexByte(b, '\n')
	n := i + 1
	if i < 0 {
		n = len(b)
	}
	if len(r.carry)+n > maxLine || i < 0 && len(r.carry)+n == maxLine {
		return 0, malformed("chunk size: line too long", nil)
	}
	if i < 0 || len(r.carry) > 0 {
		r.carry = append(r.carry, b[:n]...)
		line = r.carry
	} else {
		line = b[:n]
	}
	if i < 0 {
		return n, nil
	}
	size, err := r.parseChunkSize(line)
	r.carry = r.carry[:0]
	if err != nil {
		return 0, err
	}
	if r.remain, r.state = size, inChunkData; size == 0 {
		r.state = inTrailer
	}
	return n, nil
}

// parseChunkSize reads "1a;extension\r\n" and accounts the overhead of the
// chunk: beyond 16 bytes and twice the payload it adds up to an attack.
func (r *response) parseChunkSize(line []byte) (uint64, error) {
	if i := bytes.IndexByte(line, '\r'); i < 0 || i != len(line)-2 {
		return 0, malformed("chunk size", line)
	}
	line = line[:len(line)-2]
	r.excess += int64(len(line)) + 2
	digits, _, _ := bytes.Cut(trimRight(line), []byte{';'})
	n, ok := parseHex(digits)
	if !ok {
		return 0, malformed("chunk size", line)
	}
	r.excess = max(r.excess-16-2*int64(n), 0)
	if r.excess > 16<<10 && n != 0 {
		return 0, malformed("chunked encoding: too much non-data", nil)
	}
	return n, nil
}

func parseHex(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(c)
	}
	return n, true
}

func (r *response) feedChunkData(b []byte) (int, error) {
	b = b[:min(uint64(len(b)), r.remain)]
	n, err := r.take(b)
	if r.remain -= uint64(n); r.remain == 0 && r.state != done {
		r.state, r.remain = inChunkEnd, 2
	}
	return n, err
}

func (r *response) feedChunkEnd(b []byte) (int, error) {
	if b[0] != "\r\n"[2-r.remain] {
		return 0, malformed("chunk end", nil)
	}
	if r.remain--; r.remain == 0 {
		r.state = inChunkSize
	}
	return 1, nil
}

// feedTrailer reads the trailer section, checks it and drops it. Like net/http it
// wants to see the section's double CRLF before it parses the fields.
func (r *response) feedTrailer(b []byte) (int, error) {
	held := len(r.carry)
	b = b[:min(len(b), maxTrailer-held)]
	section := b
	if held > 0 {
		r.carry = append(r.carry, b...)
		section = r.carry
	}
	if len(section) >= 2 && section[0] == '\r' && section[1] == '\n' {
		r.state = done
		return 2 - held, nil
	}
	if i := bytes.Index(section, []byte("\r\n\r\n")); i >= 0 {
		n, err := r.parseTrailer(section[:i+4])
		// Whatever follows an early end of the section is no answer to anything.
		r.close = r.close || n < i+4
		r.state = done
		return i + 4 - held, err
	}
	if len(section) == maxTrailer {
		return 0, malformed("trailer: too long", nil)
	}
	if held == 0 {
		r.carry = append(r.carry, b...)
	}
	return len(b), nil
}

func (r *response) parseTrailer(section []byte) (int, error) {
	for pos := 0; ; {
		kv, n, err := r.nextField(section[pos:], pos == 0)
		if err == nil && n == 0 {
			err = malformed("trailer", section)
		}
		if err != nil {
			return pos, err
		}
		pos += n
		if kv == nil {
			return pos, nil
		}
		if _, _, err := splitField(kv); err != nil {
			return pos, err
		}
	}
}
