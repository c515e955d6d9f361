// Package blackbox runs the modules of Prometheus's blackbox_exporter: it reads that program's
// configuration file unchanged and compiles a module into an action that muster spreads over any number
// of targets.
//
// What the exporter calls a success is ok. An answer that breaks one of the module's rules is unexpected, with the
// rule as its reason; where there is no answer the target failed, as with any other action.
//
// These differ on purpose:
//
//   - Secrets that stand in the file stay there: the action refers to their place ([Secret]).
//   - A module without a timeout has muster's own, not the 120 s that the exporter has without Prometheus.
//   - Bodies are held against patterns up to 64 MiB when the module sets no body_size_limit.
//   - A name that a proxy resolves is not resolved here as well (skip_resolve_phase_with_proxy).
//   - Regular expressions of a dns module are checked when the file is read, not when it is used.
//   - A grpc module without a grpc section speaks IPv4 as well; the exporter then forgets its default.
//   - HTTP/3 needs a muster that is built with it.
//   - What muster cannot do is refused with the path of its key: oauth2 of WebSockets, and the prober unix.
package blackbox
