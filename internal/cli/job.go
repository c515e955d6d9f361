package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/store"
	"github.com/musterhq/muster/sink"
)

func (p *Program) jobCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "job",
		Short: "Look at stored runs: list, show, group again, compare, repeat, export",
		Long: `Works on stored runs. A run is named by its id, the unique start of one, "last", or
"last~2" for the second one before the last.`,
	}
	cmd.AddCommand(p.jobLs(), p.jobShow(), p.jobResults(), p.jobRollup(), p.jobDiff(), p.jobRerun(), p.jobExport(), p.jobRm())
	return cmd
}

// withStore opens the store for one command.
func (p *Program) withStore(ctx context.Context, use func(*store.Store) error) error {
	st, err := p.openStore(ctx)
	if err != nil {
		return err
	}
	defer st.Close()
	return use(st)
}

func refOf(args []string) string {
	if len(args) == 0 {
		return "last"
	}
	return args[0]
}

func (p *Program) jobLs() *cobra.Command {
	var limit int
	var asJSON bool
	var states []string
	cmd := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List stored runs, the youngest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, err := parseStates(states)
			if err != nil {
				return err
			}
			return p.withStore(cmd.Context(), func(st *store.Store) error {
				jobs, err := st.Jobs(cmd.Context(), store.Filter{Limit: limit, States: wanted})
				if err != nil {
					return err
				}
				if asJSON {
					return p.writeJSON(append([]muster.Job{}, jobs...)) // [] when there is none
				}
				return p.jobsTable(jobs)
			})
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "how many (0: all)")
	cmd.Flags().StringArrayVar(&states, "state", nil, "only runs in this `STATE`: running, done, stopped, canceled, interrupted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON array")
	return cmd
}

func parseStates(texts []string) ([]muster.JobState, error) {
	known := []muster.JobState{muster.StateRunning, muster.StateDone, muster.StateStopped, muster.StateCanceled, muster.StateInterrupted}
	var states []muster.JobState
	for _, text := range texts {
		state := muster.JobState(text)
		if !slices.Contains(known, state) {
			return nil, usageError{fmt.Errorf("--state %q: want one of %v", text, known)}
		}
		states = append(states, state)
	}
	return states, nil
}

func (p *Program) writeJSON(v any) error {
	enc := json.NewEncoder(p.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false) // commands hold & and <
	return enc.Encode(v)
}

func (p *Program) jobsTable(jobs []muster.Job) error {
	w := tabwriter.NewWriter(p.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tSTARTED\tSTATE\tTARGETS\tOK\tNOT OK\tTOOK\tCOMMAND")
	for i := range jobs {
		j := &jobs[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", j.ID, j.Started.Local().Format("2006-01-02 15:04:05"), j.State,
			j.Ledger.Targets, j.Ledger.Count(muster.OK), j.Ledger.Ended()-j.Ledger.Count(muster.OK), took(j), brief(j, 60))
	}
	return w.Flush()
}

func took(j *muster.Job) string {
	if j.Finished.IsZero() {
		return "-"
	}
	return shortDuration(j.Finished.Sub(j.Started))
}

// brief is what a run did, in few words: its reason, else its command.
func brief(j *muster.Job, width int) string {
	text := j.Command
	if j.Spec.Reason != "" {
		text = j.Spec.Reason
	}
	text = cell(text)
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}

// cell is a stored text in a table: it neither moves the cursor nor begins another cell.
func cell(s string) string { return strings.ReplaceAll(sink.Visible(s), "\t", " ") }

func (p *Program) jobShow() *cobra.Command {
	var asJSON, asAction bool
	cmd := &cobra.Command{
		Use: "show [RUN]", Short: "Show one run: what was done, how it ended", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withStore(cmd.Context(), func(st *store.Store) error {
				job, err := st.Job(cmd.Context(), refOf(args))
				if err != nil {
					return err
				}
				if asAction {
					return p.printAction(&job)
				}
				counts, err := st.Counts(cmd.Context(), job.ID)
				if err != nil {
					return err
				}
				if asJSON {
					return p.writeJSON(newJobDocument(job, &counts))
				}
				return p.showJob(&job, &counts)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	cmd.Flags().BoolVar(&asAction, "action", false, "its action as YAML, for muster run -A")
	cmd.MarkFlagsMutuallyExclusive("json", "action")
	return cmd
}

// jobDocument is the document of job show --json.
type jobDocument struct {
	muster.Job
	Codes   map[int]int    `json:"codes"`
	Reasons map[string]int `json:"reasons"`
	// NotStored counts the results that the store could not take, SpillFiles has them.
	NotStored  int      `json:"not_stored"`
	SpillFiles []string `json:"spill_files,omitempty"`
}

func newJobDocument(j muster.Job, c *store.Counts) *jobDocument {
	d := &jobDocument{Job: j, Codes: map[int]int{}, Reasons: map[string]int{}, NotStored: c.Spilled, SpillFiles: c.SpillPaths}
	maps.Copy(d.Codes, c.Codes)
	maps.Copy(d.Reasons, c.Reasons)
	return d
}

func (p *Program) showJob(j *muster.Job, c *store.Counts) error {
	w := tabwriter.NewWriter(p.Out, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", cell(name), cell(fmt.Sprintf(format, args...)))
	}
	row("run", "%s", j.ID)
	if j.Why == "" {
		row("state", "%s", j.State)
	} else {
		row("state", "%s (%s)", j.State, j.Why)
	}
	if j.Spec.Reason != "" {
		row("reason", "%s", j.Spec.Reason)
	}
	row("by", "%s", j.User)
	row("command", "%s", j.Command)
	row("targets", "%s", j.Spec.Selection)
	if j.Duplicates > 0 {
		row("duplicates", "%d dropped", j.Duplicates)
	}
	row("started", "%s", j.Started.Local().Format(time.RFC3339))
	row("took", "%s", took(j))
	row("ledger", "%s", j.Ledger.String())
	for code, n := range sorted(c.Codes) {
		if code == 0 && len(c.Codes) == 1 {
			break // what has no codes, or nothing but successes
		}
		row(fmt.Sprintf("  %d", code), "%d", n)
	}
	for reason, n := range sorted(c.Reasons) {
		row("  "+reason, "%d", n)
	}
	if c.Spilled > 0 {
		row("not in the store", "%d results, in %s", c.Spilled, strings.Join(c.SpillPaths, ", "))
	}
	return w.Flush()
}

func (p *Program) jobRm() *cobra.Command {
	return &cobra.Command{
		Use: "rm RUN…", Short: "Delete stored runs with all their results", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withStore(cmd.Context(), func(st *store.Store) error {
				return st.Delete(cmd.Context(), args...)
			})
		},
	}
}
