// Package fanout is the engine: it drives a [muster.Prober] over a frozen
// [muster.List] under a [muster.Plan], and yields exactly one result per target.
//
// What is under way is the least of what the plan, the adaptive limit, the error
// budget, the caps per host and per label, the batches and the descriptors allow;
// [Run.Status] names the one that binds. The engine logs nothing and keeps nothing:
// a million targets pass through it in the memory of those under way.
//
// The pure parts (window, limiter, pacer) take time as an argument and start no
// goroutine; [Run] owns all goroutines and ends them before its iterator returns.
package fanout
