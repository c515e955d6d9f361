package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pseudo-terminal: what the program prints on it, and a keyboard.
type terminal struct {
	*text
	t      testing.TB
	keys   *os.File // the other end
	screen *os.File // the program's end
}

func newTerminal(t testing.TB, columns uint16) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	var n int
	err = control(keys, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	err = control(screen, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: columns})
	})
	if err != nil {
		t.Fatal(err)
	}
	return &terminal{text: newText(), t: t, keys: keys, screen: screen}
}

// control calls f with the file's descriptor, which stays in the poller's hands.
func control(f *os.File, do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := c.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// run starts a program at the terminal, in a session of its own as a login shell is.
func (tt *terminal) run(p *proc) {
	tt.t.Helper()
	p.Stdin, p.Stdout, p.Stderr = tt.screen, tt.screen, tt.screen
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.begin()
	tt.screen.Close()
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := tt.keys.Read(b)
			tt.Write(b[:n])
			if err != nil { // EIO: nobody has the other end any more
				tt.Write([]byte("\x00"))
				return
			}
		}
	}()
}

func (tt *terminal) press(keys string) {
	tt.t.Helper()
	if _, err := tt.keys.WriteString(keys); err != nil {
		tt.t.Fatal(err)
	}
}

// seen is what a person sees after the last byte: the lines as the escape sequences left them.
func (tt *terminal) seen() []string {
	tt.await(tt.t, "\x00$")
	var lines []string
	var line []rune
	col := 0
	s := strings.TrimSuffix(tt.String(), "\x00")
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "\x1b[K"):
			line = line[:min(col, len(line))]
			i += 3
		case s[i] == '\r':
			col = 0
			i++
		case s[i] == '\n':
			lines, line, col = append(lines, string(line)), nil, 0
			i++
		default:
			line = append(line[:min(col, len(line))], append([]rune{rune(s[i])}, line[min(col+1, len(line)):]...)...)
			col++
			i++
		}
	}
	return append(lines, string(line))
}

func TestTerminalShowsBar(t *testing.T) {
	t.Parallel()
	s := newSite(t, "127.33.1.0/24=hang")
	tt := newTerminal(t, 140)
	p := s.command("run", "http", "GET", "/", "-w", s.at("127.33.0.[1-90]"), "-w", s.at("127.33.1.[1-10]"), "-f", "10!", "--timeout", "10m", "--display", "none")
	tt.run(p)
	tt.await(t, `\[##################--\] 90/100 \(90%\)  90 ok  [0-9.k]+/s  (ETA \S+  )?10 under way  limit 10: fanout`)
	s.fleet.Close()
	p.exits(2)
	for _, line := range tt.seen() {
		if strings.Contains(line, "under way") {
			t.Errorf("the bar was not erased: %q", line)
		}
	}
	lines := tt.seen()
	if last := lines[len(lines)-2]; !strings.HasPrefix(last, "100 targets: 90 ok, 0 unexpected, 10 failed (10 reset) in ") || lines[len(lines)-1] != "" {
		t.Errorf("the screen is:\n%s", strings.Join(lines, "\n"))
	}
}

// A bar that is wider than the terminal would wrap, and leave its upper line behind.
func TestTerminalNarrow(t *testing.T) {
	t.Parallel()
	s := newSite(t, "*=hang")
	tt := newTerminal(t, 40)
	p := s.command("run", "http", "GET", "/", "-w", s.at("127.33.0.[1-100]"), "-f", "10!", "--timeout", "10m", "--display", "none")
	tt.run(p)
	tt.await(t, `  0% 0/100 0 ok 0\.0/s fanout`)
	s.fleet.Close()
	p.exits(3)
	for bar := range strings.SplitSeq(tt.String(), "\r") {
		bar = strings.ReplaceAll(bar, "\x1b[K", "") // takes no room
		if strings.Contains(bar, "%") && len(bar) >= 40 {
			t.Errorf("%q is too wide", bar)
		}
	}
}

func TestTerminalEnterPrintsState(t *testing.T) {
	t.Parallel()
	s := newSite(t, "*=hang")
	tt := newTerminal(t, 140)
	p := s.command("run", "http", "GET", "/", "-w", s.at("127.33.0.[1-100]"), "-f", "10!", "--timeout", "10m", "--no-progress")
	tt.run(p)
	s.awaitRequests(10)
	// Nothing is read before the run begins, and everything after.
	tt.press("\n")
	tt.await(t, `(?m)^0/100 \(0%\)  0 ok  0\.0/s  10 under way  limit 10: fanout\r$`)
	tt.press("\x03") // Ctrl-C, as the terminal delivers it
	tt.await(t, "interrupt: waiting for 10 under way, 90 will not be attempted")
	tt.press("\x03")
	p.exits(130)
}

// The terminal is the shell's while a run is in the background: typing must not stop the run.
func TestTerminalInBackground(t *testing.T) {
	t.Parallel()
	s := newSite(t, "*=hang")
	tt := newTerminal(t, 140)
	muster, err := exec.LookPath("muster")
	if err != nil {
		t.Fatal(err)
	}
	shell := s.command()
	shell.Path, shell.Args = "/bin/bash", []string{
		"bash", "--norc", "-i", "-c",
		`"$@" & read -r line; echo "shell read: $line"; wait`, "bash",
		muster, "run", "http", "GET", "/", "-w", s.at("127.33.0.[1-10]"), "--timeout", "10m", "--no-progress",
	}
	tt.run(shell)
	s.awaitRequests(10)
	tt.press("one\n")
	tt.await(t, "shell read: one")
	s.fleet.Close()
	tt.await(t, "10 targets: 0 ok, 0 unexpected, 10 failed")
	shell.end()
	if strings.Contains(tt.String(), "Stopped") {
		t.Errorf("the run was stopped:\n%s", tt)
	}
}

func TestTerminalConfirmation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, keys string
		args       []string
		code, sent int
		asked      bool
	}{
		{"no", "n\n", []string{"POST", "-w", "127.34.[0-3].[1-251]"}, 1, 0, true},
		{"enter", "\n", []string{"POST", "-w", "127.34.[0-3].[1-251]"}, 1, 0, true},
		{"end of input", "\x04", []string{"POST", "-w", "127.34.[0-3].[1-251]"}, 1, 0, true},
		{"yes", "y\n", []string{"POST", "-w", "127.34.[0-3].[1-251]"}, 0, 1004, true},
		{"given", "", []string{"POST", "-w", "127.34.[0-3].[1-251]", "--yes"}, 0, 1004, false},
		{"1,000", "", []string{"POST", "-w", "127.34.[0-3].[1-250]"}, 0, 1000, false},
		{"safe", "", []string{"GET", "-w", "127.34.[0-3].[1-251]"}, 0, 1004, false},
		{"said safe", "", []string{"POST", "-w", "127.34.[0-3].[1-251]", "--repeat", "safe"}, 0, 1004, false},
		{"said never", "n\n", []string{"GET", "-w", "127.34.[0-3].[1-251]", "--repeat", "never"}, 1, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tt := newTerminal(t, 140)
			p := s.command(append([]string{"run", "http", c.args[0], "/", "-q", "--port", s.fleet.Port()}, c.args[1:]...)...)
			tt.run(p)
			if c.asked {
				tt.await(t, regexp.QuoteMeta("This is not repeatable and goes to 1004 targets. Continue? [y/N] "))
				if n := s.fleet.Stats().Connections; n > 0 {
					t.Errorf("%d connections before the answer", n)
				}
				tt.press(c.keys)
			}
			p.exits(c.code)
			if got := int(s.fleet.Stats().Requests); got != c.sent {
				t.Errorf("%d requests, want %d", got, c.sent)
			}
			if strings.Contains(tt.String(), "Continue?") != c.asked {
				t.Errorf("asked, or not:\n%s", tt)
			}
			if c.asked && c.sent == 0 {
				tt.await(t, regexp.QuoteMeta("muster: not confirmed, nothing was sent (--yes answers beforehand)"))
			}
		})
	}
}

// Nobody is asked where nobody can answer.
func TestScriptsAreNotAsked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(0, "run", "http", "POST", "/", "-w", s.at("127.34.[0-3].[1-251]"), "-q")
	if n := s.fleet.Stats().Requests; n != 1004 {
		t.Errorf("%d requests", n)
	}
}
