package workspace

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// testAccount is an account whose home is a new directory, with this process's user id.
func testAccount(t testing.TB) job.Account {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	testutil.Must(t, err, os.Chmod(home, 0o700))
	name, err := job.ParseUsername("alice")
	testutil.Must(t, err)
	return job.Account{Name: name, UID: job.UID(os.Geteuid()), GID: job.GID(os.Getegid()), Home: testutil.AbsPath(t, home), Shell: testutil.AbsPath(t, "/bin/bash")}
}

// options describe a job whose runner is this process.
func options(t testing.TB, a job.Account, id job.ID) Options {
	t.Helper()
	owner, _ := proctree.Find(os.Getpid())
	return Options{
		Request: ipc.Request{
			Stage: job.Config, Account: a,
			Job:      ipc.Job{ID: id, Runner: "t0ken", Project: "group/project", ProjectID: 12, Timeout: 3600, Owner: owner},
			Settings: ipc.Settings{DataDir: "$HOME", General: settings.General{Directories: settings.Directories{StaticBuildsDays: 7}}},
		},
		HasOrphans: func(job.AbsPath) bool { return false },
	}
}

func openWorkspace(t testing.TB, o Options) *Workspace {
	t.Helper()
	w, err := Open(o)
	testutil.Must(t, err)
	t.Cleanup(w.Close)
	return w
}

// configure runs a job's config stage and returns the options for its later stages.
func configure(t testing.TB, o Options) Options {
	t.Helper()
	dirs, err := openWorkspace(t, o).Config()
	testutil.Must(t, err)
	o.Request.Dirs = dirs
	o.Request.Job.Temp = testutil.AbsPath(t, filepath.Join(dirs.Builds.String(), o.Request.Job.Project+".tmp"))
	return o
}

func prepare(t testing.TB, o Options) { t.Helper(); testutil.Must(t, openWorkspace(t, o).Prepare()) }
func cleanup(t testing.TB, o Options) { t.Helper(); testutil.Must(t, openWorkspace(t, o).Cleanup()) }

// slot is the last part of the build directory's path.
func slot(o Options) string { return filepath.Base(o.Request.Dirs.Builds.String()) }

// writeFile creates a file and its parent directories.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	testutil.Must(t, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
}

// writeJobFiles writes the files that the runner's scripts leave in the build directory
// of an aborted job.
func writeJobFiles(t testing.TB, o Options) {
	t.Helper()
	project := filepath.Join(o.Request.Dirs.Builds.String(), o.Request.Job.Project)
	writeFile(t, filepath.Join(project, "README"), "x")
	writeFile(t, filepath.Join(project+".tmp", "SECRET"), "hush")
	writeFile(t, filepath.Join(project+".tmp", ".gitlab-runner.ext.conf"), "token")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// files lists everything in a directory except the files of this package itself and an
// empty trash.
func files(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	testutil.Must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !strings.HasPrefix(e.Name(), ".claims") && e.Name() != trashDir && path != dir {
			all = append(all, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return strings.Join(all, " ")
}

// dead is a process that has ended.
func dead(t testing.TB) proctree.Process {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	testutil.Must(t, cmd.Start())
	p, ok := proctree.Find(cmd.Process.Pid)
	testutil.Must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if !ok || !p.Gone() {
		t.Fatalf("%+v, %v", p, ok)
	}
	return p
}
