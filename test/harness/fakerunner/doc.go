// Package fakerunner plays GitLab Runner's custom executor towards a driver:
// the same calls in the same order, with the same arguments, environment,
// directories, signals, retries and reading of exit statuses, for one job at a
// time or several at once. The scripts it hands over have the shape of the
// runner's own and do real work: they clone, cache and upload.
//
// What it plays is GitLab Runner 19.4 as documented at
// https://docs.gitlab.com/runner/executors/custom/ and as observed.
//
// A driver is any program; the package knows none in particular.
package fakerunner
