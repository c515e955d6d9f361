package sink

import (
	"encoding/base64"
	"io"
	"iter"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/rollup"
)

// SummarySchema is the version of the document that [Summary.Write] writes.
const SummarySchema = 1

// Summary is the account of a job as --json shows it. Use [NewSummary], or fill it in; it
// can be read back with encoding/json.
type Summary struct {
	Schema     int            `json:"schema"`
	Job        JobInfo        `json:"job"`
	Ledger     muster.Ledger  `json:"ledger"`
	Failures   map[string]int `json:"failures"`
	Duplicates int            `json:"duplicates"`
	Groups     []Group        `json:"groups"`
	// Numbers summarise numeric fields; left out when there are none.
	Numbers []Number `json:"numbers,omitempty"`
	// Slowest lists the slowest targets, the slowest first; left out when there are none.
	Slowest []Slow `json:"slowest,omitempty"`
}

// JobInfo is the job in a [Summary]. Times that have not come are null.
type JobInfo struct {
	ID       string          `json:"id"`
	State    muster.JobState `json:"state"`
	Started  time.Time       `json:"started"`
	Finished time.Time       `json:"finished"`
	// Reason is the user's own note of why the job was run (--reason), "" when there is none.
	Reason string `json:"reason"`
	// Why says what ended the job early: "error budget", "canary", "deadline", "interrupted"; left out
	// when nothing did.
	Why string `json:"why,omitempty"`
}

// Group is one group of a rollup.
type Group struct {
	By    string `json:"by"`
	Key   string `json:"key"`
	Count int    `json:"count"`
	Nodes string `json:"nodes"` // folded
	// Sample is the body that the members of a group by body share; nil in others. It is
	// "sample" in the document, or "sample_b64" when it is not UTF-8.
	Sample []byte `json:"-"`
}

// Number summarises one numeric field, or "ms".
type Number struct {
	Name string `json:"name"`
	rollup.Stats
}

// Slow is one of the slowest targets.
type Slow struct {
	Target string  `json:"target"`
	Index  int     `json:"index"`
	MS     float64 `json:"ms"`
}

// NewSummary returns the account of j without groups.
func NewSummary(j *muster.Job) *Summary {
	return &Summary{
		Schema:     SummarySchema,
		Job:        JobInfo{ID: j.ID, State: j.State, Started: j.Started, Finished: j.Finished, Reason: j.Spec.Reason, Why: j.Why},
		Ledger:     j.Ledger,
		Failures:   j.Ledger.FailureCounts(),
		Duplicates: j.Duplicates,
	}
}

// Groups yields the groups of t with their whole folded node sets, largest first. Each
// is folded when its turn comes, so that only one set is in memory.
func Groups(t *rollup.Table, list muster.List) iter.Seq[Group] {
	return func(yield func(Group) bool) {
		for _, g := range t.Groups() {
			if !yield(Group{By: g.By, Key: g.Key, Count: g.Count, Nodes: g.Nodes(list, 0), Sample: g.Sample}) {
				return
			}
		}
	}
}

// Write writes s as one document on one line, with groups behind s.Groups; groups may be
// nil. Errors are those of sinks: named, or [ErrClosedPipe].
func (s *Summary) Write(w io.Writer, groups iter.Seq[Group]) error {
	return s.write(w, "{", groups)
}

// AppendSummary appends the document to dst, without a newline.
func AppendSummary(dst []byte, s *Summary) []byte {
	dst = s.appendHead(append(dst, '{'))
	for i := range s.Groups {
		dst = appendGroup(appendComma(dst, i), &s.Groups[i])
	}
	return s.appendTail(dst)
}

// flushAt is how much of a document is gathered before it is written.
const flushAt = 64 << 10

func (s *Summary) write(w io.Writer, open string, groups iter.Seq[Group]) error {
	var out output
	buf, n := s.appendHead([]byte(open)), 0
	add := func(g Group) bool {
		buf = appendGroup(appendComma(buf, n), &g)
		n++
		if len(buf) >= flushAt {
			out.write(w, buf) // kept in out
			buf = buf[:0]
		}
		return out.err == nil
	}
	all := slices.Values(s.Groups)
	all(add)
	if groups != nil && out.err == nil {
		groups(add)
	}
	return out.write(w, append(s.appendTail(buf), '\n'))
}

func (s *Summary) appendHead(dst []byte) []byte {
	dst = append(dst, `"schema":`...)
	dst = strconv.AppendInt(dst, int64(s.Schema), 10)
	dst = append(dst, `,"job":{"id":`...)
	dst = appendString(dst, s.Job.ID)
	dst = appendString(append(dst, `,"state":`...), string(s.Job.State))
	dst = appendTime(append(dst, `,"started":`...), s.Job.Started)
	dst = appendTime(append(dst, `,"finished":`...), s.Job.Finished)
	dst = appendString(append(dst, `,"reason":`...), s.Job.Reason)
	if s.Job.Why != "" {
		dst = appendString(append(dst, `,"why":`...), s.Job.Why)
	}
	dst = appendLedger(append(dst, `},"ledger":`...), &s.Ledger)
	dst = append(dst, `,"failures":{`...)
	n := 0
	for _, f := range muster.Failures() {
		if count := s.Failures[f.String()]; count > 0 {
			dst = append(appendString(appendComma(dst, n), f.String()), ':')
			dst = strconv.AppendInt(dst, int64(count), 10)
			n++
		}
	}
	dst = append(dst, `},"duplicates":`...)
	dst = strconv.AppendInt(dst, int64(s.Duplicates), 10)
	return append(dst, `,"groups":[`...)
}

func (s *Summary) appendTail(dst []byte) []byte {
	dst = append(dst, ']')
	for i := range s.Numbers {
		dst = append(dst, [...]string{`,"numbers":[`, `,`}[min(i, 1)]...)
		dst = appendStats(dst, &s.Numbers[i])
	}
	if len(s.Numbers) > 0 {
		dst = append(dst, ']')
	}
	for i, slow := range s.Slowest {
		dst = append(dst, [...]string{`,"slowest":[`, `,`}[min(i, 1)]...)
		dst = appendString(append(dst, `{"target":`...), slow.Target)
		dst = strconv.AppendInt(append(dst, `,"index":`...), int64(slow.Index), 10)
		dst = append(appendNumber(append(dst, `,"ms":`...), slow.MS), '}')
	}
	if len(s.Slowest) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendComma(dst []byte, i int) []byte {
	if i == 0 {
		return dst
	}
	return append(dst, ',')
}

func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, "null"...)
	}
	return append(t.UTC().AppendFormat(append(dst, '"'), timeLayout), '"')
}

func appendLedger(dst []byte, l *muster.Ledger) []byte {
	dst = strconv.AppendInt(append(dst, `{"targets":`...), int64(l.Targets), 10)
	for _, o := range muster.Outcomes() {
		dst = append(appendString(append(dst, ','), o.String()), ':')
		dst = strconv.AppendInt(dst, int64(l.Count(o)), 10)
	}
	return append(dst, '}')
}

func appendGroup(dst []byte, g *Group) []byte {
	dst = appendString(append(dst, `{"by":`...), g.By)
	dst = appendString(append(dst, `,"key":`...), g.Key)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(g.Count), 10)
	dst = appendString(append(dst, `,"nodes":`...), g.Nodes)
	switch {
	case g.Sample == nil:
	case utf8.Valid(g.Sample):
		dst = appendString(append(dst, `,"sample":`...), g.Sample)
	default:
		dst = base64.StdEncoding.AppendEncode(append(dst, `,"sample_b64":"`...), g.Sample)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

func appendStats(dst []byte, n *Number) []byte {
	dst = appendString(append(dst, `{"name":`...), n.Name)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(n.Count), 10)
	for _, v := range [...]struct {
		name  string
		value float64
	}{
		{"min", n.Min}, {"median", n.Median}, {"p90", n.P90}, {"p99", n.P99}, {"max", n.Max}, {"mean", n.Mean},
	} {
		dst = append(append(append(dst, `,"`...), v.name...), `":`...)
		dst = appendNumber(dst, v.value)
	}
	return append(dst, '}')
}
