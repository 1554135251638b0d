package fakerunner

// Order is a runner and the job it is to play, for a runner in a process of its
// own.
type Order struct {
	Runner *Runner
	Job    Job
}
