package cli

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
)

// resendFlags say when a datagram that nobody answered is sent again.
type resendFlags struct {
	tries int
	wait  time.Duration
}

func (f *resendFlags) add(fs *pflag.FlagSet, tries string) {
	fs.IntVar(&f.tries, "tries", 0, "send at most this often while there is no reply (default "+tries+")")
	fs.DurationVar(&f.wait, "wait", 0, "wait for a reply to the first try, doubled for each further one (default: all share --timeout)")
}

func (f *resendFlags) first() muster.Duration { return muster.Duration(f.wait) }
