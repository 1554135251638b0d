package fakerunner

// Order is a runner and its job, for a runner in a process of its own.
type Order struct {
	Runner *Runner
	Job    Job
}
