// Package executor runs a job's scripts: on this host (Local), or through a
// scheduler.
package executor

// Stop is how the outside ends a job.
type Stop struct {
	// Terminate is closed when the job must end in good order.
	Terminate <-chan struct{}
	// Abort is closed, always with or after Asked, when it must end at once.
	Abort <-chan struct{}
}
