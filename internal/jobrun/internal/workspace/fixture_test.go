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
)

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func abs(t testing.TB, path string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(path)
	must(t, err)
	return p
}

// self is an account whose home is a new directory, with this process's user id.
func self(t testing.TB) job.Account {
	t.Helper()
	home, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err, os.Chmod(home, 0o700))
	name, err := job.ParseUsername("alice")
	must(t, err)
	return job.Account{Name: name, UID: job.UID(os.Geteuid()), GID: job.GID(os.Getegid()), Home: abs(t, home), Shell: abs(t, "/bin/bash")}
}

// order is a job whose runner is this very process.
func order(t testing.TB, a job.Account, id job.ID) Order {
	t.Helper()
	owner, _ := proctree.Find(os.Getpid())
	return Order{
		Brief: ipc.Request{
			Stage: job.Config, Account: a,
			Job:      ipc.Job{ID: id, Runner: "t0ken", Project: "group/project", ProjectID: 12, Timeout: 3600, Owner: owner},
			Settings: ipc.Settings{DataDir: "$HOME", Storage: ipc.Storage{StaticBuildsDays: 7}},
		},
		Unsettled: func(job.AbsPath) bool { return false },
	}
}

func workspace(t testing.TB, o Order) *Workspace {
	t.Helper()
	w, err := Open(o)
	must(t, err)
	t.Cleanup(w.Close)
	return w
}

// configure runs a job's config stage and gives back the order for its later ones.
func configure(t testing.TB, o Order) Order {
	t.Helper()
	dirs, err := workspace(t, o).Config()
	must(t, err)
	o.Brief.Dirs = dirs
	o.Brief.Job.Temp = abs(t, filepath.Join(dirs.Builds.String(), o.Brief.Job.Project+".tmp"))
	return o
}

func prepare(t testing.TB, o Order) { t.Helper(); must(t, workspace(t, o).Prepare()) }
func cleanup(t testing.TB, o Order) { t.Helper(); must(t, workspace(t, o).Cleanup()) }

// slot is the last part of an order's build directory.
func slot(o Order) string { return filepath.Base(o.Brief.Dirs.Builds.String()) }

// put makes a file and the directories above it.
func put(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
}

// play does what the runner's scripts do in a build directory, up to the point
// at which a job is aborted.
func play(t testing.TB, o Order) {
	t.Helper()
	project := filepath.Join(o.Brief.Dirs.Builds.String(), o.Brief.Job.Project)
	put(t, filepath.Join(project, "README"), "x")
	put(t, filepath.Join(project+".tmp", "SECRET"), "hush")
	put(t, filepath.Join(project+".tmp", ".gitlab-runner.ext.conf"), "token")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// files lists everything below a directory but the files of this package itself
// and the trash, unless something is in it.
func files(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
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
	must(t, cmd.Start())
	p, ok := proctree.Find(cmd.Process.Pid)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if !ok || !p.Gone() {
		t.Fatalf("%+v, %v", p, ok)
	}
	return p
}
