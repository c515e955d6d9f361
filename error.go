package muster

import (
	"errors"
	"fmt"
)

// Kind classifies an error for whoever must turn it into an exit code, an HTTP
// status or a message. It is for errors of muster's own work: a target's
// failure is a [Result], never an error.
type Kind string

// The closed set of kinds.
const (
	// KindInternal is the kind of every error that says nothing else.
	KindInternal Kind = "internal"
	// KindInvalid means that the input is wrong; the message names it and the way out.
	KindInvalid Kind = "invalid"
	// KindNotFound means that the named thing does not exist.
	KindNotFound Kind = "not_found"
	// KindConflict means that the state of things forbids it.
	KindConflict Kind = "conflict"
	// KindDenied means that policy forbids it.
	KindDenied Kind = "denied"
	// KindUnavailable means that a resource is out of reach or broken; trying again may help.
	KindUnavailable Kind = "unavailable"
)

// Error is an error with a kind. Its message is meant for a person.
type Error struct {
	Kind Kind
	Err  error
}

// Errorf returns an [*Error] of kind k with a message formatted as by
// [fmt.Errorf]; %w wraps.
func Errorf(k Kind, format string, args ...any) error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// Error returns the message.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost [*Error] in err's chain,
// [KindInternal] when there is none, and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}
