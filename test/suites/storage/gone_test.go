package storage

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// removals are what a script may remove of its own directories. The runner creates the
// directories of secrets again in each stage.
var removals = []string{"$BASE", "$BASE/builds", "$CI_BUILDS_DIR", "$CI_PROJECT_DIR.tmp", "$CI_PROJECT_DIR $CI_PROJECT_DIR.tmp"}

// TestRemovedDirectoriesComeBackPrivate: whatever of its directories a script has removed,
// in the next stage others cannot read the runner's secrets, nothing of them is left, and
// the next job runs.
func TestRemovedDirectoriesComeBackPrivate(t *testing.T) {
	for _, d := range site.Deployments() {
		if d.Name != "root" && d.Name != "user" {
			continue // the account does it all
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			base := dataDir(t, s)
			for _, what := range removals {
				job := s.Job(fmt.Sprintf("BASE=%s; rm -rf %s", base, what))
				job.AfterScript = []string{"true"}
				r := s.Runner()
				judge := r.Judge
				r.Judge = func(res fakerunner.Result) {
					for i := range res.Calls {
						if res.Calls[i].Stage == "after_script" {
							res.Calls[i].Status = 0 // its project may be away
						}
					}
					judge(res)
				}
				seen := 0
				r.Hooks.Ended = func(c fakerunner.Call) {
					if c.Stage == "after_script" {
						seen += closedSecrets(t, what, base)
					}
				}
				site.Want(t, r.Run(job), fakerunner.Success, 0)
				if seen == 0 {
					t.Errorf("%s: the runner has created no secrets again", what)
				}
			}
		})
	}
}

// closedSecrets counts the files of secrets below the base, and reports those that others
// can read.
func closedSecrets(t *testing.T, name, base string) (count int) {
	t.Helper()
	err := filepath.WalkDir(base, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "CI_SERVER_TLS_CA_FILE" {
			return err
		}
		count++
		for dir := filepath.Dir(path); dir != filepath.Dir(base); dir = filepath.Dir(dir) {
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 && dir == filepath.Dir(path) || dir == base && info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %s has mode %v, %v", name, dir, info.Mode(), err)
			}
		}
		return nil
	})
	testutil.Must(t, err)
	return count
}

// TestFileSystemGoneBetweenStages: the failure of a script whose directories are away, as
// after an unmount, is the resource's. When they are back, the cleanup finds them.
func TestFileSystemGoneBetweenStages(t *testing.T) {
	s := site.New(t)
	base := dataDir(t, s)
	r := s.Runner()
	r.Hooks.Ended = func(c fakerunner.Call) {
		switch c.Stage {
		case "get_sources":
			testutil.Must(t, os.Rename(base, base+".away"))
		case "build_script":
			testutil.Must(t, os.RemoveAll(base), os.Rename(base+".away", base))
		}
	}
	site.Want(t, r.Run(s.Job("echo never")), fakerunner.SystemFailure, 0, "cannot find the job's build directory "+base)
	site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
}

// TestReadOnlyBetweenStages: the failure of a script whose directories cannot be written any
// more is the resource's, and names their file system.
func TestReadOnlyBetweenStages(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts")
	}
	s := site.New(t)
	base := dataDir(t, s)
	r := s.Runner()
	r.Hooks.Launch = func(stage string) []string {
		if stage != "build_script" {
			return nil
		}
		return []string{"/usr/bin/unshare", "--mount", "/bin/sh", "-c", `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"`, filepath.Dir(base)}
	}
	site.Want(t, r.Run(s.Job("echo never")), fakerunner.SystemFailure, 0, "ERROR: the file system "+filepath.Dir(base)+" of the job's build directory is mounted read-only")
	site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
}
