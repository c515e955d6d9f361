package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/fanout"
)

// lineEvery is how often a run reports itself where there is no terminal to draw a bar on.
const lineEvery = 10 * time.Second

// barEvery is how often the bar is drawn: often enough to look alive.
const barEvery = 150 * time.Millisecond

// progress shows how a run stands: a bar that is drawn over itself on a terminal, else a
// line every ten seconds. It is not safe for concurrent use.
type progress struct {
	out   io.Writer
	tty   bool
	width int
	drawn bool
}

// every returns how often update should be called.
func (p *progress) every() time.Duration {
	if p.tty {
		return barEvery
	}
	return lineEvery
}

func (p *progress) update(s fanout.Status) {
	if !p.tty {
		fmt.Fprintln(p.out, stateLine(s))
		return
	}
	fmt.Fprint(p.out, eraseLine+cutTo(barLine(s, p.width), p.width-1)) // one write: no flicker
	p.drawn = true
}

// eraseLine empties the line on which the cursor is.
const eraseLine = "\r\x1b[K"

// clear removes the bar, so that something else can be printed in its place.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, eraseLine)
		p.drawn = false
	}
}

// stateLine is one line that says all there is to say.
func stateLine(s fanout.Status) string {
	l := &s.Ledger
	var b strings.Builder
	fmt.Fprintf(&b, "%d/%d (%d%%)  %s", l.Ended(), l.Targets, percent(l), counts(l))
	fmt.Fprintf(&b, "  %s/s", short(s.Rate))
	if s.ETA > 0 && s.Rate >= 0.05 { // shown as more than 0.0
		fmt.Fprintf(&b, "  ETA %v", roundETA(s.ETA))
	}
	fmt.Fprintf(&b, "  %d under way", s.InFlight)
	if s.Waiting > 0 {
		fmt.Fprintf(&b, ", %d waiting for a retry", s.Waiting)
	}
	fmt.Fprintf(&b, "  limit %d: %s", s.Limit, limitReason(s))
	return b.String()
}

func barLine(s fanout.Status, width int) string {
	const cells = 20
	l := &s.Ledger
	full := cells * percent(l) / 100
	bar := strings.Repeat("#", full) + strings.Repeat("-", cells-full)
	if width < 100 {
		return fmt.Sprintf("%3d%% %d/%d %s %s/s %s", percent(l), l.Ended(), l.Targets, counts(l), short(s.Rate), limitReason(s))
	}
	return "[" + bar + "] " + stateLine(s)
}

func limitReason(s fanout.Status) string {
	switch {
	case s.Stop != "":
		return "stopping (" + s.Stop + ")"
	case s.Paused:
		return "paused"
	}
	return s.Reason
}

// counts lists what has ended, leaving out what has not happened.
func counts(l *muster.Ledger) string {
	parts := []string{fmt.Sprintf("%d ok", l.Count(muster.OK))}
	for _, o := range muster.Outcomes()[1:] {
		if n := l.Count(o); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(o.String(), "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}

func percent(l *muster.Ledger) int {
	if l.Targets == 0 {
		return 100
	}
	return 100 * l.Ended() / l.Targets
}

// short writes a rate with three digits or so.
func short(f float64) string {
	switch {
	case f >= 10_000:
		return fmt.Sprintf("%.1fk", f/1000)
	case f >= 10:
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.1f", f)
}

func roundETA(d time.Duration) time.Duration {
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return max(d.Round(100*time.Millisecond), 100*time.Millisecond)
}

// cutTo shortens ASCII text to a width, so that a narrow terminal does not wrap the bar.
func cutTo(s string, width int) string {
	if width > 0 && len(s) > width {
		return s[:width]
	}
	return s
}
