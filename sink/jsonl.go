package sink

import (
	"context"
	"io"
	"iter"

	"github.com/musterhq/muster"
)

// JSONL writes a line per result, see [AppendResult], and at the end a summary. W must be
// set. It gets what one Write is given in one piece, or in pieces of about a megabyte.
type JSONL struct {
	W io.Writer

	out output
	buf []byte
}

var _ muster.Sink = (*JSONL)(nil)

// Write writes rs. Its errors name the file; [ErrClosedPipe] says that nobody reads any more.
func (s *JSONL) Write(_ context.Context, rs []muster.Result) error {
	s.buf = s.buf[:0]
	for i := range rs {
		s.buf = append(AppendResult(s.buf, &rs[i]), '\n')
		s.buf = s.out.spill(s.W, s.buf)
	}
	return s.out.write(s.W, s.buf)
}

// Finish writes the last line: the document of [Summary.Write] with "kind":"summary" in front.
func (s *JSONL) Finish(sum *Summary, groups iter.Seq[Group]) error {
	if s.out.err == nil {
		s.out.err = sum.write(s.W, `{"kind":"summary",`, groups)
	}
	return s.out.write(s.W, nil)
}

// Close reports what no Write has reported. It does not close W.
func (s *JSONL) Close() error { return s.out.close() }
