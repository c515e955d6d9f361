package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/vars"
)

var errCopyTimeout = &fault{muster.FailTimeout, "timeout", "the copy did not end in time", true}

// copyProber is a compiled [Copy].
type copyProber struct {
	env     Env
	spec    Copy
	login   *sshLogin
	dest    *vars.Template
	sources []*vars.Template // on the target
	tree    localTree        // to send
	dir     string           // to fetch into
}

func compileCopy(s Copy, env Env) (*copyProber, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if env.Timeout == 0 {
		env.Timeout = DefaultSSHTimeout
	}
	p := &copyProber{env: env.withDefaults(s.Safe()), spec: s}
	c := compiler{parser: vars.Parser{Secret: env.Secret}}
	p.login = c.sshLogin(s.SSHLogin, p.env)
	if s.Fetch {
		p.dir = s.Dest
		for _, text := range s.Sources {
			p.sources = append(p.sources, c.parseShown("source", text))
		}
	} else {
		p.dest = c.parseShown("dest", s.Dest)
		for _, path := range s.Sources {
			c.add(p.tree.add(path))
		}
	}
	if err := errors.Join(c.errs...); err != nil {
		p.login.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the connections to jump hosts and agents.
func (p *copyProber) Close() error { return p.login.Close() }

// paths are the paths of one target: where to, or where from.
func (p *copyProber) paths(t *muster.Target) ([]string, *defect) {
	templates := p.sources
	if !p.spec.Fetch {
		templates = []*vars.Template{p.dest}
	}
	paths := make([]string, len(templates))
	for i, tpl := range templates {
		text, err := tpl.Expand(t)
		if err != nil {
			return nil, expansionDefect(err)
		}
		if paths[i], err = remotePath(text); err != nil {
			return nil, &defect{"invalid path", err}
		}
	}
	return paths, nil
}

// remotePath takes a path as a person writes it: below the home of the user unless it begins with a slash.
func remotePath(text string) (string, error) {
	if text == "~" || strings.HasPrefix(text, "~/") {
		text = "." + text[1:]
	}
	if text == "" || strings.Contains(text, "\x00") {
		return "", muster.Errorf(muster.KindInvalid, "path %q: want a path on the target", text)
	}
	if strings.HasPrefix(text, "~") {
		return "", muster.Errorf(muster.KindInvalid, "path %q: only ~/ is known, the home of the user who logs in", text)
	}
	return text, nil
}

// Check reports why t would end invalid; nil when something would be copied.
func (p *copyProber) Check(t *muster.Target) error {
	_, d := p.login.route(context.Background(), t)
	if d == nil {
		_, d = p.paths(t)
	}
	if d != nil {
		return d.err
	}
	return nil
}

// Preview returns what would be copied, and how t would be reached.
func (p *copyProber) Preview(t *muster.Target) (string, error) {
	route, d := p.login.route(context.Background(), t)
	var paths []string
	if d == nil {
		paths, d = p.paths(t)
	}
	if d != nil {
		return "", d.err
	}
	var b strings.Builder
	b.WriteString("sftp " + route.user + "@" + route.hostPort())
	if route.via != nil {
		b.WriteString(" via " + route.via.name())
	}
	b.WriteByte('\n')
	if p.spec.Fetch {
		for _, path := range paths {
			b.WriteString("get " + path + " " + filepath.Join(p.dir, folderOf(t.ID), localPath(path)) + "\n")
		}
		return b.String(), nil
	}
	u := p.uploader(paths[0])
	for i := range p.tree.entries {
		if e := &p.tree.entries[i]; !e.info.IsDir() {
			b.WriteString("put " + e.path + " " + u.place(e) + " (" + strconv.FormatInt(e.info.Size(), 10) + " bytes)\n")
		}
	}
	return b.String(), nil
}

// Probe copies to or from t.
func (p *copyProber) Probe(ctx context.Context, t muster.Target) muster.Result {
	r := muster.Result{Started: time.Now()}
	p.probe(ctx, &t, &r)
	r.Timings.Total = time.Since(r.Started)
	return r
}

func (p *copyProber) probe(ctx context.Context, t *muster.Target, r *muster.Result) {
	actx, stop := context.WithTimeoutCause(ctx, p.env.Timeout, errCopyTimeout)
	defer stop()
	route, d := p.login.route(actx, t)
	var paths []string
	if d == nil {
		paths, d = p.paths(t)
	}
	if d != nil {
		d.result(r)
		return
	}
	c, err := p.login.connect(actx, route, r)
	if err != nil {
		p.failed(ctx, r, err)
		return
	}
	defer c.Close()
	began := time.Now()
	s, err := c.openSFTP(actx)
	if err != nil {
		p.failed(ctx, r, err)
		return
	}
	r.Timings.FirstByte = time.Since(began)
	var done copied
	if p.spec.Fetch {
		r.Sent = true
		err = p.fetch(actx, s, t, paths, &done)
	} else {
		err = p.upload(actx, s, paths[0], &done, r)
	}
	s.close()
	if cause := context.Cause(actx); cause != nil {
		err = cause
	}
	p.ended(ctx, r, &done, err)
}

// failed makes r the end of an attempt that ctx or err stopped.
func (p *copyProber) failed(ctx context.Context, r *muster.Result, err error) {
	if !cancel(ctx, r) {
		failIn(r, err, dial.PhaseExchange)
	}
}

// ended makes r what became of the copy.
func (p *copyProber) ended(ctx context.Context, r *muster.Result, done *copied, err error) {
	if err == nil || done.files > 0 {
		r.Fields = append(r.Fields, done.fields(p.spec.Fetch)...)
	}
	if !p.env.DiscardBody {
		r.Body, r.Truncated = done.body.Bytes(), done.cut
	}
	refused, isRefused := errors.AsType[*sftpRefusal](err)
	switch {
	case err == nil:
		r.Outcome, r.Status = muster.OK, "copied"
	case isRefused && ctx.Err() == nil:
		r.Outcome, r.Status, r.Code, r.Reason, r.Detail = muster.Unexpected, refused.reason, refused.code, refused.reason, refused.Error()
	default:
		p.failed(ctx, r, err)
	}
}

// copiedLines bounds the lines of a body.
const copiedLines = 1000

// copied is what has been copied so far.
type copied struct {
	bytes, files, skipped int64
	body                  bytes.Buffer
	cut                   bool
	last                  string    // hash of the last file
	all                   hash.Hash // of all lines, those beyond the body included
}

// add counts a file.
func (c *copied) add(path string, size int64, sum []byte) {
	c.bytes += size
	c.files++
	c.last = hex.EncodeToString(sum)
	line := sumLine(c.last, path)
	if c.all == nil {
		c.all = sha256.New()
	}
	c.all.Write([]byte(line))
	if c.cut = c.files > copiedLines; !c.cut {
		c.body.WriteString(line)
	}
}

// sumLine is a line as sha256sum writes it: no name makes two of it.
func sumLine(sum, path string) string {
	if strings.ContainsAny(path, "\\\n\r") {
		sum, path = `\`+sum, strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(path)
	}
	return sum + "  " + path + "\n"
}

// fields are the counts, and the hash of all that was copied.
func (c *copied) fields(fetched bool) []muster.Field {
	f := []muster.Field{{Name: "bytes", Value: float64(c.bytes)}, {Name: "files", Value: float64(c.files)}}
	if fetched {
		f = append(f, muster.Field{Name: "skipped", Value: float64(c.skipped)})
	}
	sum := muster.Field{Name: "sha256"}
	switch {
	case c.files == 1:
		sum.Value = c.last
	case c.files > 1:
		sum.Value = hex.EncodeToString(c.all.Sum(nil))
	}
	return append(f, sum)
}
