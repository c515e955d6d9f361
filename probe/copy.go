package probe

import (
	"cmp"
	"errors"
	"strings"

	"github.com/musterhq/muster"
)

const (
	// DefaultCopySizeLimit is the most that is fetched from one target unless the spec says otherwise.
	DefaultCopySizeLimit = 1 << 30
	// copyFanout bounds the copies under way unless the plan says: each holds some hundred
	// kilobytes that are on their way.
	copyFanout = 100
)

// Copy transfers files over SFTP: from here to each target, or with Fetch from each target to here.
//
// A file that is sent is written beside its place under another name and then renamed, so that nobody
// sees half of it; missing folders are made. Without Preserve a file gets the permissions of its source
// except that of others than the owner to write. The local files are read and hashed when the probe is
// compiled; one that has changed since then fails as local.
//
// The body has a line per file, its SHA-256 and its path on the target, as sha256sum writes it; so
// targets that hold the same group together. The fields are bytes, files, sha256 (of the one file, or of
// the lines of more) and, of what is fetched, skipped: what is neither file nor folder, and links to
// folders. What the target refuses is unexpected, with the reason "permission denied", "no space left", "no such file" or the like.
type Copy struct {
	SSHLogin

	// Sources are local paths, or with Fetch paths on the target, which are templates of package vars.
	// A folder is copied with all that is in it.
	Sources []string `json:"sources"`
	// Dest is a template of a path on the target, relative to the home of the user: the place of the one
	// source, or when it ends in a slash or there are several the folder to put them into. With Fetch it is a
	// local folder: what comes from a target lands below it under the target's id and the path it had.
	Dest string `json:"dest"`
	// Fetch copies from the targets.
	Fetch bool `json:"fetch,omitempty"`
	// Preserve gives copies the permissions and the times of their sources.
	Preserve bool `json:"preserve,omitempty"`
	// SizeLimit is the most bytes that are fetched from one target; 0 is [DefaultCopySizeLimit]. More fails as too_large.
	SizeLimit int64 `json:"size_limit,omitempty"`
}

var _ Traited = Copy{}

// Safe reports whether the targets stay as they are.
func (c Copy) Safe() bool { return c.Fetch }

// Traits say that attempts last longer and cost more than others.
func (c Copy) Traits() Traits {
	return Traits{Timeout: DefaultSSHTimeout, Fanout: copyFanout, Fields: []string{"bytes", "files", "skipped", "sha256"}}
}

// Validate reports every problem at once. It neither reads files nor parses templates, which
// Prober does.
func (c Copy) Validate() error {
	var p problems
	c.SSHLogin.validate(&p)
	p.addIf(len(c.Sources) == 0, "sources: there are none")
	for _, s := range c.Sources {
		p.addIf(s == "" || strings.Contains(s, "\x00"), "source %q: want a path", s)
	}
	p.addIf(c.Dest == "", "dest: want a path")
	p.addIf(c.SizeLimit < 0, "size_limit %d: want a positive number of bytes", c.SizeLimit)
	p.addIf(c.SizeLimit > 0 && !c.Fetch, "size_limit: it is for what is fetched")
	return errors.Join(p...)
}

// Prober compiles the spec. Configuration, keys, known hosts, secrets and the files to
// send are read now.
func (c Copy) Prober(env Env) (muster.Prober, error) { return compileCopy(c, env) }

func (c *Copy) sizeLimit() int64 { return cmp.Or(c.SizeLimit, DefaultCopySizeLimit) }
