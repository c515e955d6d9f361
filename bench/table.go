package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is one run of one client: seconds, microseconds per exchange, MiB and
// percent.
type sample struct {
	wall, cpu, cpuEach, rate, rss float64
	serverEach, idle, other       float64
}

// row is the median of a client's samples.
type row struct {
	client, server string
	runs           int
	sample
	spread            float64 // of the wall time: (max-min)/median
	overFloor, ofPool float64 // wall against the first client, CPU against its peer; 0 is unknown
}

// summarize takes medians for client k; ratios pair runs of the same round with
// those of the first client and of client pool, unless that is negative.
func summarize(name, server string, all [][]sample, k, pool int) row {
	mine := all[k]
	of := func(f func(sample) float64) float64 {
		values := make([]float64, len(mine))
		for i, s := range mine {
			values[i] = f(s)
		}
		return median(values)
	}
	r := row{client: name, server: server, runs: len(mine), sample: sample{
		wall: of(func(s sample) float64 { return s.wall }), cpu: of(func(s sample) float64 { return s.cpu }),
		cpuEach: of(func(s sample) float64 { return s.cpuEach }), rate: of(func(s sample) float64 { return s.rate }),
		rss: of(func(s sample) float64 { return s.rss }), idle: of(func(s sample) float64 { return s.idle }),
		serverEach: of(func(s sample) float64 { return s.serverEach }), other: of(func(s sample) float64 { return s.other }),
	}}
	byWall := func(a, b sample) int { return cmp.Compare(a.wall, b.wall) }
	r.spread = 100 * (slices.MaxFunc(mine, byWall).wall - slices.MinFunc(mine, byWall).wall) / r.wall
	r.overFloor = ratio(mine, all[0], func(s sample) float64 { return 1 / s.rate })
	if pool >= 0 {
		r.ofPool = ratio(mine, all[pool], func(s sample) float64 { return s.cpuEach })
	}
	return r
}

func ratio(a, b []sample, f func(sample) float64) float64 {
	values := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		if d := f(b[i]); d > 0 {
			values = append(values, f(a[i])/d)
		}
	}
	if len(values) == 0 {
		return 0
	}
	return median(values)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	m := len(v) / 2
	if len(v)%2 == 1 {
		return v[m]
	}
	return (v[m-1] + v[m]) / 2
}

// writeTable prints rows as Markdown.
func writeTable(out io.Writer, peer string, rows []row) error {
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "No client of this case was measured.")
		return err
	}
	table := [][]string{{
		"client", "server", "wall", "spread", "exchanges/s", "CPU each", "peak RSS", "server CPU each", "server idle",
		"other load", "wall vs " + strings.Fields(rows[0].client)[0], "CPU vs " + peer,
	}}
	for _, r := range rows {
		table = append(table, []string{
			r.client, r.server, seconds(r.wall), fmt.Sprintf("%.0f %%", r.spread), thousands(int(r.rate)),
			fmt.Sprintf("%.1f µs", r.cpuEach), long(r, "%.1f MiB", r.rss), fmt.Sprintf("%.1f µs", r.serverEach),
			long(r, "%.0f %%", r.idle), long(r, "%.0f %%", r.other), times(r.overFloor), times(r.ofPool),
		})
	}
	if err := writeMarkdown(out, table); err != nil {
		return err
	}
	worst := slices.MaxFunc(rows, func(a, b row) int { return cmp.Compare(a.other, b.other) }).other
	if worst <= quiet || rows[0].wall < 0.1 {
		return nil
	}
	_, err := fmt.Fprintf(out, "\nThe machine was not quiet: other processes took up to %.0f %% of a core. Repeat before relying on these.\n", worst)
	return err
}

// quiet is the load of others, in percent of a core, that does no harm.
const quiet = 20

// long formats a figure that needs a run of some length to mean anything.
func long(r row, format string, v float64) string {
	if r.wall < 0.1 {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func writeMarkdown(out io.Writer, table [][]string) error {
	widths := make([]int, len(table[0]))
	for _, cells := range table {
		for i, c := range cells {
			widths[i] = max(widths[i], len([]rune(c)))
		}
	}
	for n, cells := range table {
		line, rule := "|", "|"
		for i, c := range cells {
			pad := strings.Repeat(" ", widths[i]-len([]rune(c)))
			if i > 1 {
				line += " " + pad + c + " |"
				rule += strings.Repeat("-", widths[i]+1) + ":|"
			} else {
				line += " " + c + pad + " |"
				rule += strings.Repeat("-", widths[i]+2) + "|"
			}
		}
		if n == 0 {
			line += "\n" + rule
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

func seconds(s float64) string {
	if s < 0.1 {
		return fmt.Sprintf("%.1f ms", 1000*s)
	}
	return fmt.Sprintf("%.2f s", s)
}

func times(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2fx", x)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// machine says where and when this was measured.
func machine(now time.Time) string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			rest, _, _ = strings.Cut(rest, "\n")
			model = strings.TrimSpace(strings.TrimLeft(rest, " \t:"))
		}
	}
	kernel := runtime.GOOS
	var u syscall.Utsname
	if syscall.Uname(&u) == nil {
		kernel = "Linux " + text(u.Release[:])
	}
	return fmt.Sprintf("Measured %s on %s, %d cores, %s, %s/%s, %s. Medians; other load is what neither client nor server used, in percent of one core.",
		now.UTC().Format(time.DateOnly), model, runtime.NumCPU(), kernel, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func text[T int8 | uint8](chars []T) string {
	var b strings.Builder
	for _, c := range chars {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}
