package site

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// NewSibling sets up another site with the same programs, GitLab and accounts, and
// with a configuration, a state and a runner of its own. It needs neither a build
// nor new keys, so that each of many tests can have one. It is for tests that end
// before the site itself is removed.
func (s *Site) NewSibling(t testing.TB, change ...func(Config)) *Site {
	t.Helper()
	dir, err := os.MkdirTemp(s.install.Dir, "site-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	other := *s
	other.Dir, other.ConfigFile, other.StateDir = dir, filepath.Join(dir, "jacamar.toml"), filepath.Join(dir, "state")
	if err := errors.Join(other.directories(), other.Reconfigure(change...)); err != nil {
		t.Fatal(err)
	}
	other.JudgeJobs(t)
	return &other
}
