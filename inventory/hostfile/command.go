package hostfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/musterhq/muster"
)

// The commands of a source.
const (
	commandMap     = "map"
	commandAll     = "all"
	commandList    = "list"
	commandReverse = "reverse"
)

// defaultTimeout bounds a command.
const defaultTimeout = 30 * time.Second

// commandSource is a source that shell commands answer for.
type commandSource struct {
	name, dir, from string
	timeout         time.Duration
	cacheTime       time.Duration
	commands        map[string]string

	mu      sync.Mutex
	answers map[string]*answer
}

// answer is what a command said or is about to say.
type answer struct {
	done      chan struct{} // closed once text, err and abandoned are there
	text      string
	err       error
	abandoned bool // because its caller did not want it any more
	until     time.Time
}

// harmless are the names that a shell and the usual commands take as they are.
var harmless = regexp.MustCompile(`^[\pL\pN_.:+][\pL\pN_.:+=%\[\]-]*$`)

func (s *commandSource) group(ctx context.Context, name string) (string, error) {
	text, err := s.ask(ctx, commandMap, "GROUP", name)
	if err != nil {
		return "", err
	}
	nodes := strings.Join(strings.Fields(text), ",")
	if nodes != "" || s.commands[commandList] == "" {
		return nodes, nil
	}
	// Nothing is what most commands say of a group they do not know.
	names, err := s.groups(ctx)
	if err == nil && !slices.Contains(names, name) && !slices.ContainsFunc(names, folded) {
		err = unknownGroup(s.name, name, names)
	}
	return "", err
}

func folded(name string) bool { return strings.Contains(name, "[") }

func (s *commandSource) groups(ctx context.Context) ([]string, error) {
	text, err := s.ask(ctx, commandList, "", "")
	if err != nil {
		return nil, err
	}
	names := strings.Fields(text)
	for _, name := range names {
		if strings.ContainsAny(name, "@,!&^*") {
			return nil, muster.Errorf(muster.KindInvalid, "group source %s: its command list gives the name %q, which has one of @ , ! & ^ *", s.name, shorten(name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (s *commandSource) all(ctx context.Context) (string, error) {
	text, err := s.ask(ctx, commandAll, "", "")
	return strings.Join(strings.Fields(text), ","), err
}

func (s *commandSource) groupsOf(ctx context.Context, node string) ([]string, error) {
	text, err := s.ask(ctx, commandReverse, "NODE", node)
	return strings.Fields(text), err
}

func (s *commandSource) origin(string) string { return s.from }

// ask returns what a command answers with $variable set to value, from memory
// where it can. Callers that ask the same at once share one command.
func (s *commandSource) ask(ctx context.Context, kind, variable, value string) (string, error) {
	command := s.commands[kind]
	if command == "" {
		return "", fmt.Errorf("group source %s has no command %s: %w", s.name, kind, errors.ErrUnsupported)
	}
	if variable != "" && !harmless.MatchString(value) {
		return "", muster.Errorf(muster.KindInvalid, "group source %s: %q has characters that must not reach a shell", s.name, shorten(value))
	}
	for {
		a, mine := s.claim(kind + " " + value)
		if mine {
			a.text, a.err = s.run(ctx, command, map[string]string{"CFGDIR": s.dir, "SOURCE": s.name, variable: value})
			a.abandoned = ctx.Err() != nil
			s.settle(kind+" "+value, a)
			return a.text, a.err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("group source %s: %w", s.name, context.Cause(ctx))
		case <-a.done:
		}
		if !a.abandoned {
			return a.text, a.err
		}
	}
}

// claim returns the answer under key; mine says that the caller must give it.
func (s *commandSource) claim(key string) (a *answer, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a = s.answers[key]
	if a != nil && (a.until.IsZero() || time.Now().Before(a.until)) {
		return a, false
	}
	a = &answer{done: make(chan struct{})}
	s.answers[key] = a
	return a, true
}

// settle publishes an answer; an error is not remembered.
func (s *commandSource) settle(key string, a *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.err != nil {
		delete(s.answers, key)
	}
	a.until = time.Now().Add(s.cacheTime)
	close(a.done)
}

// run runs a command in the source's folder and returns its output without
// blanks around it. Its whole process group dies with ctx or the timeout.
func (s *commandSource) run(ctx context.Context, command string, vars map[string]string) (string, error) {
	timeout := s.timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	line := substitute(command, vars)
	var stdout, stderr limitedBuffer
	stdout.left, stderr.left = MaxLine, 1<<10
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	switch {
	case err != nil:
		return "", muster.Errorf(muster.KindUnavailable, "group source %s: command %q: %w%s", s.name, line, err, said(stderr.kept.String()))
	case stdout.over:
		return "", muster.Errorf(muster.KindInvalid, "group source %s: command %q says more than %d MiB", s.name, line, MaxLine>>20)
	}
	return strings.TrimSpace(stdout.kept.String()), nil
}

// said is what a command complained about.
func said(stderr string) string {
	if stderr = strings.TrimSpace(strings.ToValidUTF8(stderr, "\ufffd")); stderr == "" {
		return ""
	}
	return ": " + stderr
}

// limitedBuffer keeps the first bytes and drops the rest.
type limitedBuffer struct {
	kept bytes.Buffer // not embedded: its ReadFrom knows no limit
	left int
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	keep := min(len(p), b.left)
	b.left -= keep
	b.over = b.over || keep < len(p)
	b.kept.Write(p[:keep])
	return len(p), nil
}
