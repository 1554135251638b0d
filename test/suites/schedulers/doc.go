// Package schedulers holds what every batch system has to do for a CI job, as
// tests that run whole jobs through both programs: over the fakes, and over real
// schedulers where they can run. The same tests pass on all of them.
package schedulers
