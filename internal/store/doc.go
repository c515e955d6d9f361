// Package store keeps jobs, their frozen lists and their results in one SQLite
// file, so that a run can be listed, shown, grouped by another rule, compared
// and repeated long after it ended.
//
// # What may be relied upon
//
// [Store.Begin] writes the list whole and then the job, in that order, so a job
// that is seen has its list. [Recorder.Write] commits its results and the job's
// counts in one transaction: whatever kills the process, what is stored adds
// up, and [Store.Reap] gives every other target its outcome. A commit survives
// the death of the process; [Recorder.Reserve] and [Recorder.Finish] also wait
// for the disk and survive a power cut.
//
// A store that breaks under a running job (disk full, lock held too long, file
// deleted or corrupt) does not stop it: its Recorder goes on in a spill file of
// JSON lines and says so in [Recorder.Health].
//
// # Layout
//
// Results are kept in segments of up to 1,000: columns, packed and compressed,
// with small bodies beside them and large ones once in a table of their own.
// The numbers of targets stand for the targets, which live in the job's list;
// lists are shared by all jobs with the same hash. See
// docs/adr/0002-result-segments.md.
//
// Times and durations of results are kept in microseconds, durations rounded
// up; everything else comes back as it was written, empty slices as nil.
//
// A [Store] is safe for concurrent use, and several processes may have the same
// file open. No transaction is held while a caller does something else. The
// file must lie on a local file system, as SQLite's write-ahead log demands.
package store
