package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/musterhq/muster/blackbox"
)

// moduleFlags choose a module of blackbox_exporter.
type moduleFlags struct {
	file string
	list bool
}

func (f *moduleFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.file, "modules", "", "blackbox_exporter's configuration `FILE` (default blackbox.yml beside config.yaml)")
	fs.BoolVar(&f.list, "list-modules", false, "print the names of the file's modules, send nothing")
}

func (p *Program) runModuleCommand() *cobra.Command {
	r, f := &request{}, &moduleFlags{}
	cmd := &cobra.Command{
		Use:   "module NAME",
		Short: "Run a module of Prometheus's blackbox_exporter on every target",
		Long: `Runs a module of a blackbox_exporter configuration file, which is read unchanged, on every
target. What the exporter calls a success is ok; an answer that breaks a rule of the module
is unexpected, with the rule as its reason.

The module is compiled into an action of muster's own (--print-action shows it), and its
timeout, source address and choice of addresses into its plan; what is given on the command
line wins. --expect is a condition on top of the module's rules. Secrets stay in the file:
a stored run holds references to them.

` + exitHelp,
		Example: `  muster run module http_2xx --modules blackbox.yml -w 'web[01-40]:8080'
  muster run module ssh_banner --modules blackbox.yml -w 10.0.0.0/20 --timeout 2s
  muster run module tls_connect --modules blackbox.yml --hostfile prometheus-sd.json -b
  muster run module http_2xx --modules blackbox.yml --print-action`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return p.runModule(cmd, r, f, args) },
	}
	r.add(cmd, "Module", f.add)
	return cmd
}

func (p *Program) runModule(cmd *cobra.Command, r *request, f *moduleFlags, args []string) error {
	file, err := p.readModules(f.file)
	if err != nil {
		return err
	}
	if f.list {
		for _, name := range file.Names() {
			fmt.Fprintln(p.Out, visible(name))
		}
		return nil
	}
	if len(args) == 0 {
		return usageError{fmt.Errorf("which module? there are %s", strings.Join(file.Names(), ", "))}
	}
	saved, err := file.Compile(args[0], p.Getenv)
	if err != nil {
		return usageError{err}
	}
	return p.runFile(cmd, r, &saved)
}

// readModules reads a configuration file of the exporter.
func (p *Program) readModules(path string) (*blackbox.File, error) {
	if path == "" {
		path = p.configDir() + "/blackbox.yml"
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("--modules: %w", err)}
	}
	file, err := blackbox.Parse(path, text)
	if err != nil {
		return nil, usageError{err}
	}
	return file, nil
}
