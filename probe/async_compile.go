package probe

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/extract"
)

// asyncProber is a compiled [Async]. It is immutable but for the pools of its requests.
type asyncProber struct {
	env      Env
	spec     Async
	submit   *httpProber
	poll     *httpProber
	jobID    *extract.Judge
	progress *extract.Judge // nil: the body
	until    *extract.Filter
	failWhen *extract.Filter // nil: none
	interval time.Duration
	errors   int // in a row that are borne
}

var _ interface {
	muster.Prober
	Checker
	Previewer
} = (*asyncProber)(nil)

func compileAsync(a Async, env Env) (*asyncProber, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	env.Timeout = cmp.Or(env.Timeout, DefaultJobTimeout)
	p := &asyncProber{
		env: env.withDefaults(false), spec: a,
		interval: cmp.Or(time.Duration(a.PollInterval), DefaultPollInterval), errors: DefaultPollErrors,
	}
	if a.MaxPollErrors != nil {
		p.errors = *a.MaxPollErrors
	}
	if err := errors.Join(p.conditions()...); err != nil {
		return nil, err
	}
	return p, p.requests()
}

// conditions compiles what is said about answers.
func (p *asyncProber) conditions() (errs []error) {
	rule := func(name, text string) *extract.Judge {
		j, err := extract.Compile(muster.Action{Extract: []muster.Extract{{Name: name, Rule: text}}})
		errs = append(errs, err)
		return j
	}
	condition := func(name, text string) *extract.Filter {
		f, err := extract.CompileFilter(text, jobField, pollsField, progressField)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return f
	}
	p.jobID = rule(jobField, p.spec.JobID)
	if p.spec.Progress != "" {
		p.progress = rule(progressField, p.spec.Progress)
	}
	p.until = condition("until", p.spec.Until)
	if p.spec.FailWhen != "" {
		p.failWhen = condition("fail_when", p.spec.FailWhen)
	}
	return errs
}

// requests compiles the two requests. The limits of one are not those of the job.
func (p *asyncProber) requests() error {
	env := p.env
	env.Timeout = cmp.Or(time.Duration(p.spec.RequestTimeout), muster.DefaultTimeout)
	env.DiscardBody = false
	env.Repeat = muster.RepeatNever
	env.KeepHeaders = append(p.jobID.Headers(), p.env.KeepHeaders...)
	submit, err := compileHTTP(p.spec.submit(), env)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	env.Repeat = "" // by the method
	env.KeepHeaders = append(p.until.Headers(), p.env.KeepHeaders...)
	if p.failWhen != nil {
		env.KeepHeaders = append(env.KeepHeaders, p.failWhen.Headers()...)
	}
	if p.progress != nil {
		env.KeepHeaders = append(env.KeepHeaders, p.progress.Headers()...)
	}
	poll, err := compileHTTP(p.spec.poll(), env)
	if err != nil {
		return errors.Join(fmt.Errorf("poll: %w", err), submit.Close())
	}
	p.submit, p.poll = submit, poll
	return nil
}

// Close ends the connections that were kept for further requests.
func (p *asyncProber) Close() error { return errors.Join(p.submit.Close(), p.poll.Close()) }

// withJob returns t with the variable job.
func withJob(t *muster.Target, id string) muster.Target {
	u := *t
	u.Vars = maps.Clone(t.Vars)
	if u.Vars == nil {
		u.Vars = map[string]string{}
	}
	u.Vars[jobField] = id
	return u
}

// shownJob stands for an id that is not known yet. It is a path where the whole URL is the id.
func (p *asyncProber) shownJob() string {
	if strings.HasPrefix(p.spec.Poll, "{{") {
		return "/JOB"
	}
	return "JOB"
}

// Check reports why t would end invalid.
func (p *asyncProber) Check(t *muster.Target) error {
	if err := p.submit.Check(t); err != nil {
		return err
	}
	u := withJob(t, p.shownJob())
	return p.poll.Check(&u)
}

// Preview returns both requests, with JOB for the id.
func (p *asyncProber) Preview(t *muster.Target) (string, error) {
	submit, err := p.submit.Preview(t)
	if err != nil {
		return "", err
	}
	u := withJob(t, p.shownJob())
	poll, err := p.poll.Preview(&u)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\n# then every %v, JOB being what %s finds, until %s\n%s", submit, p.interval, p.spec.JobID, p.spec.Until, poll), nil
}
