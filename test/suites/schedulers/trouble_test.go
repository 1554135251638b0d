package schedulers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// A job that runs while Slurm's authentication service is down has the result in its
// status file; a job that starts then has a note in its log, and waits for the service.
func TestMungeDown(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: sbatch tries to authenticate for a while")
	}
	c := ownCluster(t)
	s := c.site(t)
	r := s.Runner()
	j := newJob(s, "echo ready; until [ -e $HOME/go-$CI_JOB_ID ]; do sleep 0.05; done; rm $HOME/go-$CI_JOB_ID; exit 5")
	j = site.WithVariable(j, "CI_JOB_ID", itoa(j.ID))
	e := r.Start(j)
	if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
		t.Fatalf("%v\n%s", err, e.Trace())
	}
	if err := c.real.Kill("munged"); err != nil {
		t.Fatal(err)
	}
	allow(t, s, "go-"+itoa(j.ID))
	site.Want(t, e.Wait(), fakerunner.ScriptFailure, 5)
	e = r.Start(newJob(s, "echo ran"))
	if err := e.AwaitOutput(await(t), "build_script", "Slurm is unreachable"); err != nil {
		t.Fatalf("%v\n%s", err, e.Trace())
	}
	if err := c.real.StartMunge(); err != nil {
		t.Fatal(err)
	}
	site.Want(t, e.Wait(), fakerunner.Success, 0, "ran")
}

// The job's log names a missing configuration while Slurm waits for it, and the job can be
// cancelled at any time.
func TestNoConfiguration(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: sbatch waits that long for its configuration")
	}
	c := realCluster(t)
	c.env = []string{"SLURM_CONF=/nonexistent/slurm.conf"}
	s := c.site(t)
	e := s.Runner().Start(newJob(s, "true"))
	for _, text := range []string{"sbatch has been running", "Slurm is unreachable (Unable to process configuration file)"} {
		if err := e.AwaitOutput(await(t), "build_script", text); err != nil {
			t.Fatalf("%v\n%s", err, e.Trace())
		}
	}
	e.Cancel()
	site.Want(t, e.Wait(), fakerunner.Canceled, 0)
}

// A full file system below the log fails the job with a message, whatever its script does,
// and leaves no job and no process.
func TestStorageFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a small file system")
	}
	c := fakeCluster(t, "slurm")
	dir := filepath.Join(filepath.Dir(filepath.Dir(c.conf)), "small")
	if err := errors.Join(os.Mkdir(dir, 0o755), unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m,mode=1777")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	s := c.site(t, func(conf site.Config) { conf.Set("general", "data_dir", dir) })
	r := s.Runner()
	for _, tt := range []struct {
		end     string
		outcome fakerunner.Outcome
		code    int
	}{
		{"exit 0", fakerunner.Success, 0},
		{"exit 3", fakerunner.ScriptFailure, 3},
	} {
		if tt.code == 0 && testing.Short() {
			continue
		}
		j := newJob(s, "head -c 3000000 /dev/zero | tr '\\0' z || :; "+tt.end)
		res := r.Run(j)
		res.Trace = strings.ReplaceAll(res.Trace, "z", "")
		site.Want(t, res, tt.outcome, tt.code, "no space left on device", "missing from this log", "remove files there")
		c.once(t, batchName(r, j))
	}
	s.NoProcess(t, 20*time.Second)
}

// A job for a cluster by name is followed and ended there: Slurm's id has the
// cluster in it.
func TestNamedCluster(t *testing.T) {
	c := realCluster(t)
	s := c.site(t)
	r := s.Runner()
	j := parameters(newJob(s, "exit 4"), "--clusters="+slurm.ClusterName)
	site.Want(t, r.Run(j), fakerunner.ScriptFailure, 4, ";"+slurm.ClusterName)
	c.once(t, batchName(r, j))
	j = parameters(newJob(s, "echo ready; sleep 300"), "-M "+slurm.ClusterName)
	e := r.Start(j)
	if err := e.AwaitOutput(await(t), "build_script", "ready\n"); err != nil {
		t.Fatalf("%v\n%s", err, e.Trace())
	}
	e.Cancel()
	site.Want(t, e.Wait(), fakerunner.Canceled, 0)
	c.once(t, batchName(r, j))
}

// A user with as many processes as the limit allows reads their number, and the job is
// submitted when some of them have ended.
func TestProcessLimit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: processes of another account")
	}
	// How many threads jacamar has when it submits the job depends on the machine and
	// its load: with less than these it cannot start, with more it reaches no limit.
	for range 3 {
		for free := 14; free > 4; free-- {
			if processLimit(t, free) {
				return
			}
		}
	}
	t.Error("no submission reached a limit")
}

// processLimit runs a job whose account may start this many processes more in the stage
// that submits, and reports whether the submission had to wait for others to end.
func processLimit(t *testing.T, free int) bool {
	c := fakeCluster(t, "slurm")
	const others, usual = 100, 40
	s := c.site(t, func(conf site.Config) { conf.Set("auth", "limits", site.Table{"nproc": strconv.Itoa(others + usual)}) })
	end, endMore := occupy(t, s.Account, others), func() {}
	defer end()
	defer func() { endMore() }()
	r := s.Runner()
	r.Hooks.Ended = func(call fakerunner.Call) {
		if call.Stage == "get_sources" {
			endMore = occupy(t, s.Account, usual-free)
		}
	}
	j := site.WithVariable(newJob(s, "echo ran"), "JACAMAR_CI_NO_PROFILE", "1")
	e := r.Start(j)
	if e.AwaitOutput(await(t), "build_script", "cannot start a process (your account has 1") != nil {
		e.Wait() // a success, or too few for jacamar itself
		return false
	}
	end()
	site.Want(t, e.Wait(), fakerunner.Success, 0, "and its limit is "+strconv.Itoa(others+usual)+" (ulimit -u)", "ran\n")
	c.once(t, batchName(r, j))
	return true
}

// occupy starts processes of the account, and returns a function that ends them.
func occupy(t *testing.T, a site.Account, n int) (end func()) {
	t.Helper()
	var all []*exec.Cmd
	end = func() {
		for _, p := range all {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
		all = nil
	}
	for range n {
		cmd := exec.Command("sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID}}
		if err := cmd.Start(); err != nil {
			end()
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	return end
}
