package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// section is a heading in a command's help with the flags below it.
type section struct {
	title string
	flags *pflag.FlagSet
}

// sections are the flags of a command that has too many for one list, in the order of its help.
type sections []section

// add gives the command the flags that fill makes, under a heading of their own.
func (s *sections) add(cmd *cobra.Command, title string, fill func(*pflag.FlagSet)) {
	fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
	fs.SortFlags = false
	fill(fs)
	cmd.Flags().AddFlagSet(fs)
	*s = append(*s, section{title, fs})
	cmd.SetUsageFunc(s.usage)
}

func (s *sections) usage(cmd *cobra.Command) error {
	out := cmd.OutOrStderr()
	fmt.Fprintf(out, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\nKinds of actions (muster run KIND --help):\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(out, "  %-*s %s\n", cmd.NamePadding()+2, c.Name(), c.Short)
			}
		}
	}
	for _, sec := range *s {
		fmt.Fprintf(out, "\n%s:\n%s", sec.title, sec.flags.FlagUsages())
	}
	return nil
}

// strict has mistakes in arguments told with the way out: cobra itself takes an unknown name
// below a command for a wish to see its help, and calls that a success.
func strict(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		strict(c)
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usageError{fmt.Errorf("%w (usage: %s)", err, c.UseLine())}
			}
			return nil
		}
	}
	if cmd.Runnable() || !cmd.HasParent() {
		return
	}
	cmd.FParseErrWhitelist.UnknownFlags = true // they are those of the command that was meant
	cmd.RunE = func(c *cobra.Command, given []string) error {
		if len(given) == 0 {
			return c.Help()
		}
		return unknownCommand(c, given[0])
	}
}

// onlyFlags refuses arguments of kinds of actions that have none, which users take for the place of targets.
func onlyFlags(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%q: %s takes no argument; targets are named with -w", args[0], c.CommandPath())
}

// unknownCommand says that c has no command of that name, and which was meant.
func unknownCommand(c *cobra.Command, name string) error {
	c.SuggestionsMinimumDistance = 2
	var message strings.Builder
	fmt.Fprintf(&message, "unknown command %q for %q (see %[2]s --help)", name, c.CommandPath())
	for _, near := range c.SuggestionsFor(name) {
		fmt.Fprintf(&message, "; did you mean %s?", near)
	}
	return usageError{errors.New(message.String())}
}
