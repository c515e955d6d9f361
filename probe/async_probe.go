package probe

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
)

// Probe submits a job to t and polls it until its end.
func (p *asyncProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	j := remoteJob{p: p, target: t, started: time.Now(), seed: maphash.MakeSeed()}
	timed, stop := context.WithTimeout(ctx, p.env.Timeout)
	r := j.run(ctx, timed)
	stop()
	r.Started = j.started
	r.Timings.Total = time.Since(j.started)
	r.Sent = r.Sent || j.id != ""
	if j.id != "" {
		r.Fields = append(j.fields(), muster.Field{Name: historyField, Value: j.history.text()})
	}
	if p.env.DiscardBody {
		r.Body = nil
	}
	return r
}

// remoteJob is one job of one target.
type remoteJob struct {
	p       *asyncProber
	target  muster.Target
	started time.Time
	seed    maphash.Seed

	id       string
	polls    int
	failed   int // polls in a row
	progress any
	body     uint64    // hash of the last answer's
	moved    time.Time // when progress last changed
	history  jobHistory
	trouble  error // of the conditions, the last
}

// run submits and polls. ctx is the caller's, timed ends when the job's time is over, too.
func (j *remoteJob) run(ctx, timed context.Context) muster.Result {
	r := j.request(ctx, timed, j.p.submit, j.target)
	if r.Outcome != muster.OK {
		return r
	}
	if err := j.identify(&r); err != nil {
		fail(&r, err)
		return r
	}
	j.moved = time.Now()
	target := withJob(&j.target, j.id)
	for {
		if !j.pause(timed) {
			if !cancel(ctx, &r) {
				j.late(&r)
			}
			return r
		}
		last := r
		r = j.request(ctx, timed, j.p.poll, target)
		if !r.Outcome.Answered() { // the last answer is what there is to show
			r.Body, r.Status, r.Code, r.Header = last.Body, last.Status, last.Code, last.Header
		}
		if j.settled(&r) {
			return r
		}
	}
}

// request does one request. One that the job's end cut off ends as such, not as canceled.
func (j *remoteJob) request(ctx, timed context.Context, p *httpProber, t muster.Target) muster.Result {
	r := p.Probe(timed, t)
	if r.Outcome == muster.Canceled && ctx.Err() == nil {
		j.late(&r)
	}
	return r
}

// late makes r the end of a job that took too long.
func (j *remoteJob) late(r *muster.Result) {
	failIn(r, context.DeadlineExceeded, dial.PhaseExchange)
	r.Transient = false
	r.Detail = fmt.Sprintf("the job is not done after %v%s", j.p.env.Timeout, j.state())
	if j.id == "" {
		r.Detail = fmt.Sprintf("the job was not submitted within %v", j.p.env.Timeout)
	}
}

// state says how far the job is known to be.
func (j *remoteJob) state() string {
	var b strings.Builder
	if j.id != "" {
		b.WriteString(": job " + quoteShort(j.id))
	}
	if j.p.progress != nil && j.progress != nil {
		fmt.Fprintf(&b, ", progress %s", quoteShort(fmt.Sprint(j.progress)))
	}
	if j.trouble != nil {
		b.WriteString("; " + j.trouble.Error())
	}
	return b.String()
}

func quoteShort(s string) string {
	if len(s) <= maxQuote && strconv.Quote(s) == `"`+s+`"` {
		return s
	}
	return strconv.Quote(s[:min(len(s), maxQuote)])
}

// identify takes the job's id from the answer to the submission.
func (j *remoteJob) identify(r *muster.Result) error {
	j.p.jobID.Apply(&j.target, r)
	id := ""
	if v, ok := r.Field(jobField); ok {
		switch v := v.(type) {
		case string:
			id = v
		case float64:
			id = strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	r.Fields = nil
	if id == "" {
		return &fault{muster.FailProtocol, "no job id", fmt.Sprintf("%s finds no job id in the answer: %q", j.p.spec.JobID, r.Body[:min(len(r.Body), 3*maxQuote)]), false}
	}
	return j.name(id)
}

// name takes the id over. One that is a URL becomes its path: polls go where the submission went.
func (j *remoteJob) name(id string) error {
	lower := strings.ToLower(id)
	if strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") {
		parts, err := splitURL(id)
		if err != nil {
			return unusable(id, err)
		}
		id = parts.path
	}
	if err := j.reachable(id); err != nil {
		return unusable(id, err)
	}
	j.id = id
	return nil
}

func unusable(id string, err error) error {
	return &fault{muster.FailProtocol, "unusable job id", fmt.Sprintf("job id %s: %v", quoteShort(id), err), false}
}

// reachable reports why an id cannot be asked for. It must not lead the polls, and the login that goes with them, to
// another server.
func (j *remoteJob) reachable(id string) error {
	var meant, got request
	shown, target := withJob(&j.target, j.p.shownJob()), withJob(&j.target, id)
	if d := j.p.poll.locate(&meant, &shown, false); d != nil {
		return d.err
	}
	if d := j.p.poll.build(&got, &target, false); d != nil {
		return d.err
	}
	if got.https != meant.https || got.port != meant.port || !strings.EqualFold(got.host, meant.host) {
		return errors.New("it leads to another server")
	}
	return nil
}

// pause waits for the next poll, a tenth more or less, so that jobs that were submitted together spread. It reports
// false when ctx ends first.
func (j *remoteJob) pause(ctx context.Context) bool {
	d := j.p.interval
	d += time.Duration((rand.Float64() - 0.5) / 5 * float64(d))
	if left := j.stuckIn(); left > 0 {
		d = min(d, left)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stuckIn returns how long the progress may still stay as it is; 0 when there is no limit.
func (j *remoteJob) stuckIn() time.Duration {
	if j.p.spec.StuckAfter == 0 {
		return 0
	}
	return max(time.Duration(j.p.spec.StuckAfter)-time.Since(j.moved), time.Nanosecond)
}

// settled judges what a poll brought, and reports whether it ends the job.
func (j *remoteJob) settled(r *muster.Result) bool {
	j.polls++
	answered := r.Outcome.Answered() && r.Code < 500 // a server in trouble says nothing of the job
	if answered {
		j.advance(r)
		if j.decided(r) {
			return true
		}
	}
	switch {
	case r.Outcome == muster.Canceled, r.Outcome == muster.Denied, r.Outcome == muster.Invalid, j.timeOver(r):
		return true
	case answered:
		j.failed = 0
	case j.failed == j.p.errors:
		j.history.add(time.Since(j.started), nil, r.Reason)
		j.broken(r)
		return true
	default:
		j.failed++
		j.history.add(time.Since(j.started), nil, r.Reason)
	}
	if d := time.Duration(j.p.spec.StuckAfter); d > 0 && time.Since(j.moved) >= d {
		fail(r, &fault{muster.FailTimeout, "stuck", fmt.Sprintf("no progress for %v%s", d, j.state()), false})
		return true
	}
	return false
}

// timeOver reports whether r is the end that late made, not a poll's own timeout.
func (j *remoteJob) timeOver(r *muster.Result) bool {
	return r.Failure == muster.FailTimeout && time.Since(j.started) >= j.p.env.Timeout
}

// broken makes r the end of a job that could not be asked for any more.
func (j *remoteJob) broken(r *muster.Result) {
	if r.Outcome == muster.Unexpected {
		r.Outcome, r.Failure = muster.Failed, muster.FailProtocol
	}
	r.Reason = "poll: " + r.Reason
	r.Detail = strings.TrimSuffix(fmt.Sprintf("%d polls in a row failed%s: %s", j.failed+1, j.state(), r.Detail), ": ")
	r.Transient = false
}

// advance takes the progress from an answer.
func (j *remoteJob) advance(r *muster.Result) {
	before := j.progress
	if j.p.progress == nil {
		sum := maphash.Bytes(j.seed, r.Body)
		if j.polls == 1 || sum != j.body {
			j.moved = time.Now()
		}
		j.body = sum
	} else {
		j.p.progress.Apply(&j.target, r)
		v, _ := r.Field(progressField)
		if r.Fields = nil; v != nil {
			j.progress = v
		}
		if j.progress != before {
			j.moved = time.Now()
		}
	}
	j.history.add(time.Since(j.started), j.progress, "")
}

// decided holds the conditions against an answer.
func (j *remoteJob) decided(r *muster.Result) bool {
	r.Target, r.Fields = j.target.ID, j.fields()
	bad := j.p.failWhen != nil && j.holds(j.p.failWhen.Match(&j.target, r))
	good := !bad && j.holds(j.p.until.Match(&j.target, r))
	r.Fields = nil
	switch {
	case bad:
		r.Outcome, r.Failure, r.Reason = muster.Unexpected, muster.NoFailure, "job failed"
	case good:
		r.Outcome, r.Failure, r.Reason, r.Detail = muster.OK, muster.NoFailure, "", ""
	case r.Code != 401 && r.Code != 403:
		return false
	}
	r.Transient, r.Pushback = false, false
	return true
}

// holds keeps the error of a condition for the day on which nothing else explains the end.
func (j *remoteJob) holds(ok bool, err error) bool {
	if err != nil {
		j.trouble = err
	}
	return ok && err == nil
}

// fields are what is known of the job; progress is nil without a rule.
func (j *remoteJob) fields() []muster.Field {
	return []muster.Field{{Name: jobField, Value: j.id}, {Name: pollsField, Value: float64(j.polls)}, {Name: progressField, Value: j.progress}}
}
