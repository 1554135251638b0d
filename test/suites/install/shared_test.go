package install

import (
	"io/fs"
	"path/filepath"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// TestNoInstalledFileIsAConfiguration: K25, an account that may run jacamar-auth chooses among the
// files of root's that are configurations. None of them comes with Jacamar.
func TestNoInstalledFileIsAConfiguration(t *testing.T) {
	dest, examples := testutil.HomeDir(t), 0
	if out, err := run(top, "rpm/install-share", dest, "/opt/jacamar"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	err := filepath.WalkDir(dest, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if filepath.Ext(file) == ".toml" {
			examples++
		}
		path, err := job.ParseAbsPath(file)
		if err != nil {
			return err
		}
		if _, err := config.Load(path); err == nil {
			t.Errorf("jacamar-auth accepts %s as its configuration", file)
		}
		return nil
	})
	if err != nil || examples != len(sites(t)) {
		t.Errorf("%d examples, %v", examples, err)
	}
}
