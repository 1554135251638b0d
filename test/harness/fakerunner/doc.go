// Package fakerunner imitates GitLab Runner's custom executor for a driver:
// the same calls in the same order, with the same arguments, environment,
// directories, signals, retries and interpretation of exit statuses, for one job at a
// time or several at once. The scripts that it passes have the form of the runner's own
// and do real work: they clone, cache and upload.
//
// It follows GitLab Runner 19.4 as documented at
// https://docs.gitlab.com/runner/executors/custom/ and as observed.
//
// A driver is any program; the package depends on none in particular.
package fakerunner
