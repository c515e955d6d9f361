package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
)

// planFlags are the flags that say how the work is spread.
type planFlags struct {
	fanout, batch, canary, maxErrors, repeat, order string
	rate                                            float64
	perHost, retries                                int
	perGroup, allow, deny                           []string
	timeout, connectTimeout, deadline, backoff      time.Duration
	seed                                            uint64
	source                                          string
	check, dryRun, yes, v4, v6                      bool

	usual time.Duration // the timeout of this kind of action; 0 is muster.DefaultTimeout
}

func (f *planFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&f.fanout, "fanout", "f", "auto", "attempts under way: N caps the adaptive limit, N! fixes it, auto")
	fs.Float64Var(&f.rate, "rate", 0, "attempts per second (0: no cap)")
	fs.IntVar(&f.perHost, "per-host", 0, fmt.Sprintf("attempts under way on one host (0: %d, -1: no cap)", muster.DefaultPerHost))
	fs.StringArrayVar(&f.perGroup, "per-group", nil, "attempts under way per value of a label: `LABEL=N`")
	fs.StringVar(&f.batch, "batch", "", "successive batches, the last repeats: `1,5,20%`")
	fs.StringVar(&f.canary, "canary", "", "run a seeded sample first and stop if it fails: `N|P%[,TOLERATED]`")
	fs.StringVar(&f.maxErrors, "max-errors", "", "stop at one failure more, exactly: `K|P%[,soft]`")
	fs.IntVar(&f.retries, "retries", 0, "further attempts after a transient failure")
	fs.DurationVar(&f.backoff, "backoff", 0, fmt.Sprintf("mean pause before the first retry, doubled each time (default %v)", muster.DefaultBackoff))
	fs.StringVar(&f.repeat, "repeat", "", "may an attempt be repeated? `safe|never` (default: by the method)")
	fs.DurationVar(&f.timeout, "timeout", cmp.Or(f.usual, muster.DefaultTimeout), "bound of one attempt")
	fs.DurationVar(&f.connectTimeout, "connect-timeout", muster.DefaultConnectTimeout, "bound of its connect phase")
	fs.DurationVar(&f.deadline, "deadline", 0, "bound of the whole job (0: none)")
	fs.StringVar(&f.order, "order", "given", "order of the targets: `given|shuffle`")
	fs.StringVar(&f.source, "source", "", "local `ADDRESS` of every connection")
	fs.StringArrayVar(&f.allow, "allow", nil, "speak only to addresses in this `CIDR` (opens built-in denials)")
	fs.StringArrayVar(&f.deny, "deny", nil, "never speak to addresses in this `CIDR`")
	fs.BoolVar(&f.check, "check", false, "validate every target first, then send; send nothing if one is defective")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show what would be sent, send nothing")
	fs.BoolVarP(&f.yes, "yes", "y", false, "do not ask for confirmation")
	fs.BoolVarP(&f.v4, "ipv4", "4", false, "resolve names to IPv4 only")
	fs.BoolVarP(&f.v6, "ipv6", "6", false, "resolve names to IPv6 only")
}

// plan compiles the flags; the message of an error names the flag.
func (f *planFlags) plan() (muster.Plan, error) {
	p := muster.Plan{
		Rate: f.rate, PerHost: f.perHost, Retries: f.retries, Backoff: muster.Duration(f.backoff),
		Repeat: muster.Repeat(f.repeat), Timeout: muster.Duration(f.timeout),
		ConnectTimeout: muster.Duration(f.connectTimeout), Deadline: muster.Duration(f.deadline),
		Seed: f.seed, Source: f.source, Allow: f.allow, Deny: f.deny, Family: f.family(),
	}
	for _, step := range []struct {
		flag, value string
		parse       func(string, *muster.Plan) error
	}{
		{"fanout", f.fanout, parseFanout},
		{"batch", f.batch, parseBatches},
		{"canary", f.canary, parseCanary},
		{"max-errors", f.maxErrors, parseMaxErrors},
		{"order", f.order, parseOrder},
	} {
		if step.value == "" {
			continue
		}
		if err := step.parse(step.value, &p); err != nil {
			return p, usageError{fmt.Errorf("--%s %q: %w", step.flag, step.value, err)}
		}
	}
	for _, g := range f.perGroup {
		gc, err := parseGroupCap(g)
		if err != nil {
			return p, usageError{fmt.Errorf("--per-group %q: %w", g, err)}
		}
		p.PerGroup = append(p.PerGroup, gc)
	}
	if f.v4 && f.v6 {
		return p, usageError{fmt.Errorf("-4 and -6: choose one, or neither for both")}
	}
	if err := p.Validate(); err != nil {
		return p, usageError{err}
	}
	return p, nil
}

func (f *planFlags) family() int {
	switch {
	case f.v4 && !f.v6:
		return 4
	case f.v6 && !f.v4:
		return 6
	}
	return 0
}

func parseFanout(s string, p *muster.Plan) error {
	if s == "auto" {
		return nil
	}
	num, fixed := strings.CutSuffix(s, "!")
	n, err := strconv.Atoi(num)
	if err != nil || n < 1 {
		return fmt.Errorf("want a number such as 500, a fixed one such as 500!, or auto")
	}
	p.Fanout, p.FanoutFixed = n, fixed
	return nil
}

func parseBatches(s string, p *muster.Plan) error {
	for part := range strings.SplitSeq(s, ",") {
		size, err := muster.ParseSize(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		p.Batches = append(p.Batches, size)
	}
	return nil
}

func parseCanary(s string, p *muster.Plan) (err error) {
	size, tolerated, found := strings.Cut(s, ",")
	if p.Canary, err = muster.ParseSize(size); err != nil || !found {
		return err
	}
	if p.CanaryMaxErrors, err = strconv.Atoi(tolerated); err != nil || p.CanaryMaxErrors < 0 {
		return fmt.Errorf("%q: want the number of failures that the canary tolerates", tolerated)
	}
	return nil
}

func parseMaxErrors(s string, p *muster.Plan) error {
	size, mode, found := strings.Cut(s, ",")
	k, err := muster.ParseSize(size)
	if err != nil {
		return err
	}
	if found && mode != "soft" {
		return fmt.Errorf("%q: want soft after the comma, or nothing", mode)
	}
	p.MaxErrors, p.SoftErrors = &k, found
	return nil
}

func parseOrder(s string, p *muster.Plan) error {
	switch s {
	case "given":
	case "shuffle":
		p.Shuffle = true
	default:
		return fmt.Errorf("want given or shuffle")
	}
	return nil
}

func parseGroupCap(s string) (muster.GroupCap, error) {
	label, num, _ := strings.Cut(s, "=")
	n, err := strconv.Atoi(num)
	if err != nil || label == "" || n < 1 {
		return muster.GroupCap{}, fmt.Errorf("want LABEL=N, as in rack=10")
	}
	return muster.GroupCap{Label: label, Max: n}, nil
}
