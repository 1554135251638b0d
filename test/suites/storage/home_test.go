package storage

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

var homeFix = regexp.MustCompile(`(?:chmod 700 |chmod u\+rwx |mkdir -m 0700 [^\s]+ && chown -h \d+ )[^\s(\x1b]+`)

// TestOddHomes: a home that is missing or closed, and a directory of jobs in it that others may write
// or that root has made. Where the log has a command, the job runs after it.
func TestOddHomes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, home string)
		fix   bool
		texts []string
	}{
		"missing": {func(t *testing.T, home string) {
			testutil.Must(t, os.Rename(home, home+".away"))
			t.Cleanup(func() { testutil.Must(t, os.Rename(home+".away", home)) })
		}, false, []string{"no such file or directory", "its parent directory must exist; the site's administrators create home directories"}},
		"closed": {func(t *testing.T, home string) {
			testutil.Must(t, os.Chmod(home, 0))
			t.Cleanup(func() { testutil.Must(t, os.Chmod(home, 0o700)) })
		}, true, []string{"permission denied", "you may not enter your own directory "}},
		"others may write the directory of jobs": {func(t *testing.T, home string) {
			testutil.Must(t, os.Chmod(home+"/.jacamar-ci", 0o777))
		}, true, []string{"others may enter it (mode 0777)", "make it private: chmod 700 "}},
		"root's directory of jobs": {func(t *testing.T, home string) {
			testutil.Must(t, os.Rename(home+"/.jacamar-ci", home+"/.away"), os.Mkdir(home+"/.jacamar-ci", 0o700))
			t.Cleanup(func() {
				testutil.Must(t, os.RemoveAll(home+"/.jacamar-ci"), os.Rename(home+"/.away", home+"/.jacamar-ci"))
			})
		}, true, []string{"owned by root, not by you", "an administrator can then create it for you: mkdir -m 0700 "}},
	} {
		t.Run(name, func(t *testing.T) {
			s := site.New(t)
			job := bare(s)
			site.Want(t, s.Runner().Run(job), fakerunner.Success, 0)
			tt.spoil(t, s.Account.Home)
			r := s.Runner().Run(job)
			site.Want(t, r, fakerunner.SystemFailure, 0, tt.texts...)
			if !tt.fix {
				return
			}
			command := homeFix.FindString(r.Trace)
			if strings.HasPrefix(command, "mkdir") {
				testutil.Must(t, os.Rename(s.Account.Home+"/.jacamar-ci", t.TempDir()+"/moved"))
			}
			if out, err := exec.Command("/bin/sh", "-c", command).CombinedOutput(); err != nil || command == "" {
				t.Fatalf("%q: %v\n%s", command, err, out)
			}
			site.Want(t, s.Runner().Run(job), fakerunner.Success, 0)
		})
	}
}
