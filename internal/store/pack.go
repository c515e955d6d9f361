package store

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	packRaw  = 0
	packZstd = 1

	// minPack is the length below which compression does not pay for its frame.
	minPack = 64
	// maxUnpacked bounds what one packed value may grow to.
	maxUnpacked = 1 << 30
	// maxRatio is the best that zstd can do: a block of 128 KiB in four bytes.
	maxRatio = 1 << 15

	// minUnpack, or the packed length times usualRatio, is what unpacking allocates at first; growth is
	// by how much it tries again.
	minUnpack  = 64 << 10
	usualRatio = 16
	growth     = 8
)

// packer compresses values. It is safe for concurrent use; the zero value is not usable.
type packer struct {
	encoders sync.Pool
	decoders sync.Pool
}

func newPacker() *packer {
	p := &packer{}
	p.encoders.New = func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<18), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return err
		}
		return e
	}
	p.decoders.New = func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked),
			zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		return d
	}
	return p
}

// pack appends the packed form of raw to dst: method, raw length, data.
func (p *packer) pack(dst, raw []byte) []byte {
	start := len(dst)
	if len(raw) >= minPack {
		if e, ok := p.encoders.Get().(*zstd.Encoder); ok {
			dst = appendUint(append(dst, packZstd), uint64(len(raw)))
			at := len(dst)
			dst = e.EncodeAll(raw, dst)
			p.encoders.Put(e)
			if len(dst)-at < len(raw) {
				return dst
			}
			dst = dst[:start]
		}
	}
	return append(appendUint(append(dst, packRaw), uint64(len(raw))), raw...)
}

// unpack returns what pack was given. It never returns memory of b.
func (p *packer) unpack(b []byte) ([]byte, error) { return p.unpackMax(b, maxUnpacked) }

// unpackMax is unpack for a value that is known to be no longer than most.
func (p *packer) unpackMax(b []byte, most uint64) ([]byte, error) {
	s := scanner{b: b}
	method, n := s.byte(), s.uint()
	switch {
	case s.bad || n > most:
		return nil, errCorrupt
	case method == packRaw && n == uint64(len(s.b)):
		return append(make([]byte, 0, n), s.b...), nil
	case method != packZstd || n > uint64(len(s.b))*maxRatio:
		return nil, errCorrupt
	}
	return p.unzstd(s.b, int(n))
}

func (p *packer) unzstd(b []byte, n int) ([]byte, error) {
	v := p.decoders.Get()
	d, ok := v.(*zstd.Decoder)
	if !ok {
		return nil, v.(error)
	}
	defer p.decoders.Put(d)
	// A length is believed step by step: a damaged one must not cost the memory that it names.
	for size := min(n, max(minUnpack, len(b)*usualRatio)); ; size = min(n, size*growth) {
		raw, err := d.DecodeAll(b, make([]byte, 0, size))
		switch {
		case errors.Is(err, zstd.ErrDecoderSizeExceeded) && size < n:
			continue
		case err != nil:
			return nil, fmt.Errorf("%w: %w", errCorrupt, err)
		case len(raw) != n:
			return nil, errCorrupt
		}
		return raw, nil
	}
}
