package cli

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/nodeset"
)

// setFlags are the options that the set commands share.
type setFlags struct {
	exclude, intersect, symmetric []string
	separator                     string
	autostep                      int
	axes                          []int
	seed                          uint64
	source                        string
}

func (p *Program) setCommand() *cobra.Command {
	f := &setFlags{}
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Compute with sets of node names: fold, expand, count, split, pick, …",
		Long: `Computes with sets of node names in ClusterShell's language:

  web[1-20,25]  ranges        web[0-10/2]  a step       web[001-010]  zero padding
  r[1-4]n[1-8]  any number of brackets    a,b  a b   union
  a!b  difference   a&b  intersection   a^b  symmetric difference
  @group  @source:group  @*  groups       web*  wildcards over all known nodes

Sets are taken from the arguments, and from standard input where an argument is "-"
or there is none.`,
		Example: `  muster set fold web1 web2 web3 db1          # db1,web[1-3]
  muster set expand 'r[1-2]n[1-2]'
  muster set count -x 'web[3-5]' 'web[1-40]'
  cut -d, -f1 hosts.csv | muster set fold`,
	}
	fs := cmd.PersistentFlags()
	fs.StringArrayVarP(&f.exclude, "exclude", "x", nil, "take this `SET` out")
	fs.StringArrayVarP(&f.intersect, "intersection", "i", nil, "keep only what is in this `SET` too")
	fs.StringArrayVarP(&f.symmetric, "xor", "X", nil, "keep what is in exactly one of the two: `SET`")
	fs.StringVarP(&f.separator, "separator", "S", `\n`, "between expanded names; \\n and \\t are understood")
	fs.IntVar(&f.autostep, "autostep", 0, "fold at least this many equidistant numbers into n[1-9/2] (0: never)")
	fs.IntSliceVar(&f.axes, "axis", nil, "fold only these dimensions: 1 is the first, -1 the last")
	sub := func(use, short string, args cobra.PositionalArgs, run func(*setFlags, *cobra.Command, []string) error) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: args, RunE: func(c *cobra.Command, a []string) error { return run(f, c, a) }}
		cmd.AddCommand(c)
		return c
	}
	sub("fold [SET…]", "Print the folded set", nil, p.setFold)
	sub("expand [SET…]", "Print the names, one per line", nil, p.setExpand)
	sub("count [SET…]", "Print how many names there are", nil, p.setCount)
	sub("contains NAME [SET…]", "Exit 0 if every name of NAME is in the set, else 2", cobra.MinimumNArgs(1), p.setContains)
	sub("split N [SET…]", "Print the set in N parts of nearly equal size", cobra.MinimumNArgs(1), p.setSplit)
	sub("slice INDEXES [SET…]", "Print the names at indexes such as 0-4,9", cobra.MinimumNArgs(1), p.setSlice)
	pick := sub("pick N [SET…]", "Print N names chosen at random, the same for the same seed", cobra.MinimumNArgs(1), p.setPick)
	pick.Flags().Uint64Var(&f.seed, "seed", 0, "choose another sample")
	regroup := sub("regroup [SET…]", "Print the set with whole groups by their names", nil, p.setRegroup)
	groups := sub("groups", "Print the names of the known groups", cobra.NoArgs, p.setGroups)
	for _, c := range []*cobra.Command{regroup, groups} {
		c.Flags().StringVarP(&f.source, "group-source", "s", "", "group source (default: the default one)")
	}
	return cmd
}

// read computes the set that arguments, input and options name.
func (p *Program) read(f *setFlags, cmd *cobra.Command, args []string) (*nodeset.Set, error) {
	parser := p.setParser()
	if len(args) == 0 {
		args = []string{"-"}
	}
	set := &nodeset.Set{}
	for _, arg := range args {
		s, err := p.readOne(parser, cmd, arg)
		if err != nil {
			return nil, usageError{err}
		}
		set = set.Union(s)
	}
	for _, op := range []struct {
		sets  []string
		apply func(a, b *nodeset.Set) *nodeset.Set
	}{
		{f.exclude, (*nodeset.Set).Difference},
		{f.intersect, (*nodeset.Set).Intersection},
		{f.symmetric, (*nodeset.Set).SymmetricDifference},
	} {
		for _, text := range op.sets {
			other, err := parser.Parse(cmd.Context(), text)
			if err != nil {
				return nil, usageError{err}
			}
			set = op.apply(set, other)
		}
	}
	return set, nil
}

func (p *Program) readOne(parser nodeset.Parser, cmd *cobra.Command, arg string) (*nodeset.Set, error) {
	if arg != "-" {
		return parser.Parse(cmd.Context(), arg)
	}
	var failed error
	set := nodeset.Fold(p.names(parser, cmd, &failed))
	return set, failed
}

// names yields the names of the sets on standard input, line by line, so that a
// million plain names are folded at once instead of one by one.
func (p *Program) names(parser nodeset.Parser, cmd *cobra.Command, failed *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		in := bufio.NewScanner(p.In)
		in.Buffer(nil, 16<<20)
		for n := 1; in.Scan(); n++ {
			line, _, _ := strings.Cut(in.Text(), "#")
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			set, err := parser.Parse(cmd.Context(), line)
			if err != nil {
				*failed = fmt.Errorf("standard input, line %d: %w", n, err)
				return
			}
			for name := range set.All() {
				if !yield(name) {
					return
				}
			}
		}
		*failed = in.Err()
	}
}

func (p *Program) print(f *setFlags, set *nodeset.Set) error {
	text, err := nodeset.Folding{Autostep: f.autostep, Axes: f.axes}.Text(set)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.Out, text)
	return nil
}

func (p *Program) setFold(f *setFlags, cmd *cobra.Command, args []string) error {
	set, err := p.read(f, cmd, args)
	if err != nil {
		return err
	}
	return p.print(f, set)
}

func (p *Program) setExpand(f *setFlags, cmd *cobra.Command, args []string) error {
	set, err := p.read(f, cmd, args)
	if err != nil || set.Len() == 0 {
		return err
	}
	out := bufio.NewWriter(p.Out)
	separator := strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(f.separator)
	first := true
	for name := range set.All() {
		if !first {
			out.WriteString(separator)
		}
		first = false
		if _, err := io.WriteString(out, name); err != nil {
			return err
		}
	}
	out.WriteByte('\n')
	return out.Flush()
}

func (p *Program) setCount(f *setFlags, cmd *cobra.Command, args []string) error {
	set, err := p.read(f, cmd, args)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.Out, set.Len())
	return nil
}

func (p *Program) setContains(f *setFlags, cmd *cobra.Command, args []string) error {
	set, err := p.read(f, cmd, args[1:])
	if err != nil {
		return err
	}
	wanted, err := p.read(&setFlags{}, cmd, args[:1])
	if err != nil {
		return err
	}
	if !set.Includes(wanted) {
		return exitWith(exitNotOK)
	}
	return nil
}

func (p *Program) setSplit(f *setFlags, cmd *cobra.Command, args []string) error {
	n, err := positive("split", args[0])
	if err != nil {
		return err
	}
	set, err := p.read(f, cmd, args[1:])
	if err != nil {
		return err
	}
	for part := range set.Split(n) {
		if err := p.print(f, part); err != nil {
			return err
		}
	}
	return nil
}

func (p *Program) setSlice(f *setFlags, cmd *cobra.Command, args []string) error {
	set, err := p.read(f, cmd, args[1:])
	if err != nil {
		return err
	}
	part, err := set.Slice(args[0])
	if err != nil {
		return usageError{err}
	}
	return p.print(f, part)
}

func (p *Program) setPick(f *setFlags, cmd *cobra.Command, args []string) error {
	n, err := positive("pick", args[0])
	if err != nil {
		return err
	}
	set, err := p.read(f, cmd, args[1:])
	if err != nil {
		return err
	}
	return p.print(f, set.Pick(n, f.seed))
}

func (p *Program) setRegroup(f *setFlags, cmd *cobra.Command, args []string) error {
	parser := p.setParser()
	set, err := p.read(f, cmd, args)
	if err != nil {
		return err
	}
	text, err := parser.Regroup(cmd.Context(), set, f.source)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.Out, text)
	return nil
}

func (p *Program) setGroups(f *setFlags, cmd *cobra.Command, _ []string) error {
	parser := p.setParser()
	names, err := parser.Resolver.Groups(cmd.Context(), f.source)
	if err != nil {
		return err
	}
	for _, n := range names {
		fmt.Fprintln(p.Out, "@"+n)
	}
	return nil
}
