package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/probe"
)

// asyncFlags are the flags of a job that an HTTP request starts and that is polled until it is done.
type asyncFlags struct {
	submit, jobID, poll, method, until, failWhen, progress string
	interval, stuckAfter, requestTimeout                   time.Duration
	maxErrors                                              int
}

func (f *asyncFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.submit, "submit", "", "the request that starts the job: `'METHOD PATH'`, or as the arguments (default POST)")
	fs.StringVar(&f.jobID, "job-id", "", "take the job's id from its answer: a `RULE` as of --extract, json:$.id, header:Location")
	fs.StringVar(&f.poll, "poll", "", "then ask this `PATH`: '/status/{{.job}}', or '{{.job}}' for a Location")
	fs.StringVar(&f.method, "poll-method", "GET", "by this `METHOD`")
	fs.StringVar(&f.until, "until", "", "`CONDITION` that means success: 'json.progress == 100'")
	fs.StringVar(&f.failWhen, "fail-when", "", "`CONDITION` that means failure: 'json.error != nil'")
	fs.StringVar(&f.progress, "progress", "", "take the progress from an answer: a `RULE` as of --extract, json:$.progress")
	fs.DurationVar(&f.interval, "poll-interval", probe.DefaultPollInterval, "mean pause before a poll")
	fs.DurationVar(&f.stuckAfter, "stuck-after", 0, "give up when the progress stays the same for so long (0: never)")
	fs.IntVar(&f.maxErrors, "max-poll-errors", probe.DefaultPollErrors, "give up when more than `N` polls in a row fail")
	fs.DurationVar(&f.requestTimeout, "request-timeout", muster.DefaultTimeout, fmt.Sprintf("bound of each request; --timeout, then %v, is that of the job", probe.DefaultJobTimeout))
}

// wanted reports whether there is a job to poll.
func (f *asyncFlags) wanted() bool {
	return f.submit != "" || f.jobID != "" || f.poll != "" || f.until != ""
}

// validate names what is missing, and what makes no sense without a job.
func (f *asyncFlags) validate(fs *pflag.FlagSet) error {
	if !f.wanted() {
		for _, name := range []string{"poll-method", "fail-when", "progress", "poll-interval", "stuck-after", "max-poll-errors", "request-timeout"} {
			if fs.Changed(name) {
				return usageError{fmt.Errorf("--%s: it needs a job: --job-id, --poll and --until", name)}
			}
		}
		return nil
	}
	var missing []string
	for _, need := range []struct{ flag, value string }{{"--job-id", f.jobID}, {"--poll", f.poll}, {"--until", f.until}} {
		if need.value == "" {
			missing = append(missing, need.flag)
		}
	}
	if len(missing) > 0 {
		return usageError{fmt.Errorf("a job is polled with --job-id RULE, --poll PATH and --until CONDITION: %s is missing", strings.Join(missing, ", "))}
	}
	return nil
}

// request returns the arguments that name the request which starts the job.
func (f *asyncFlags) request(args []string) ([]string, error) {
	if f.submit == "" {
		return args, nil
	}
	if len(args) > 0 {
		return nil, usageError{fmt.Errorf("--submit %q and %s: name the request once", f.submit, strings.Join(args, " "))}
	}
	words := strings.Fields(f.submit)
	if len(words) > 2 {
		return nil, usageError{fmt.Errorf("--submit %q: want METHOD PATH", f.submit)}
	}
	return words, nil
}

// action compiles the flags and the request that starts the job.
func (f *asyncFlags) action(r *request, submit *probe.HTTP) (muster.Action, error) {
	a := probe.Async{
		Submit: *submit, JobID: f.jobID, Poll: f.poll, PollMethod: f.method, Until: f.until, FailWhen: f.failWhen, Progress: f.progress,
		PollInterval: muster.Duration(f.interval), StuckAfter: muster.Duration(f.stuckAfter),
		RequestTimeout: muster.Duration(f.requestTimeout), MaxPollErrors: &f.maxErrors,
	}
	if err := a.Validate(); err != nil {
		return muster.Action{}, usageError{err}
	}
	if !r.cmd.Flags().Changed("timeout") {
		r.plan.timeout = probe.DefaultJobTimeout
	}
	with, err := json.Marshal(a)
	return muster.Action{Probe: "async", With: with, Expect: r.expect}, err
}
