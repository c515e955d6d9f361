package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/extract"
	"github.com/musterhq/muster/internal/execute"
	"github.com/musterhq/muster/inventory"
)

// confirmAbove is how many targets a job that must not be repeated may have before a
// person at a terminal is asked.
const confirmAbove = 1000

// request is one command line of muster run, as flags.
type request struct {
	targets targetFlags
	plan    planFlags
	output  outputFlags
	save    saveFlags
	saved   savedFlags
	cmd     *cobra.Command
	also    []flagGroup // of the kind, after its own
	expect  string
	extract []string
	reason  string
}

// flagGroup is a heading of a command's help, and what adds the flags below it.
type flagGroup struct {
	title string
	add   func(*pflag.FlagSet)
}

// add gives the command its flags; those of its own kind of action stand after the targets.
func (r *request) add(cmd *cobra.Command, kind string, action func(*pflag.FlagSet)) {
	r.cmd = cmd
	var help sections
	help.add(cmd, "Targets", r.targets.add)
	help.add(cmd, kind, action)
	for _, g := range r.also {
		help.add(cmd, g.title, g.add)
	}
	help.add(cmd, "What is ok, what is taken from the answer", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.expect, "expect", "", "`CONDITION` that makes an answer ok: 'status == 200 && json.healthy'")
		fs.StringArrayVar(&r.extract, "extract", nil, "take a field from the answer: `NAME=RULE` with re:…, json:$…, header:…, status, ms, expr:…")
	})
	help.add(cmd, "How the work is spread", r.plan.add)
	help.add(cmd, "What is shown", r.output.add)
	help.add(cmd, "What is kept", func(fs *pflag.FlagSet) {
		r.keep(fs)
		r.saved.add(fs)
	})
}

func (r *request) keep(fs *pflag.FlagSet) {
	r.save.add(fs)
	fs.StringVar(&r.reason, "reason", "", "`TEXT` that is kept with the run")
}

func (p *Program) runCommand() *cobra.Command {
	cmd := p.runSavedCommand()
	cmd.AddCommand(p.runExecCommand())
	cmd.AddCommand(p.runGRPCCommand())
	cmd.AddCommand(p.runHTTPCommand())
	cmd.AddCommand(p.runPingCommand())
	cmd.AddCommand(p.runModuleCommand())
	cmd.AddCommand(p.runTCPCommand())
	cmd.AddCommand(p.runUDPCommand())
	cmd.AddCommand(p.runDNSCommand())
	cmd.AddCommand(p.runTLSCommand())
	cmd.AddCommand(p.runWSCommand())
	cmd.AddCommand(p.runSSHCommand())
	return cmd
}

const exitHelp = `Exit codes: 0 all ok · 1 usage or internal error, or results that could not be stored ·
2 some target not ok · 3 no target answered · 5 stopped by error budget or canary ·
6 all denied by policy · 130 interrupted.`

func (p *Program) runHTTPCommand() *cobra.Command {
	r, h := &request{targets: targetFlags{urls: true}}, &httpFlags{}
	cmd := &cobra.Command{
		Use:   "http [METHOD] PATH|URL",
		Short: "Send an HTTP request to every target",
		Long: `Sends one HTTP request to every target. A path is applied to the targets of -w, -g and
--hostfile; a full URL alone is its own target. URL, headers, body and every other
parameter may hold templates such as {{.id}}, {{.host}}, {{.port}}, {{.rack}} over a
target's id, address, labels and variables.

An answer with a status below 400 is ok unless --expect says otherwise.

With --job-id, --poll and --until the request starts a job, which is polled until it is done: the
job is one attempt, ok when --until holds, unexpected when --fail-when does, and failed
when it gets stuck or cannot be asked for. Its id, progress and history are fields.

` + exitHelp,
		Example: `  muster run http GET /status -w 'web[01-40]:8080' -b
  muster run http GET /version -w 10.0.0.0/20 --port 9100 --extract v=json:$.version --group-by v
  muster run http POST /reload -w @last:failed --canary 1% --max-errors 5
  muster run http https://example.com/ --expect 'status == 200 && ms < 300'
  muster run http GET '/users/{{.id}}' --each users.csv -w api.example.com -f 20
  muster run http POST /jobs -w @build --job-id json:$.id --poll '/jobs/{{.job}}' --until 'json.state == "done"' \
      --fail-when 'json.state == "error"' --progress json:$.percent --stuck-after 2m`,
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.runHTTP(cmd.Context(), r, h, args)
		},
	}
	r.also = []flagGroup{{"A job that the request starts", h.async.add}}
	r.add(cmd, "HTTP request", h.add)
	return cmd
}

func (p *Program) runHTTP(ctx context.Context, r *request, h *httpFlags, args []string) error {
	if err := h.async.validate(r.cmd.Flags()); err != nil {
		return err
	}
	args, err := h.async.request(args)
	if err != nil {
		return err
	}
	method, action, base, err := splitAction(args, r.targets.given())
	if err != nil {
		return err
	}
	spec, err := p.httpSpec(h, method, action)
	if err != nil {
		return err
	}
	if h.async.wanted() {
		job, err := h.async.action(r, spec)
		if err != nil {
			return err
		}
		return p.run(ctx, r, base, job)
	}
	with, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return p.run(ctx, r, base, muster.Action{Probe: "http", With: with, Expect: r.expect})
}

// run does what all kinds of actions have in common: compile, freeze, check, run.
func (p *Program) run(ctx context.Context, r *request, base string, action muster.Action) error {
	spec, err := r.spec(action)
	if err != nil {
		return err
	}
	if r.saved.wanted() {
		return p.writeCompiled(r, spec.Action)
	}
	return p.runSpec(ctx, r, spec, base)
}

// runList runs a spec over its frozen list.
func (p *Program) runList(ctx context.Context, r *request, spec muster.JobSpec, list *inventory.Frozen, dialer *dial.Dialer) error {
	work, err := execute.Compile(spec, execute.Surroundings{
		Secret: p.secret, Dialer: dialer, FewHosts: list.FewHosts(), AcceptedHosts: filepath.Join(p.stateDir(), "known_hosts"),
		DiscardBodies: r.save.noSave && !r.output.wantsBodies(),
	})
	if err != nil {
		return usageError{err}
	}
	defer work.Close()
	if r.plan.dryRun {
		return p.dryRun(work, list)
	}
	if r.plan.check {
		if err := p.checkAll(ctx, work, list); err != nil {
			return err
		}
	}
	if err := p.confirm(r, work, list); err != nil {
		return err
	}
	s := &session{p: p, req: r, spec: spec, work: work, list: list, duplicates: list.Duplicates()}
	return s.run(ctx)
}

func (r *request) spec(action muster.Action) (muster.JobSpec, error) {
	spec := muster.JobSpec{Schema: muster.SpecVersion, Action: action, Reason: r.reason, SaveBodies: muster.SaveBodies(r.save.bodies)}
	r.plan.seed = r.targets.seed
	var err error
	if spec.Plan, err = r.plan.plan(); err != nil {
		return spec, err
	}
	for _, text := range r.extract {
		e, err := extract.ParseExtract(text)
		if err != nil {
			return spec, usageError{fmt.Errorf("--extract %q: %w", text, err)}
		}
		spec.Action.Extract = append(spec.Action.Extract, e)
	}
	return spec, r.save.validate()
}

func (p *Program) freeze(ctx context.Context, r *request, base string, d *dial.Dialer) (*inventory.Frozen, error) {
	q, err := p.query(&r.targets, base, d)
	if err != nil {
		return nil, err
	}
	past := &pastRuns{p: p}
	defer past.close()
	q.Runs = past.find
	list, err := inventory.Freeze(ctx, q)
	if err != nil {
		return nil, usageError{err}
	}
	return list, nil
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func newJob(spec muster.JobSpec, list muster.List, command string, now time.Time) muster.Job {
	return muster.Job{
		ID: muster.NewJobID(now), State: muster.StateRunning, Created: now.UTC(), Started: now.UTC(),
		User: userName(), Command: command, Spec: spec, Ledger: muster.Ledger{Targets: list.Len()},
	}
}
