package store

import (
	"encoding/binary"
	"errors"
	"slices"
)

// errCorrupt is the cause of every error about bytes that this package did not write.
var errCorrupt = errors.New("stored data is damaged")

// appendInt appends a signed number, small magnitudes in few bytes.
func appendInt(b []byte, v int64) []byte { return binary.AppendVarint(b, v) }

// appendUint appends an unsigned number, small ones in few bytes.
func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

// appendText appends a length and the bytes.
func appendText[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(appendUint(b, uint64(len(s))), s...)
}

// appendDeltas appends a count and the sorted numbers as differences.
func appendDeltas(b []byte, ns []int) []byte {
	b = appendUint(b, uint64(len(ns)))
	prev := 0
	for _, n := range ns {
		b = appendInt(b, int64(n-prev))
		prev = n
	}
	return b
}

// scanner reads what the append functions wrote. It never panics: after the first
// defect bad is set, and every further read gives zero.
type scanner struct {
	b   []byte
	bad bool
}

func (s *scanner) fail() {
	s.b, s.bad = nil, true
}

// err returns errCorrupt after a defect.
func (s *scanner) err() error {
	if s.bad {
		return errCorrupt
	}
	return nil
}

func (s *scanner) uint() uint64 {
	if len(s.b) > 0 && s.b[0] < 0x80 {
		v := s.b[0]
		s.b = s.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.fail()
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scanner) int() int64 {
	v := s.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (s *scanner) byte() byte {
	if len(s.b) == 0 {
		s.fail()
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

// take returns the next n bytes, which share memory with the input.
func (s *scanner) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.fail()
		return nil
	}
	v := s.b[:n:n]
	s.b = s.b[n:]
	return v
}

// text returns what appendText wrote; it shares memory with the input.
func (s *scanner) text() []byte { return s.take(s.uint()) }

// count reads the number of things that follow, each at least one byte long, so
// that a hostile count cannot ask for more memory than the input is worth.
func (s *scanner) count() int {
	n := s.uint()
	if n > uint64(len(s.b)) {
		s.fail()
		return 0
	}
	return int(n)
}

// deltas reads what appendDeltas wrote, appending to dst.
func (s *scanner) deltas(dst []int) []int {
	n := s.count()
	dst = slices.Grow(dst, n)
	prev := int64(0)
	for range n {
		prev += s.int()
		dst = append(dst, int(prev))
	}
	return dst
}
