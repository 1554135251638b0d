// Package gitlabrunner runs whole-job scenarios twice: with test/harness/fakerunner, and
// with an official gitlab-runner where one is on PATH or named by GITLAB_RUNNER. Both
// must report the same, which also verifies the fake one.
package gitlabrunner
