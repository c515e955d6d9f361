package fanout

import "github.com/musterhq/muster"

// stages cuts the fresh starts into the canary and the batches: one stage begins when all
// of the one before have ended.
type stages struct {
	n      int
	canary int
	widths []muster.Size
	stage  int // of widths
	room   int // starts left in this stage; -1 is no limit
	open   int // started in this stage and not ended
	inCan  bool
	fails  int // within the canary
}

func newStages(p *muster.Plan, n, canary int) stages {
	s := stages{n: n, canary: canary, widths: p.Batches}
	if canary > 0 {
		s.inCan, s.room = true, canary
	} else {
		s.nextBatch()
	}
	return s
}

func (s *stages) nextBatch() {
	if len(s.widths) == 0 {
		s.room = -1
		return
	}
	s.room = max(1, s.widths[min(s.stage, len(s.widths)-1)].Of(s.n))
	s.stage++
}

// blocked names the stage that must end first, or "".
func (s *stages) blocked() string {
	if s.room != 0 {
		return ""
	}
	if s.inCan {
		return "canary"
	}
	return "batch"
}

func (s *stages) start() {
	if s.room > 0 {
		s.room--
	}
	s.open++
}

// skip accounts for a target that ended without being started. A canary of such targets would
// prove nothing: it goes on until it has its number of attempts.
func (s *stages) skip() {
	if s.room > 0 && !s.inCan {
		s.room--
	}
	s.advance()
}

// end accounts for a started target that ended; tried says that something was attempted.
func (s *stages) end(failed, tried bool) {
	s.open--
	switch {
	case !s.inCan:
	case failed:
		s.fails++
	case !tried:
		s.room++
	}
	s.advance()
}

func (s *stages) advance() {
	if s.room != 0 || s.open != 0 {
		return
	}
	s.inCan = false
	s.nextBatch()
}
