package store

import (
	"encoding/json"
	"maps"

	"github.com/musterhq/muster"
)

// Counts is a job's account beyond its ledger. Its maps belong to the caller.
type Counts struct {
	Ledger muster.Ledger
	// Codes counts the results with an answer by their code: HTTP status, exit code.
	Codes map[int]int
	// Reasons counts the results that are not OK by their reason.
	Reasons map[string]int
	// Stored is how many results the store has, Spilled how many it could not take.
	Stored, Spilled int
	// SpillPaths are the files that the job's results were written to when the store failed.
	SpillPaths []string
}

// maxTally bounds the distinct codes and reasons that are counted one by one; the
// rest is counted under code -1 and reason "…".
const (
	maxTally    = 256
	otherCode   = -1
	otherReason = "…"
)

// tally is the form of Counts in column job.counts.
type tally struct {
	Outcomes []int          `json:"o"`
	Failures []int          `json:"f"`
	Codes    map[int]int    `json:"c,omitempty"`
	Reasons  map[string]int `json:"r,omitempty"`
}

func (c *Counts) add(r *muster.Result) {
	c.Ledger.Add(r)
	if r.Outcome.Answered() {
		bump(&c.Codes, r.Code, otherCode)
	}
	if r.Reason != "" {
		bump(&c.Reasons, r.Reason, otherReason)
	}
}

func bump[K comparable](m *map[K]int, key, other K) {
	if *m == nil {
		*m = map[K]int{}
	}
	if _, ok := (*m)[key]; !ok && len(*m) >= maxTally {
		key = other
	}
	(*m)[key]++
}

func (c *Counts) clone() Counts {
	d := *c
	d.Codes, d.Reasons = maps.Clone(c.Codes), maps.Clone(c.Reasons)
	return d
}

func (c *Counts) encode() (string, error) {
	b, err := json.Marshal(tally{c.Ledger.ByOutcome[:], c.Ledger.ByFailure[:], c.Codes, c.Reasons})
	return string(b), err
}

func decodeCounts(text string, targets int) (Counts, error) {
	var t tally
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return Counts{}, err
	}
	c := Counts{Codes: t.Codes, Reasons: t.Reasons}
	c.Ledger.Targets = targets
	if len(t.Outcomes) > len(c.Ledger.ByOutcome) || len(t.Failures) > len(c.Ledger.ByFailure) {
		return Counts{}, errCorrupt
	}
	copy(c.Ledger.ByOutcome[:], t.Outcomes)
	copy(c.Ledger.ByFailure[:], t.Failures)
	return c, nil
}
