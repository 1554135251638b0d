package storage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestGroupReadsNoSecrets (C11): in directories that the group may read, another member of
// the group reads the files of a running job: the project, but neither the file variables
// nor git's configuration with the job's token, also where their directory existed before
// and was open.
func TestGroupReadsNoSecrets(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it looks as another account")
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) { groupReads(t, d.Open(t)) })
	}
}

func groupReads(t *testing.T, s *site.Site) {
	bob, err := site.LookupAccount(s.Accounts.Bob)
	testutil.Must(t, err)
	base := dataDir(t, s, func(c site.Config) { c.Set("general", "group_permissions", true) })
	testutil.Must(t, os.Chmod(filepath.Dir(base), 0o1777|os.ModeSticky))
	job := wholeJob(t, s)
	// Files that the job before this one could have left.
	temp := filepath.Join(base, "builds/t0kenXyz1/000/group/whole.tmp")
	plain := s.Job(`mkdir -p "$CI_BUILDS_DIR/group/whole.tmp" && chmod 777 "$CI_BUILDS_DIR/group/whole.tmp"`)
	site.Want(t, s.Runner().Run(plain), fakerunner.Success, 0)
	if info, err := os.Stat(temp); err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("%v: the directory of secrets is not there before", err)
	}
	hold := filepath.Join(s.Dir, "hold")
	testutil.Must(t, os.WriteFile(hold, nil, 0o644))
	job.Script = append([]string{"umask", `echo "token: $(grep -c glcbt "$RUNNER_TEMP_PROJECT_DIR/.gitlab-runner.ext.conf")"`, "while [ -e " + hold + " ]; do sleep 0.05; done"}, job.Script...)
	e := s.Runner().Start(job)
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	testutil.Must(t, e.AwaitOutput(ctx, "build_script", "$ while"))
	look := func(path string) string {
		cmd := exec.Command("/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", bob.UID), fmt.Sprintf("--regid=%d", s.Account.GID), "--clear-groups", "/bin/cat", path)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if got := look(strings.TrimSuffix(temp, ".tmp") + "/README"); got != "read me\n" {
		t.Errorf("the group reads of the project %q", got)
	}
	for _, name := range []string{"NOTE", ".gitlab-runner.ext.conf", "CI_SERVER_TLS_CA_FILE", "gitlab_runner_env"} {
		if got := look(filepath.Join(temp, name)); !strings.Contains(got, "Permission denied") {
			t.Errorf("the group reads of %s %q", name, got)
		}
	}
	testutil.Must(t, os.Remove(hold))
	r := e.Wait()
	site.Want(t, r, fakerunner.Success, 0)
	// The job itself reads them, and only their directory keeps others out.
	site.Shows(t, r, "the note reads hello", "\ntoken: 1\n", "\n0022\n")
}
