package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// defaults is the user's defaults file: per command path ("run http"), values for flags;
// "run" applies to all commands below it.
type defaults map[string]map[string]any

// configDir is muster's config folder: $MUSTER_CONFIG_DIR, else muster in the user's own.
func (p *Program) configDir() string {
	if dir := p.Getenv("MUSTER_CONFIG_DIR"); dir != "" {
		return dir
	}
	return userDir(p.Getenv, "XDG_CONFIG_HOME", ".config")
}

// stateDir is where runs are stored: $MUSTER_STATE_DIR, else muster in the user's state folder.
func (p *Program) stateDir() string {
	if dir := p.Getenv("MUSTER_STATE_DIR"); dir != "" {
		return dir
	}
	return userDir(p.Getenv, "XDG_STATE_HOME", filepath.Join(".local", "state"))
}

// userDir follows the XDG base directory specification; a relative value of the
// variable is ignored, as it demands.
func userDir(getenv func(string) string, variable, fallback string) string {
	if dir := getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "muster")
	}
	home := getenv("HOME")
	if home == "" {
		if u, err := user.Current(); err == nil {
			home = u.HomeDir // cron and env -i say nothing of it
		}
	}
	return filepath.Join(home, fallback, "muster")
}

// applyDefaults sets the flags that the command line left alone from the defaults file.
func (p *Program) applyDefaults(cmd *cobra.Command) error {
	path := filepath.Join(p.configDir(), "config.yaml")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the defaults: %w", err)
	}
	var d defaults
	if err := yaml.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
	}
	for section := range d {
		if c, _, err := cmd.Root().Find(strings.Fields(section)); err != nil || commandPath(c) != section {
			return fmt.Errorf("%s: %s: no such command (see muster --help)", path, section)
		}
	}
	p.defaults = d
	return p.setFlags(cmd, path)
}

// setFlags applies the sections from the innermost command outwards: what is
// nearer wins.
func (p *Program) setFlags(cmd *cobra.Command, path string) error {
	p.usual = map[string]bool{}
	for c := cmd; c.HasParent(); c = c.Parent() {
		section := commandPath(c)
		for name, value := range p.defaults[section] {
			flag := cmd.Flags().Lookup(name)
			if flag == nil {
				if c != cmd || c.HasSubCommands() { // a section for several commands may name flags of some
					continue
				}
				return fmt.Errorf("%s: %s: %s: no such flag (see muster %s --help)", path, section, name, section)
			}
			if flag.Changed {
				continue
			}
			if err := setFlag(cmd.Flags(), flag, value); err != nil {
				return fmt.Errorf("%s: %s: %s: %w", path, section, name, err)
			}
			p.usual[name] = true
		}
	}
	return nil
}

func setFlag(flags *pflag.FlagSet, flag *pflag.Flag, value any) error {
	values, many := value.([]any)
	if !many {
		values = []any{value}
	}
	for _, v := range values {
		if err := flags.Set(flag.Name, fmt.Sprint(v)); err != nil {
			return err
		}
	}
	return nil
}

// commandPath is the command's path without the program's name: "run http".
func commandPath(c *cobra.Command) string {
	path := c.Name()
	for c = c.Parent(); c != nil && c.HasParent(); c = c.Parent() {
		path = c.Name() + " " + path
	}
	return path
}
