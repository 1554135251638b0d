// Package storage runs whole CI jobs through the built programs on the storage
// that sites have: shared by runners, full, behind a network, and under the
// hands of users who swap directories.
package storage

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) {
	syscalls.Main()
	if os.Getenv(guestVariable) != "" {
		os.Exit(m.Run()) // the installation is not the guest's to remove
	}
	os.Exit(site.Main(m))
}

// dataDir gives a site a data_dir of its own, which all accounts share, and
// returns the base directory of the job's account in it.
func dataDir(t testing.TB, s *site.Site, change ...func(site.Config)) (base string) {
	t.Helper()
	dir := filepath.Join(s.Dir, "jobs")
	must(t, os.Mkdir(dir, 0o755), os.Chmod(dir, os.ModeSticky|0o777))
	return dataDirAt(t, s, dir, change...)
}

// dataDirAt does that with a directory that is there.
func dataDirAt(t testing.TB, s *site.Site, dir string, change ...func(site.Config)) (base string) {
	t.Helper()
	must(t, s.Reconfigure(append(change, func(c site.Config) { c.Set("general", "data_dir", dir) })...))
	return filepath.Join(dir, s.Account.Name)
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// want compares a job's end with what the runner should report.
func want(t testing.TB, r fakerunner.Result, outcome fakerunner.Outcome, code int) {
	t.Helper()
	if r.Outcome != outcome || r.ExitCode != code {
		t.Errorf("the job ended as %s with code %d (%s), want %s with %d; its log:\n%s", r.Outcome, r.ExitCode, r.Reason, outcome, code, r.Trace)
	}
}

// shows checks that the job log has the texts.
func shows(t testing.TB, r fakerunner.Result, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.Trace, text) {
			t.Errorf("no %q in the job log:\n%s", text, r.Trace)
		}
	}
}

// below lists what is below a directory, with relative paths.
func below(t testing.TB, dir string) (paths []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			paths = append(paths, rel)
		}
		return err
	}))
	return paths
}
