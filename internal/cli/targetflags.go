package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/musterhq/muster"
	"github.com/musterhq/muster/dial"
	"github.com/musterhq/muster/inventory"
	"github.com/musterhq/muster/inventory/hostfile"
	"github.com/musterhq/muster/nodeset"
)

// targetFlags are the flags that say what the targets are.
type targetFlags struct {
	sets, exclude, groups, hostfiles    []string
	format, jsonPath, projection, token string
	each, selector, limit               string
	seed                                uint64
	list                                bool

	urls   bool               // the action may name its own target, by a full URL
	stored []inventory.Stored // set by job rerun, not by a flag
}

func (f *targetFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVarP(&f.sets, "where", "w", nil, "targets: `SET` of names, addresses, ranges, CIDRs, URLs, @groups, @last:failed")
	fs.StringArrayVarP(&f.exclude, "exclude", "x", nil, "leave this `SET` out")
	fs.StringArrayVarP(&f.groups, "group", "g", nil, "targets of this `GROUP`")
	fs.StringArrayVar(&f.hostfiles, "hostfile", nil, "targets from a `FILE`, - or a URL: lines, CSV, JSON, Ansible, Prometheus SD, …")
	fs.StringVar(&f.format, "format", "", "format of the host file: "+strings.Join(hostfile.Formats(), ", ")+" (default: detect)")
	fs.StringVar(&f.jsonPath, "json-path", "", "`JSONPATH` to the targets in a JSON host file")
	fs.StringVar(&f.projection, "projection", "", "`KEY` that names the target in the answers of a CMS query")
	fs.StringVar(&f.token, "token", "", "Authorization header for a host file's URL: `env:NAME|file:PATH`")
	fs.StringVar(&f.each, "each", "", "one request per row of this CSV, JSON or JSONL `FILE`, all to the one target")
	fs.StringVarP(&f.selector, "selector", "l", "", "only targets with these labels: `rack=r1,env!=dev`")
	fs.StringVar(&f.limit, "limit", "", "only a seeded sample: `N|P%`")
	fs.Uint64Var(&f.seed, "seed", 0, "seed of --limit, --canary and --order shuffle")
	fs.BoolVar(&f.list, "list", false, "print the targets, send nothing")
}

// given reports whether any flag names targets.
func (f *targetFlags) given() bool {
	return len(f.sets)+len(f.stored)+len(f.groups)+len(f.hostfiles) > 0
}

// query compiles the flags. base is the target that the action's own URL names, or "".
func (p *Program) query(f *targetFlags, base string, d *dial.Dialer) (inventory.Query, error) {
	q := inventory.Query{
		Sets: f.sets, Stored: f.stored, Exclude: f.exclude, Groups: f.groups, Base: base, Selector: f.selector, Seed: f.seed,
		Resolver: p.groups(),
	}
	if !f.given() && base == "" {
		way := ""
		if f.urls {
			way = ", or give a full URL"
		}
		return q, usageError{fmt.Errorf("no targets: name some with -w, -g or --hostfile%s", way)}
	}
	if !f.given() && f.each == "" {
		q.Sets = []string{base}
	}
	if f.limit != "" {
		var err error
		if q.Limit, err = muster.ParseSize(f.limit); err != nil {
			return q, usageError{fmt.Errorf("--limit: %w", err)}
		}
	}
	token, err := p.secret(f.token)
	if err != nil {
		return q, usageError{fmt.Errorf("--token: %w", err)}
	}
	for _, path := range f.hostfiles {
		q.Hostfiles = append(q.Hostfiles, hostfile.Reader{
			Path: path, Format: f.format, JSONPath: f.jsonPath, Projection: f.projection,
			Token: token, Stdin: p.In, Fetch: fetcher(d),
		})
	}
	if f.each != "" {
		q.Each = &hostfile.Reader{Path: f.each, Stdin: p.In, Fetch: fetcher(d), Each: true}
	}
	return q, nil
}

// fetcher reads host files from URLs, through the dialer like everything else.
func fetcher(d *dial.Dialer) func(context.Context, string, http.Header) (io.ReadCloser, error) {
	client := &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment},
	}
	return func(ctx context.Context, url string, header http.Header) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		req.Header = header
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 != 2 {
			resp.Body.Close()
			return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return resp.Body, nil
	}
}

// groups resolves @groups from muster's own groups.d and from ClusterShell's groups.conf.
func (p *Program) groups() *hostfile.Groups {
	return &hostfile.Groups{
		Dirs:         []string{filepath.Join(p.configDir(), "groups.d")},
		ClusterShell: hostfile.ClusterShellConfigs(p.Getenv),
	}
}

func (p *Program) setParser() nodeset.Parser {
	return nodeset.Parser{Resolver: p.groups()}
}

func positive(what, s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, usageError{fmt.Errorf("%s %q: want a number of 1 or more", what, s)}
	}
	return n, nil
}
