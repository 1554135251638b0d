package schedulers

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/profiles"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
)

// waiting is how many tests run at once where they may: they mostly wait.
const waiting = 8

func TestMain(m *testing.M) {
	syscalls.Main()
	profiles.DefaultSignals() // jobs inherit those of the batch system
	down, err := bringUp()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(waiting)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := site.Main(m)
	if err := down(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if real.cluster != nil {
		if err := slurm.Down(real.dir); err != nil {
			code = 1
		}
	}
	os.Exit(code)
}

// cluster is a batch system under test.
type cluster struct {
	schedulerCase
	kind string   // which of schedulerCases
	conf string   // the path of a fake or own cluster's configuration
	env  []string // the variables by which the scheduler's programs find it
	bin  string   // scheduler_bin, "" for the system's own
	fake *fakeschedulers.Store
	real *slurm.Cluster
}

// real is one real cluster for all tests of the process.
var real struct {
	once    sync.Once
	dir     string
	cluster *slurm.Cluster
	err     error
}

func realCluster(t *testing.T) cluster {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a real Slurm needs root: slurmd starts jobs as other users")
	}
	real.once.Do(func() {
		if real.dir, real.err = slurm.NewDir(); real.err == nil {
			real.cluster, real.err = slurm.Up(real.dir, slurm.Options{Accounting: true})
		}
	})
	if real.err != nil {
		t.Fatal(real.err)
	}
	return cluster{schedulerCase: schedulerCases()["slurm"], kind: "slurm", conf: real.cluster.Conf(), env: []string{real.cluster.Env()}, real: real.cluster}
}

// ownCluster is a real cluster that a test may break.
func ownCluster(t *testing.T) cluster {
	t.Helper()
	return clusterOf(t, slurm.Options{})
}

// clusterOf is a real cluster of the test's own.
func clusterOf(t *testing.T, o slurm.Options) cluster {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a real Slurm needs root: slurmd starts jobs as other users")
	}
	dir, err := slurm.NewDir()
	if err != nil {
		t.Fatal(err)
	}
	own, err := slurm.Up(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := slurm.Down(dir); err != nil {
			t.Error(err)
		}
	})
	return cluster{schedulerCase: schedulerCases()["slurm"], kind: "slurm", conf: own.Conf(), env: []string{own.Env()}, real: own}
}

func fakeCluster(t *testing.T, kind string) cluster {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		// Jobs run as another user, who has to reach it.
		var err error
		if dir, err = os.MkdirTemp("/srv", "jacamar-fake-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	store, err := fakeschedulers.Create(filepath.Join(dir, "state"), kind)
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "bin")
	if err := fakeschedulers.Install(bin, kind); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go store.Serve(ctx, filepath.Join(bin, fakeschedulers.Program))
	c := cluster{schedulerCase: schedulerCases()[kind], kind: kind, conf: store.Conf(), env: []string{store.Env()}, bin: bin, fake: &store}
	if c.quick() {
		if err := store.Behave(fakeschedulers.Behaviour{KillWait: 0.5}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// everywhere runs a test over all fakes and over a real Slurm; with -real, over
// that scheduler alone.
func everywhere(t *testing.T, test func(t *testing.T, c cluster)) {
	if *realName != "" {
		test(t, installed(t, *realName))
		return
	}
	for _, kind := range fakeschedulers.Kinds() {
		t.Run("fake "+kind, func(t *testing.T) { test(t, fakeCluster(t, kind)) })
	}
	t.Run("slurm", func(t *testing.T) { test(t, realCluster(t)) })
}

// atOnce is everywhere for tests that check only their own jobs, not all processes of the
// account.
func atOnce(t *testing.T, test func(t *testing.T, c cluster)) {
	everywhere(t, func(t *testing.T, c cluster) {
		t.Parallel()
		test(t, c)
	})
}

// site sets up a site that submits to the cluster, quick enough for tests.
func (c cluster) site(t *testing.T, change ...func(site.Config)) *site.Site {
	t.Helper()
	return site.New(t, append([]func(site.Config){c.configure}, change...)...)
}

// configure makes a site submit its jobs to the cluster.
func (c cluster) configure(s site.Config) {
	s.Set("general", "executor", c.executor)
	s.Set("general", "kill_timeout", "90s")
	s.Set("batch", "env_vars", c.env)
	if len(c.always) > 0 {
		s.Set("batch", "default_args", c.always)
	}
	s.Set("batch", "command_delay", "2s")
	s.Set("batch", "nfs_timeout", "5s")
	s.Set("batch", "cancel_grace", "3s")
	if c.quick() {
		s.Set("batch", "command_delay", "500ms")
		s.Set("batch", "nfs_timeout", "2s")
		s.Set("batch", "cancel_grace", "1s")
	}
	if c.bin != "" {
		s.Set("batch", "scheduler_bin", c.bin)
	}
}

// command runs one of the cluster's programs as the test's own account.
func (c cluster) command(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := name
	if c.bin != "" {
		path = filepath.Join(c.bin, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, c.env...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

// row is one job as the queue shows it.
type row struct{ id, name, state string }

// queue lists the jobs of a name; with all, those that have ended too.
func (c cluster) queue(t *testing.T, name string, all bool) []row {
	t.Helper()
	if c.fake != nil {
		return c.played(t, name, all)
	}
	if c.real == nil {
		return c.listed(t, name, all)
	}
	args := []string{"-h", "-a", "-o", "%i|%j|%T", "-n", name}
	if all {
		args = append(args, "-t", "all")
	}
	var rows []row
	for line := range strings.Lines(c.command(t, "squeue", args...)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		rows = append(rows, row{f[0], f[1], f[2]})
	}
	return rows
}

// gone fails the test when a job of the name is still queued, or more than one was
// ever submitted. It returns those that there is a record of.
func (c cluster) gone(t *testing.T, name string) []row {
	t.Helper()
	site.Eventually(20*time.Second, func() bool { return len(c.queue(t, name, false)) == 0 })
	if left := c.queue(t, name, false); len(left) > 0 {
		t.Errorf("still queued: %v", left)
	}
	all := c.queue(t, name, true)
	if len(all) > 1 {
		t.Errorf("%d jobs named %s were submitted: %v, want 1", len(all), name, all)
	}
	return all
}

// once fails the test unless exactly one job of the name was ever submitted and
// it is over. Grid Engine writes its record some seconds late.
func (c cluster) once(t *testing.T, name string) row {
	t.Helper()
	all := c.gone(t, name)
	if len(all) == 0 {
		site.Eventually(20*time.Second, func() bool { all = c.queue(t, name, true); return len(all) > 0 })
	}
	if len(all) != 1 {
		t.Fatalf("%d jobs named %s were submitted: %v, want 1", len(all), name, all)
	}
	return all[0]
}

// never fails the test when a job of the name was submitted.
func (c cluster) never(t *testing.T, name string) {
	t.Helper()
	if all := c.queue(t, name, true); len(all) != 0 {
		t.Errorf("%v were submitted, want none", all)
	}
}

// batchName is the name under which a CI job is submitted.
func batchName(r *fakerunner.Runner, j fakerunner.Job) string {
	return "ci-" + r.ShortToken + "-" + itoa(j.ID)
}
