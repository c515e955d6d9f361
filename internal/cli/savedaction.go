package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/action"
)

// savedFlags write the action down instead of running it.
type savedFlags struct {
	print bool
	as    string
}

func (f *savedFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&f.print, "print-action", false, "print the action as YAML, send nothing")
	fs.StringVar(&f.as, "save-as", "", "save the action as a `FILE` (x.yml) or a NAME for run -A, send nothing")
}

func (f *savedFlags) wanted() bool { return f.print || f.as != "" }

// runSavedAction is muster run -A: the file's action, its plan under the flags that were given.
func (p *Program) runSavedAction(cmd *cobra.Command, r *request, name string) error {
	path, err := p.actionPath(name)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return usageError{fmt.Errorf("-A: %w", err)}
	}
	file, err := action.Parse(path, text)
	if err != nil {
		return usageError{err}
	}
	return p.runFile(cmd, r, &file)
}

// runFile runs an action with its plan, or writes it down.
func (p *Program) runFile(cmd *cobra.Command, r *request, file *action.File) error {
	spec, err := p.mergeSaved(cmd, r, file)
	if err != nil {
		return err
	}
	if r.saved.wanted() {
		return p.writeAction(r, action.File{Description: file.Description, Action: spec.Action, Plan: planOrNil(spec.Plan)})
	}
	return p.runSpec(cmd.Context(), r, spec, "")
}

// mergeSaved lays the plan of a saved action over the user's defaults, and what was given on the command
// line over both.
func (p *Program) mergeSaved(cmd *cobra.Command, r *request, file *action.File) (muster.JobSpec, error) {
	given := p.typed(cmd)
	if given("expect") || file.Expect == "" {
		file.Expect = r.expect
	}
	spec, err := r.spec(file.Action)
	if err != nil {
		return spec, err
	}
	spec.Plan = muster.Plan{}
	if err := r.override(&spec.Plan, cmd.Flags().Changed); err != nil {
		return spec, usageError{err}
	}
	if err := file.Lay(&spec.Plan); err != nil {
		return spec, usageError{err}
	}
	if err := r.override(&spec.Plan, given); err != nil {
		return spec, usageError{err}
	}
	return spec, nil
}

// typed reports which flags stood on the command line, those of the defaults file left out.
func (p *Program) typed(cmd *cobra.Command) func(flag string) bool {
	return func(flag string) bool { return cmd.Flags().Changed(flag) && !p.usual[flag] }
}

// actionPath finds the file of a saved action: a path, or a name in the folder of actions.
func (p *Program) actionPath(name string) (string, error) {
	if isActionPath(name) {
		return name, nil
	}
	dir := filepath.Join(p.configDir(), "actions")
	for _, ext := range []string{".yml", ".yaml"} {
		path := filepath.Join(dir, name+ext)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	there := ""
	if names := savedNames(dir); len(names) > 0 {
		there = "; there are " + strings.Join(names, ", ")
	}
	return "", usageError{fmt.Errorf("-A %s: no action of that name in %s%s", name, dir, there)}
}

// isActionPath tells a path from a name.
func isActionPath(s string) bool {
	ext := filepath.Ext(s)
	return strings.ContainsRune(s, filepath.Separator) || ext == ".yml" || ext == ".yaml"
}

func savedNames(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), filepath.Ext(e.Name())); ok && isActionPath(e.Name()) {
			names = append(names, name)
		}
	}
	return names
}

// writeCompiled prints or saves the action that the flags of one kind compile to, with the part of the plan that was given.
func (p *Program) writeCompiled(r *request, a muster.Action) error {
	f := action.File{Action: a}
	var plan muster.Plan
	if err := r.override(&plan, p.typed(r.cmd)); err != nil {
		return usageError{err}
	}
	f.Plan = planOrNil(plan)
	return p.writeAction(r, f)
}

func planOrNil(plan muster.Plan) *muster.Plan {
	if reflect.ValueOf(plan).IsZero() {
		return nil
	}
	return &plan
}

// writeAction prints or saves an action after reading it back: what cannot be run is not written.
func (p *Program) writeAction(r *request, f action.File) error {
	if bytes.Contains(f.With, []byte(`"given:`)) {
		return usageError{errors.New(`a secret of this command line cannot be written down: name where it is kept, as {{secret "env:NAME"}} or {{secret "file:PATH"}}`)}
	}
	text, err := action.Format(f)
	if err != nil {
		return err
	}
	if _, err := action.Parse("action", text); err != nil {
		return usageError{err}
	}
	if r.saved.print {
		if _, err := p.Out.Write(text); err != nil || r.saved.as == "" {
			return err
		}
	}
	return p.saveAction(r, text)
}

func (p *Program) saveAction(r *request, text []byte) error {
	path := r.saved.as
	if !isActionPath(path) {
		dir := filepath.Join(p.configDir(), "actions")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("--save-as %s: %w", path, err)
		}
		path = filepath.Join(dir, path+".yml")
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if r.plan.yes {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("--save-as %s: the file is there already (--yes replaces it)", path)}
	}
	if err != nil {
		return usageError{fmt.Errorf("--save-as: %w", err)}
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("--save-as %s: %w", path, err)
	}
	fmt.Fprintf(p.Err, "muster: saved as %s; run it with: muster run -A %s -w TARGETS\n", path, shellQuote(r.saved.as))
	return nil
}

// runSavedCommand is muster run itself; the kinds of actions are its subcommands.
func (p *Program) runSavedCommand() *cobra.Command {
	r, name := &request{}, ""
	cmd := &cobra.Command{
		Use:   "run -A FILE|NAME",
		Short: "Run an action on targets",
		Long: `Runs an action on targets. Every target ends in exactly one outcome; the last line of standard
error is the account of them.

An action is given by the flags of its kind (muster run http --help), or was saved as a YAML
file: -A names the file, or a NAME in the folder of actions (` + "`actions`" + ` beside config.yaml). It
holds probe, with, expect, extract, and a plan; what is given on the command line wins.
--save-as and --print-action of every kind write one; docs/action.schema.json describes them.

` + exitHelp,
		Example: `  muster run http GET /status -w 'web[01-40]:8080' -b
  muster run http GET /health --expect json.healthy --save-as health
  muster run -A health -w @last:failed
  muster run -A checks/health.yml -w 10.0.0.0/20 --timeout 2s -b`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 0:
				return unknownCommand(cmd, args[0])
			case name == "" && cmd.Flags().NFlag() == 0:
				return cmd.Help()
			case name == "":
				return usageError{fmt.Errorf("what is to be run? an action's kind (%s) or -A FILE", strings.Join(kindsOf(cmd), ", "))}
			}
			return p.runSavedAction(cmd, r, name)
		},
	}
	r.add(cmd, "Saved action", func(fs *pflag.FlagSet) {
		fs.StringVarP(&name, "action", "A", "", "run the action that is saved as this `FILE|NAME`")
	})
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if c == cmd && c.Flags().NArg() > 0 { // the flags are those of the command that was meant
			return unknownCommand(c, c.Flags().Arg(0))
		}
		return c.Root().FlagErrorFunc()(c, err)
	})
	return cmd
}

func kindsOf(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// printAction prints the action of a stored run as a saved one.
func (p *Program) printAction(j *muster.Job) error {
	text, err := action.Format(action.File{Description: j.Spec.Reason, Action: j.Spec.Action, Plan: planOrNil(j.Spec.Plan)})
	if err != nil {
		return err
	}
	_, err = p.Out.Write(text)
	return err
}
