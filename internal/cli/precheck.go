package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/internal/execute"
	"github.com/musterhq/muster/sink"
)

// showDefects is how many defective targets are named before the rest is counted.
const showDefects = 10

// printTargets is --list: one id per line, defects to standard error.
func (p *Program) printTargets(list muster.List) error {
	out := bufio.NewWriter(p.Out)
	bad := 0
	for i := range list.Len() {
		t, err := list.At(i)
		if err != nil {
			if bad++; bad <= showDefects {
				p.warn("target %d: %v", i, err)
			}
			continue
		}
		out.WriteString(p.shown(t.ID))
		if err := out.WriteByte('\n'); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		fmt.Fprintf(p.Err, "muster: %d of %d targets are defective\n", bad, list.Len())
		return exitWith(exitNotOK)
	}
	return nil
}

// checkAll is --check: it validates every target and refuses the job if one is defective.
func (p *Program) checkAll(ctx context.Context, work *execute.Work, list muster.List) error {
	bad := 0
	for i := range list.Len() {
		if i%4096 == 0 && ctx.Err() != nil {
			return exitWith(exitInterrupted)
		}
		t, err := list.At(i)
		if err == nil && !t.Off {
			err = work.Check(&t)
		}
		if err == nil {
			continue
		}
		if bad++; bad <= showDefects {
			p.warn("%s: %v", sink.Visible(nameOf(t, i)), err)
		}
	}
	if bad > 0 {
		return usageError{fmt.Errorf("%d of %d targets are defective, nothing was sent: mend them, or leave out --check", bad, list.Len())}
	}
	return nil
}

func nameOf(t muster.Target, i int) string {
	if t.ID == "" {
		return fmt.Sprintf("target %d", i)
	}
	return t.ID
}

// dryRunShown is how many requests --dry-run prints in full.
const dryRunShown = 3

// dryRun shows what would be sent to the first targets and what all of them are.
func (p *Program) dryRun(work *execute.Work, list muster.List) error {
	shown, bad, off := 0, 0, 0
	for i := range list.Len() {
		t, err := list.At(i)
		if err == nil && t.Off {
			off++
			continue
		}
		if err == nil {
			err = work.Check(&t)
		}
		if err != nil {
			if bad++; bad <= showDefects {
				p.warn("%s: %v", sink.Visible(nameOf(t, i)), err)
			}
			continue
		}
		if shown < dryRunShown {
			text, err := work.Preview(&t)
			if err != nil {
				return err
			}
			text = strings.TrimRight(text, "\r\n")
			if isTerminal(p.Out) {
				text = visible(text)
			}
			fmt.Fprintf(p.Out, "--- %s\n%s\n", p.shown(t.ID), text)
			shown++
		}
	}
	if more := list.Len() - bad - off - shown; more > 0 {
		fmt.Fprintf(p.Out, "--- and %d more\n", more)
	}
	targets := fmt.Sprintf("%d targets", list.Len())
	if list.Len() == 1 {
		targets = "1 target"
	}
	switchedOff := ""
	if off > 0 {
		switchedOff = fmt.Sprintf(", %d switched off", off)
	}
	fmt.Fprintf(p.Err, "%s, %d of them defective or denied%s; repeat: %s; nothing was sent\n", targets, bad, switchedOff, work.Repeat())
	if bad > 0 {
		return exitWith(exitNotOK)
	}
	return nil
}

// confirm asks a person at a terminal before many targets get something that cannot be
// repeated. Scripts are never asked.
func (p *Program) confirm(r *request, work *execute.Work, list muster.List) error {
	if r.plan.yes || work.Repeat() != muster.RepeatNever || list.Len() <= confirmAbove || !isTerminal(p.In) || !isTerminal(p.Err) {
		return nil
	}
	fmt.Fprintf(p.Err, "This is not repeatable and goes to %d targets. Continue? [y/N] ", list.Len())
	answer, _ := bufio.NewReader(p.In).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return usageError{fmt.Errorf("not confirmed, nothing was sent (--yes answers beforehand)")}
	}
	return nil
}
