// Package testutil has the few checks that unit tests and suites share.
package testutil

import (
	"testing"

	"jacamar-ci/internal/job"
)

// Must ends the test at the first error.
func Must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// AbsPath is a path that is absolute and clean.
func AbsPath(t testing.TB, path string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(path)
	Must(t, err)
	return p
}

// Username is a valid name.
func Username(t testing.TB, name string) job.Username {
	t.Helper()
	u, err := job.ParseUsername(name)
	Must(t, err)
	return u
}
