// Package schedulers tests the behaviour that every batch system must have for a CI job,
// with whole jobs through both programs: over the fakes, and over real schedulers where
// they can run. The same tests pass on all of them.
package schedulers
