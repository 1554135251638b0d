// Package gitlabrunner has whole-job scenarios that run twice: under the runner that
// test/harness/fakerunner plays, and under an official gitlab-runner where one is on
// PATH or named by GITLAB_RUNNER. Both must report the same, which also keeps
// the played one true.
package gitlabrunner
