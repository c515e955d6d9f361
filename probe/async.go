package probe

import (
	"errors"
	"fmt"
	"time"

	"github.com/musterhq/muster"
)

// The defaults of a zero [Async].
const (
	// DefaultJobTimeout bounds one remote job, from its submission to its end.
	DefaultJobTimeout = 10 * time.Minute
	// DefaultPollInterval is the mean pause between two polls.
	DefaultPollInterval = 2 * time.Second
	// DefaultPollErrors is how many polls in a row may fail.
	DefaultPollErrors = 5
)

// Async starts a job through an API of each target and polls it until it is done: POST /jobs, then GET
// /jobs/17 every two seconds. The whole job is one attempt, which the action's timeout bounds
// (DefaultJobTimeout unless it says otherwise). The submission is never sent twice.
//
// It is ok when Until holds for the answer to a poll. It is unexpected
//
//   - with the reason "status 401" when the submission is answered by a status of 400 or above, or a poll by 401 or 403,
//   - with the reason "job failed" when FailWhen holds, which is asked first,
//
// and fails
//
//   - as protocol, "no job id", when JobID finds nothing in the answer to the submission,
//   - as timeout, "stuck", when the progress does not change for StuckAfter, or when time is over,
//   - as the last one did when more than MaxPollErrors polls in a row fail: by no answer, or a status of 500 or above,
//     which neither condition is held against.
//
// Body, status and code are those of the last answer. The probe's own fields are job (the id), polls (how many),
// progress (the last one), and history: a JSON array of [milliseconds since the
// submission, progress] for each poll, with the reason behind the null of one that failed; a long history is
// thinned out evenly.
type Async struct {
	// Submit starts the job; "" as its method is POST. Its address, header, login and TLS are those of the polls, too.
	Submit HTTP `json:"submit,omitzero"`
	// JobID is the rule of package extract that takes the job's id from the answer: "json:$.id",
	// "header:Location", "re:/status/([^\"]+)".
	JobID string `json:"job_id"`
	// Poll is the path to ask, a template in which {{.job}} is the id: "/status/{{.job}}". A job id that is a URL counts
	// as its path, for which "{{.job}}" alone asks: polls go where the submission went.
	Poll string `json:"poll"`
	// PollMethod is the method; "" is GET.
	PollMethod string `json:"poll_method,omitempty"`
	// Until is the condition (package extract) on the answer to a poll that means success. It may name job, polls and progress.
	Until string `json:"until"`
	// FailWhen is the condition that means failure; "" is none.
	FailWhen string `json:"fail_when,omitempty"`
	// Progress is the rule that takes the progress from the answer to a poll; with "" any change of the body is one.
	Progress string `json:"progress,omitempty"`
	// PollInterval is the mean pause before a poll; 0 is DefaultPollInterval.
	PollInterval muster.Duration `json:"poll_interval,omitempty"`
	// StuckAfter is how long the progress may stay the same; 0 is for ever.
	StuckAfter muster.Duration `json:"stuck_after,omitempty"`
	// MaxPollErrors is how many polls in a row may fail; nil is DefaultPollErrors.
	MaxPollErrors *int `json:"max_poll_errors,omitempty"`
	// RequestTimeout bounds the submission and each poll; 0 is muster.DefaultTimeout.
	RequestTimeout muster.Duration `json:"request_timeout,omitempty"`
}

var _ Traited = Async{}

// The probe's own fields.
const (
	jobField      = "job"
	pollsField    = "polls"
	progressField = "progress"
	historyField  = "history"
)

// Traits says that jobs take long.
func (a Async) Traits() Traits {
	return Traits{Timeout: DefaultJobTimeout, Fields: []string{jobField, pollsField, progressField, historyField}}
}

// Safe reports false: every submission is another job.
func (a Async) Safe() bool { return false }

// Validate reports every problem at once. It neither reads files nor parses templates, rules and
// conditions, which Prober does.
func (a Async) Validate() error {
	var p problems
	if err := a.submit().Validate(); err != nil {
		p.add(fmt.Errorf("submit: %w", err))
	}
	p.addIf(a.JobID == "", "job_id: want the rule that takes the job's id from the answer, such as json:$.id")
	p.addIf(a.Poll == "", "poll: want the path to ask, such as /status/{{.job}}")
	p.addIf(a.Until == "", "until: want the condition that means success, such as 'json.state == \"done\"'")
	if err := a.poll().Validate(); err != nil && a.Poll != "" {
		p.add(fmt.Errorf("poll: %w", err))
	}
	p.addIf(a.PollInterval < 0, "poll_interval %v: want a positive duration", a.PollInterval)
	p.addIf(a.StuckAfter < 0, "stuck_after %v: want a positive duration", a.StuckAfter)
	p.addIf(a.RequestTimeout < 0, "request_timeout %v: want a positive duration", a.RequestTimeout)
	p.addIf(a.MaxPollErrors != nil && *a.MaxPollErrors < 0, "max_poll_errors: want 0 or more")
	return errors.Join(p...)
}

// submit is the request that starts the job.
func (a *Async) submit() HTTP {
	h := a.Submit
	if h.Method == "" {
		h.Method = "POST"
	}
	return h
}

// poll is the request that asks for it.
func (a *Async) poll() HTTP {
	h := a.Submit
	h.Method, h.URL = a.PollMethod, a.Poll
	h.Body, h.BodyFile, h.BodyRaw, h.Form = "", "", false, nil
	return h
}

// Prober compiles the spec. Files and secrets that it refers to are read now.
func (a Async) Prober(env Env) (muster.Prober, error) { return compileAsync(a, env) }
