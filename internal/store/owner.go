package store

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/musterhq/muster"
)

// initialPIDs is the name of the first pid namespace of every Linux system.
const initialPIDs = "pid:[4026531836]"

// Self returns this process as an owner of jobs. Where a container gives it a pid
// namespace of its own, the namespace is part of the host: a pid means nothing outside of it.
// What cannot be found out is left zero.
func Self() muster.Owner {
	o := muster.Owner{PID: os.Getpid(), Host: thisHost(), Boot: thisBoot()}
	o.Start, _ = startOf(o.PID)
	return o
}

func thisHost() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil && ns != initialPIDs {
		host += "/" + ns
	}
	return host
}

func thisBoot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// startOf returns when a process started, in ticks since boot: field 22 of its stat,
// counted after the command, which may contain anything.
func startOf(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	cols := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(cols) < 20 {
		return 0, fmt.Errorf("stat of process %d: %d fields", pid, len(cols))
	}
	if state := string(cols[0]); state == "Z" || state == "X" {
		return 0, fmt.Errorf("process %d has ended: %w", pid, fs.ErrNotExist)
	}
	return strconv.ParseUint(string(cols[19]), 10, 64)
}
