package probe

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster"
)

// DefaultCommandTimeout bounds one run of a command: 10 minutes.
const DefaultCommandTimeout = 10 * time.Minute

// commandsPerProcessor caps how many commands run at once for each processor of this machine.
const commandsPerProcessor = 4

// Exec runs a command on this machine for each target, with the target in its arguments and
// environment. All strings but StdinFile are templates of package vars.
//
// The command inherits muster's environment and finds, on top of it, MUSTER_TARGET (the id), MUSTER_HOST,
// MUSTER_PORT, MUSTER_ADDRESS (host and port as one word, an IPv6 address with a port in brackets), and a
// MUSTER_LABEL_x and MUSTER_VAR_x per label and variable of the target, every character of x but ASCII
// letters, digits and "_" replaced by "_".
//
// Without an expectation of the action's own exit status 0 is ok. Standard output is the body,
// standard error the field "stderr". A command is over when it has exited and
// all that it started has closed its output; at a timeout or a cancel its whole process group is
// told to terminate, and killed half a second later.
type Exec struct {
	// Command is the program and its arguments. The program is looked up in the PATH; no shell is asked.
	Command []string `json:"command"`
	// Shell makes Command, joined by blanks, a script of /bin/sh. Values of variables are
	// part of the script there: {{.x | sh}} makes one word of them.
	Shell bool `json:"shell,omitempty"`
	// Env is set on top of the environment. Secrets belong here or into Stdin, never into Command, which
	// everybody on this machine can read.
	Env []Pair `json:"env,omitempty"`
	// Dir is the working directory; "" is muster's own.
	Dir string `json:"dir,omitempty"`
	// Stdin is what the command reads; "" is nothing, an end of file.
	Stdin string `json:"stdin,omitempty"`
	// StdinFile is the path of a file that it reads instead, as it is when the probe is compiled.
	StdinFile string `json:"stdin_file,omitempty"`
	// Port is that of targets that state none; "" leaves MUSTER_PORT empty for them.
	Port string `json:"port,omitempty"`

	// Nagios takes the command for a monitoring plugin: its exit status is OK, WARNING,
	// CRITICAL or UNKNOWN, the first line of its output the field "output", and its performance
	// data the fields perf.LABEL, perf.LABEL.uom, .warn, .crit, .min and .max.
	Nagios bool `json:"nagios,omitempty"`

	// BodyLimit bounds standard output and standard error, each; 0 is DefaultBodyLimit. A command
	// that writes more is ended and fails as too_large.
	BodyLimit int64 `json:"body_limit,omitempty"`
	// Truncate lets it run to its end instead, and cuts and marks what it wrote.
	Truncate bool `json:"truncate,omitempty"`
}

var _ Traited = Exec{}

// Traits says that commands are slow, and cost this machine a process each.
func (e Exec) Traits() Traits {
	t := Traits{
		Timeout: DefaultCommandTimeout, Fanout: commandsPerProcessor * runtime.GOMAXPROCS(0),
		Fields: []string{"stderr"}, SharedSockets: true,
	}
	if e.Nagios {
		t.Fields = []string{"output", "perf", "stderr"}
	}
	return t
}

// Safe reports false: nobody knows what a command does.
func (e Exec) Safe() bool { return false }

// Validate reports every problem at once. It neither reads files nor parses templates, which
// Prober does.
func (e Exec) Validate() error {
	var p problems
	p.addIf(len(e.Command) == 0 || e.Command[0] == "", "command: want a program and its arguments")
	p.addIf(slices.ContainsFunc(e.Command, func(s string) bool { return strings.Contains(s, "\x00") }), "command: an argument holds a NUL byte")
	for _, v := range e.Env {
		p.addIf(v.Name == "" || strings.ContainsAny(v.Name, "=\x00"), "env %q: want NAME=VALUE", v.Name)
		p.addIf(strings.Contains(v.Value, "\x00"), "env %s: the value holds a NUL byte", v.Name)
	}
	p.addIf(e.Stdin != "" && e.StdinFile != "", "stdin and stdin_file: want one of them")
	if e.Port != "" && !isTemplate(e.Port) {
		_, err := parsePort(e.Port)
		p.add(err)
	}
	p.addIf(e.BodyLimit < 0 || e.BodyLimit > maxBodyLimit, "body_limit %d: want 1 to %d bytes", e.BodyLimit, maxBodyLimit)
	return errors.Join(p...)
}

// Prober compiles the spec. Files and secrets that it refers to are read now, and a program that does not
// depend on the target is looked up.
func (e Exec) Prober(env Env) (muster.Prober, error) { return compileExec(e, env) }
