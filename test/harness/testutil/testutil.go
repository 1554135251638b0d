// Package testutil has the few checks that unit tests and suites share.
package testutil

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

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

// HomeDir is a new directory in the home of this account, whose parents can be trusted
// where the home can: t.TempDir is below /tmp, which every user can write.
func HomeDir(t testing.TB) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err == nil {
		home, err = filepath.EvalSymlinks(home)
	}
	if err != nil {
		t.Skipf("this account has no home: %v", err)
	}
	dir, err := os.MkdirTemp(home, "jacamar-test-")
	if err != nil {
		t.Skipf("cannot make a directory in the home of this account: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Leaves calls f with each value of a decoded JSON document that is neither an object nor a
// list, with its path, such as .a[0].b, and with a function that replaces it.
func Leaves(doc any, f func(path string, v any, replace func(any))) { leaves("", doc, nil, f) }

func leaves(path string, v any, replace func(any), f func(path string, v any, replace func(any))) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			leaves(path+"."+k, inner, func(n any) { v[k] = n }, f)
		}
	case []any:
		for i, inner := range v {
			leaves(fmt.Sprintf("%s[%d]", path, i), inner, func(n any) { v[i] = n }, f)
		}
	default:
		f(path, v, replace)
	}
}

// RunNotFavored runs the tests of a package, for TestMain, without a nice value below 0 that
// they were started with: programs refuse a job that has one from the runner's service. New
// threads have it from those that start them.
func RunNotFavored(m *testing.M) int {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		// The system call returns 20 minus the nice value (getpriority(2)).
		if raw, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && raw > 20 {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, 0)
		}
	}
	return m.Run()
}
