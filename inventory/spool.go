package inventory

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"os"
	"sync/atomic"

	"github.com/musterhq/muster"
)

const (
	// blockLen is how many records share one base offset and are read at once.
	blockLen = 64
	// maxInMemory is how much of a spool stays in memory.
	maxInMemory = 1 << 20
	// chunkLen is how much is written to the file at once.
	chunkLen = 256 << 10
)

// spool keeps targets outside memory: records one behind the other in an
// unlinked temporary file, or in memory while they are few, and an index of 4
// bytes a target. append is for one goroutine; after the last flush at is
// safe for any number of them.
type spool struct {
	*codec
	dir  string
	open func(dir string) (*os.File, error)
	file *os.File // nil while everything fits in memory

	chunk   []byte // not yet written; everything while there is no file
	written int64
	bases   []int64  // offset of each block
	starts  []uint32 // offset of each record in its block
	digest  hash.Hash

	last   atomic.Int64 // the record read last
	blocks [8]atomic.Pointer[block]
}

// block is the text of blockLen records.
type block struct {
	no   int
	text []byte
}

func newSpool(dir string) *spool {
	return &spool{codec: newCodec(), dir: dir, open: openUnlinked, digest: sha256.New()}
}

// openUnlinked opens a file that vanishes with its last descriptor.
func openUnlinked(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "muster-targets-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (s *spool) len() int { return len(s.starts) }

func (s *spool) end() int64 { return s.written + int64(len(s.chunk)) }

// append adds a record.
func (s *spool) append(t *muster.Target, address string, defect error) error {
	if len(s.starts)%blockLen == 0 {
		s.bases = append(s.bases, s.end())
	}
	start := s.end() - s.bases[len(s.bases)-1]
	if start >= 1<<32 {
		return muster.Errorf(muster.KindInvalid, "%d neighbouring rows take more than 4 GiB: leave columns out", blockLen)
	}
	from, keys := len(s.chunk), len(s.keys)
	shared := len(s.shared)
	s.chunk = s.codec.append(s.chunk, t, address, defect)
	s.starts = append(s.starts, uint32(start))
	s.note(s.chunk[from:], keys, shared)
	if s.file == nil && len(s.chunk) > maxInMemory || s.file != nil && len(s.chunk) >= chunkLen {
		return s.flush()
	}
	return nil
}

// note adds a record to the digest, with the keys and maps that it is the first to use.
func (s *spool) note(record []byte, keys, shared int) {
	s.digest.Write(record)
	for _, k := range s.keys[keys:] {
		s.digest.Write(appendText(nil, k))
	}
	if len(s.shared) > shared {
		s.digest.Write(s.spell)
	}
}

// flush writes to the file what is not in it yet.
func (s *spool) flush() (err error) {
	if s.file == nil {
		if s.file, err = s.open(s.dir); err != nil {
			return s.failure(err)
		}
	}
	n, err := s.file.Write(s.chunk)
	s.written += int64(n)
	s.chunk = s.chunk[:copy(s.chunk, s.chunk[n:])]
	if err != nil {
		return s.failure(err)
	}
	return nil
}

func (s *spool) failure(err error) error {
	dir := s.dir
	if dir == "" {
		dir = os.TempDir()
	}
	return muster.Errorf(muster.KindUnavailable,
		"keep the targets in %s: %w: free space there, or name another folder with TMPDIR", dir, err)
}

// sync makes what was appended so far readable.
func (s *spool) sync() error {
	for i := range s.blocks {
		s.blocks[i].Store(nil)
	}
	if s.file == nil {
		return nil
	}
	return s.flush()
}

// seal ends writing: what serves only that is given back.
func (s *spool) seal() error {
	s.known, s.keyNo, s.sorted, s.spell = nil, nil, nil, nil
	err := s.sync()
	if s.file != nil {
		s.chunk = nil
	}
	return err
}

func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// at returns record i. Neighbours in order come from one read of their block, others from
// one read each.
func (s *spool) at(i int) (muster.Target, error, error) {
	no := i / blockLen
	if s.file == nil {
		from, to := s.bounds(i)
		return decoded(s.decode(string(s.chunk[s.bases[no]+from : s.bases[no]+to])))
	}
	from, to := s.bounds(i)
	step := int64(i) - s.last.Swap(int64(i))
	b := s.blocks[no%len(s.blocks)].Load()
	if b == nil || b.no != no {
		if step < 0 || step > blockLen {
			return s.readOne(s.bases[no]+from, to-from)
		}
		var err error
		if b, err = s.load(no); err != nil {
			return muster.Target{}, nil, err
		}
	}
	return decoded(s.decode(string(b.text[from:to])))
}

func decoded(t muster.Target, defect error) (muster.Target, error, error) { return t, defect, nil }

// bounds returns where record i begins and ends in its block.
func (s *spool) bounds(i int) (from, to int64) {
	from = int64(s.starts[i])
	if i+1 < len(s.starts) && (i+1)%blockLen != 0 {
		return from, int64(s.starts[i+1])
	}
	return from, s.blockEnd(i/blockLen) - s.bases[i/blockLen]
}

func (s *spool) blockEnd(no int) int64 {
	if no+1 < len(s.bases) {
		return s.bases[no+1]
	}
	return s.end()
}

func (s *spool) load(no int) (*block, error) {
	b := &block{no, make([]byte, s.blockEnd(no)-s.bases[no])}
	if _, err := s.file.ReadAt(b.text, s.bases[no]); err != nil {
		return nil, s.readFailure(err)
	}
	s.blocks[no%len(s.blocks)].Store(b)
	return b, nil
}

func (s *spool) readOne(at, n int64) (muster.Target, error, error) {
	var small [512]byte
	buf := small[:]
	if n > int64(len(buf)) {
		buf = make([]byte, n)
	}
	if _, err := s.file.ReadAt(buf[:n], at); err != nil {
		return muster.Target{}, nil, s.readFailure(err)
	}
	return decoded(s.decode(string(buf[:n])))
}

func (s *spool) readFailure(err error) error {
	return muster.Errorf(muster.KindUnavailable, "%w", fmt.Errorf("read the kept targets: %w", err))
}
