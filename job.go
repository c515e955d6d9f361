package muster

import (
	"crypto/rand"
	"slices"
	"time"
)

// SpecVersion is the version of the JSON form of [JobSpec].
const SpecVersion = 1

// JobSpec is all that is needed to run a job again, given its frozen list. It
// can be written as JSON and holds no secret, only references.
type JobSpec struct {
	// Schema is SpecVersion.
	Schema int `json:"schema"`
	// Action is what is done to each target.
	Action Action `json:"action"`
	// Plan is how it is spread.
	Plan Plan `json:"plan"`
	// Selection describes, for people, where the targets came from.
	Selection string `json:"selection,omitempty"`
	// Reason is the user's own note of why the job is run.
	Reason string `json:"reason,omitempty"`
	// SaveBodies says which bodies the store keeps; "" is SaveAll.
	SaveBodies SaveBodies `json:"save_bodies,omitempty"`
}

// SaveBodies says which bodies a store keeps.
type SaveBodies string

// The choices of [SaveBodies].
const (
	SaveAll    SaveBodies = "all"
	SaveFailed SaveBodies = "failed" // those of targets that did not end OK
	SaveNone   SaveBodies = "none"
)

// Keeps reports whether the body of r is stored.
func (s SaveBodies) Keeps(r *Result) bool {
	switch s {
	case SaveNone:
		return false
	case SaveFailed:
		return r.Outcome != OK
	}
	return true
}

// JobState is where a job is in its life.
type JobState string

// The states. The last four are final.
const (
	StateQueued      JobState = "queued"      // accepted, not started
	StateRunning     JobState = "running"     // targets are being worked on
	StatePaused      JobState = "paused"      // starts nothing until resumed
	StateDone        JobState = "done"        // went through all its targets
	StateStopped     JobState = "stopped"     // ended early by budget, canary or deadline
	StateCanceled    JobState = "canceled"    // ended early by its user
	StateInterrupted JobState = "interrupted" // its process died; closed by another
)

var moves = map[JobState][]JobState{
	StateQueued:  {StateRunning, StateCanceled, StateInterrupted},
	StateRunning: {StatePaused, StateDone, StateStopped, StateCanceled, StateInterrupted},
	StatePaused:  {StateRunning, StateStopped, StateCanceled, StateInterrupted},
}

// Final reports whether nothing comes after s.
func (s JobState) Final() bool { return moves[s] == nil && s != "" }

// CanBecome reports whether a job may go from s to t.
func (s JobState) CanBecome(t JobState) bool { return slices.Contains(moves[s], t) }

// Job is a job's record.
type Job struct {
	ID    string   `json:"id"`
	State JobState `json:"state"`
	// Why says what ended the job early: "error budget", "canary", "deadline", "signal".
	Why string `json:"why,omitempty"`
	// Created, Started and Finished are UTC; zero while they have not happened.
	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	// User is who ran it, Command how.
	User    string  `json:"user,omitempty"`
	Command string  `json:"command,omitempty"`
	Spec    JobSpec `json:"spec"`
	Ledger  Ledger  `json:"ledger"`
	// Duplicates is how many listed exact duplicates were dropped.
	Duplicates int `json:"duplicates"`
	// Owner is the process that runs the job, as long as it runs.
	Owner Owner `json:"owner,omitzero"`
}

// Owner names a process beyond the reuse of its pid.
type Owner struct {
	Host string `json:"host"`
	// Boot identifies the boot of the host, PID the process, and Start the
	// process's start in the kernel's ticks since boot.
	Boot  string `json:"boot"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// idAlphabet leaves out the letters that are read as digits or as one another.
const idAlphabet = "abcdefghjkmnpqrstvwxyz23456789"

// NewJobID returns an id that sorts by time and can be read out over a telephone:
// "261120-183441-k3fz".
func NewJobID(now time.Time) string {
	var b [4]byte
	rand.Read(b[:])
	for i := range b {
		b[i] = idAlphabet[int(b[i])%len(idAlphabet)]
	}
	return now.UTC().Format("060102-150405-") + string(b[:])
}
