package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster/rollup"
)

// outputFlags are the flags that say what is shown.
type outputFlags struct {
	gather, diff, json, jsonl, csv, quiet, noProgress bool
	groupBy                                           []string
	mask, display, color, dir                         string
	slowest                                           int
}

func (f *outputFlags) add(fs *pflag.FlagSet) {
	fs.BoolVarP(&f.gather, "gather", "b", false, "gather targets with identical bodies")
	fs.StringArrayVar(&f.groupBy, "group-by", nil, "group by this `KEY`: status, outcome, failure, reason, body, a field, label:NAME, a rule")
	fs.BoolVar(&f.diff, "diff", false, "with -b: show how bodies differ from those of the largest group")
	fs.StringVar(&f.mask, "mask", "none", "what bodies may differ in: `time,id,name`, all, none")
	fs.IntVar(&f.slowest, "slowest", 0, "list the `N` slowest targets")
	fs.StringVar(&f.display, "display", "all", "live lines of these targets: `ok|failed|all|none`")
	fs.BoolVar(&f.json, "json", false, "one JSON document")
	fs.BoolVar(&f.jsonl, "jsonl", false, "a JSON line per result, then the summary")
	fs.BoolVar(&f.csv, "csv", false, "CSV")
	fs.StringVarP(&f.dir, "output-dir", "o", "", "write each target's body to a file in this `DIR`")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "no live lines, no progress: only what is asked for, and the account")
	fs.BoolVar(&f.noProgress, "no-progress", false, "no progress on standard error")
	fs.StringVar(&f.color, "color", "auto", "colours: `auto|always|never`")
}

func (f *outputFlags) validate() error {
	n := 0
	for _, on := range []bool{f.json, f.jsonl, f.csv} {
		if on {
			n++
		}
	}
	var errs []error
	if n > 1 {
		errs = append(errs, fmt.Errorf("--json, --jsonl and --csv: choose one"))
	}
	switch f.display {
	case "ok", "failed", "all", "none":
	default:
		errs = append(errs, fmt.Errorf("--display %q: want ok, failed, all or none", f.display))
	}
	switch f.color {
	case "auto", "always", "never":
	default:
		errs = append(errs, fmt.Errorf("--color %q: want auto, always or never", f.color))
	}
	if _, err := rollup.ParseMasks(f.mask); err != nil {
		errs = append(errs, fmt.Errorf("--mask: %w", err))
	}
	for _, by := range f.groupBy {
		if _, err := rollup.ParseBy(by); err != nil {
			errs = append(errs, fmt.Errorf("--group-by: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return usageError{err}
	}
	return nil
}

// wantsBodies reports whether anything but the judge looks at bodies.
func (f *outputFlags) wantsBodies() bool {
	if f.gather || f.jsonl || f.csv || f.dir != "" || f.live() && f.display != "none" {
		return true
	}
	for _, by := range f.groupBy {
		if b, err := rollup.ParseBy(by); err != nil || b.NeedsBody() {
			return true
		}
	}
	return false
}

// live reports whether a line per target is printed as it ends: when nothing else was asked for.
func (f *outputFlags) live() bool {
	return !f.quiet && !f.gather && len(f.groupBy) == 0 && !f.json && !f.jsonl && !f.csv && f.dir == ""
}

// explains reports whether the end of the run says what went wrong: for people, where no groups do.
func (f *outputFlags) explains() bool {
	return !f.quiet && !f.gather && len(f.groupBy) == 0 && !f.json && !f.jsonl && !f.csv
}

// keys are the groupings that the report makes.
func (f *outputFlags) keys() []string {
	keys := f.groupBy
	if f.gather {
		keys = append([]string{"body"}, keys...)
	}
	if len(keys) == 0 {
		keys = []string{"status"}
	}
	return keys
}
