package fanout

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// idleMeter measures what share of the processors was idle since it was last asked: the
// lesser of what the machine and what the process's own allowance (GOMAXPROCS
// follows the container's quota) had left.
type idleMeter struct {
	own           time.Duration
	at            time.Time
	total, unused uint64
}

func (m *idleMeter) read(now time.Time) float64 {
	idle := m.ownIdle(now)
	if total, unused, ok := machineTimes(); ok {
		if d := total - m.total; m.total > 0 && d > 0 {
			idle = min(idle, float64(unused-m.unused)/float64(d))
		}
		m.total, m.unused = total, unused
	}
	return idle
}

func (m *idleMeter) ownIdle(now time.Time) float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 1
	}
	own := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	idle := 1.0
	if wall := now.Sub(m.at); !m.at.IsZero() && wall > 0 {
		idle = 1 - float64(own-m.own)/float64(wall)/float64(runtime.GOMAXPROCS(0))
	}
	m.own, m.at = own, now
	return idle
}

// machineTimes reads the first line of /proc/stat: ticks spent in all and idle.
func machineTimes() (total, unused uint64, ok bool) {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	var buf [256]byte
	n, _ := f.Read(buf[:])
	line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 6 {
		return 0, 0, false
	}
	for i, f := range fields[1:] {
		v, err := strconv.ParseUint(string(f), 10, 64)
		if err != nil {
			return 0, 0, false
		}
		// Guest time is part of user time already.
		if i < 8 {
			total += v
		}
		if i == 3 || i == 4 {
			unused += v
		}
	}
	return total, unused, true
}
