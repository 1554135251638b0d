// Package storage runs whole CI jobs through the built programs on the storage
// that sites have: shared by runners, full, on a network, and with users who replace
// directories.
package storage

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) {
	syscalls.Main()
	if os.Getenv(guestVariable) != "" {
		os.Exit(m.Run()) // the guest must not remove the installation
	}
	os.Exit(site.Main(m))
}

// dataDir gives a site a data_dir of its own, which all accounts share, and
// returns the base directory of the job's account in it.
func dataDir(t testing.TB, s *site.Site, change ...func(site.Config)) (base string) {
	t.Helper()
	dir := filepath.Join(s.Dir, "jobs")
	testutil.Must(t, os.Mkdir(dir, 0o755), os.Chmod(dir, os.ModeSticky|0o777))
	return dataDirAt(t, s, dir, change...)
}

// dataDirAt does that with an existing directory.
func dataDirAt(t testing.TB, s *site.Site, dir string, change ...func(site.Config)) (base string) {
	t.Helper()
	testutil.Must(t, s.Reconfigure(append(change, func(c site.Config) { c.Set("general", "data_dir", dir) })...))
	return filepath.Join(dir, s.Account.Name)
}

// below lists what is below a directory, with relative paths.
func below(t testing.TB, dir string) (paths []string) {
	t.Helper()
	testutil.Must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); rel != "." {
			paths = append(paths, rel)
		}
		return err
	}))
	return paths
}
