package muster

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Ledger is a job's account: Targets in, exactly as many outcomes out. The zero value is an
// empty account. It is a value and not safe for concurrent use.
type Ledger struct {
	// Targets is the length of the frozen list.
	Targets int
	// ByOutcome counts ended targets, indexed by Outcome.
	ByOutcome [NumOutcomes]int
	// ByFailure splits the Failed ones, indexed by Failure.
	ByFailure [NumFailures]int
}

// Add counts one result.
func (l *Ledger) Add(r *Result) {
	l.ByOutcome[r.Outcome]++
	if r.Outcome == Failed {
		l.ByFailure[r.Failure]++
	}
}

// Merge adds the outcomes of m, which must be of the same job.
func (l *Ledger) Merge(m Ledger) {
	for i, n := range m.ByOutcome {
		l.ByOutcome[i] += n
	}
	for i, n := range m.ByFailure {
		l.ByFailure[i] += n
	}
}

// Count returns how many targets ended in o.
func (l *Ledger) Count(o Outcome) int { return l.ByOutcome[o] }

// Ended returns how many targets have an outcome.
func (l *Ledger) Ended() int {
	n := 0
	for _, o := range Outcomes() {
		n += l.ByOutcome[o]
	}
	return n
}

// Answered returns how many targets gave an answer.
func (l *Ledger) Answered() int { return l.ByOutcome[OK] + l.ByOutcome[Unexpected] }

// Spent returns how much of the error budget is used up.
func (l *Ledger) Spent() int {
	return l.ByOutcome[Unexpected] + l.ByOutcome[Failed] + l.ByOutcome[Lost]
}

// Closed reports whether every target has exactly one outcome.
func (l *Ledger) Closed() bool { return l.Ended() == l.Targets }

// String returns the account as the last line of a run shows it:
// "5 targets: 3 ok, 0 unexpected, 2 failed (1 refused, 1 timeout)". Outcomes
// after the third are listed only when they happened.
func (l *Ledger) String() string {
	var b strings.Builder
	noun := "targets"
	if l.Targets == 1 {
		noun = "target"
	}
	fmt.Fprintf(&b, "%d %s: ", l.Targets, noun)
	for i, o := range Outcomes() {
		n := l.ByOutcome[o]
		if i > 2 && n == 0 {
			continue
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", n, strings.ReplaceAll(o.String(), "_", " "))
		if o == Failed {
			l.writeFailures(&b)
		}
	}
	return b.String()
}

func (l *Ledger) writeFailures(b *strings.Builder) {
	sep := " ("
	for _, f := range Failures() {
		if n := l.ByFailure[f]; n > 0 {
			fmt.Fprintf(b, "%s%d %s", sep, n, f)
			sep = ", "
		}
	}
	if sep == ", " {
		b.WriteString(")")
	}
}

// FailureCounts returns the failures that happened, by name; never nil.
func (l *Ledger) FailureCounts() map[string]int {
	m := map[string]int{}
	for _, f := range Failures() {
		if n := l.ByFailure[f]; n > 0 {
			m[f.String()] = n
		}
	}
	return m
}

type ledgerJSON struct {
	Targets      int `json:"targets"`
	OK           int `json:"ok"`
	Unexpected   int `json:"unexpected"`
	Failed       int `json:"failed"`
	Canceled     int `json:"canceled"`
	NotAttempted int `json:"not_attempted"`
	Denied       int `json:"denied"`
	Invalid      int `json:"invalid"`
	Lost         int `json:"lost"`
}

// MarshalJSON writes the contract's ledger object: the target count and all eight outcomes.
func (l Ledger) MarshalJSON() ([]byte, error) {
	n := &l.ByOutcome
	return json.Marshal(ledgerJSON{
		l.Targets, n[OK], n[Unexpected], n[Failed], n[Canceled], n[NotAttempted], n[Denied], n[Invalid], n[Lost],
	})
}

// UnmarshalJSON reads what MarshalJSON writes; the split by failure is not part of it.
func (l *Ledger) UnmarshalJSON(b []byte) error {
	var j ledgerJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*l = Ledger{Targets: j.Targets}
	for i, n := range []int{j.OK, j.Unexpected, j.Failed, j.Canceled, j.NotAttempted, j.Denied, j.Invalid, j.Lost} {
		l.ByOutcome[i+1] = n
	}
	return nil
}
