package cli

import (
	"bufio"
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// fileOf returns the file that a reader or writer is, if it is one.
func fileOf(v any) (*os.File, bool) {
	if o, ok := v.(*output); ok {
		v = o.w
	}
	f, ok := v.(*os.File)
	return f, ok
}

// isTerminal reports whether v, a reader or writer, is a terminal.
func isTerminal(v any) bool {
	f, ok := fileOf(v)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalWidth returns the width of the terminal v, or 80 where it has none to tell.
func terminalWidth(v any) int {
	if f, ok := fileOf(v); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}

// watchEnter calls show whenever Enter is pressed on the controlling terminal, until ctx
// ends. It opens the terminal anew, since reads of an inherited standard input cannot be
// interrupted. A run in the background is not stopped for it, as it would be otherwise
// as soon as somebody types: what is typed then is for others.
func watchEnter(ctx context.Context, show func()) {
	signal.Ignore(syscall.SIGTTIN)
	defer signal.Reset(syscall.SIGTTIN)
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { tty.Close() })
	defer stop()
	for in := bufio.NewScanner(tty); in.Scan(); {
		show()
	}
}
