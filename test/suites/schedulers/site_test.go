package schedulers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// A job can override a site's defaults, and not what the site requires of its project.
func TestRules(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s := c.site(t, func(conf site.Config) {
			conf.Set("batch", "default_args", c.rules.weak)
			conf.Set("batch", "arguments_variable", []string{"SITE_PARAMETERS"})
			conf.Set("batch", "rule", []site.Table{
				{"project": "group/*", "args": strings.Fields(c.rules.group), "required": true},
				{"project": "other/*", "args": strings.Fields(c.rules.other), "required": true},
			})
		})
		r := s.Runner()
		for _, tt := range []struct {
			name, args, site string
			outcome          fakerunner.Outcome
			code             int
			texts            []string
		}{
			{"nothing asked", "", "", fakerunner.Success, 0, nil},
			{"the same asked", c.rules.same, "", fakerunner.Success, 0, nil},
			{"contradicted", c.rules.against, "", fakerunner.ScriptFailure, 1, []string{c.rules.against, c.rules.group, "[[batch.rule]] number 1", "group/*"}},
			{"contradicted in the site's variable", "", c.rules.short, fakerunner.ScriptFailure, 1, []string{c.rules.short, "[[batch.rule]] number 1"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				j := newJob(s, "echo ran")
				if tt.args != "" {
					j = parameters(j, tt.args)
				}
				if tt.site != "" {
					j = site.WithVariable(j, "SITE_PARAMETERS", tt.site)
				}
				site.Want(t, r.Run(j), tt.outcome, tt.code, tt.texts...)
				if tt.outcome == fakerunner.Success {
					c.once(t, batchName(r, j))
				} else {
					c.never(t, batchName(r, j))
				}
			})
		}
	})
}

// allowed_illegal_args turns a reserved argument into a warning.
func TestIllegalArgumentsAllowed(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		s := c.site(t, func(conf site.Config) { conf.Set("batch", "allow_illegal_args", true) })
		r := s.Runner()
		j := parameters(newJob(s, "echo ran"), c.illegal.args)
		site.Want(t, r.Run(j), fakerunner.Success, 0, append(c.illegal.flags, "ran", "WARNING")...)
		c.once(t, batchName(r, j))
	})
}

// The next job of the same user and runner ends a job without a cleanup: runner and
// driver are killed at once.
func TestOrphan(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		j := newJob(s, "echo ready; sleep 300")
		if c.real != nil {
			j = parameters(j, "--partition=hidden") // which squeue leaves out of its list
		}
		runner := detached(t, s, r, j, "ready\n")
		killTree(runner.Process.Pid)
		_ = runner.Wait()
		if left := c.queue(t, batchName(r, j), false); len(left) != 1 {
			t.Fatalf("%v are queued, want the stray", left)
		}
		site.Want(t, r.Run(newJob(s, "true")), fakerunner.Success, 0, "cancelled the "+c.name+" job "+batchName(r, j))
		c.once(t, batchName(r, j))
	})
}

// killTree kills a process and all below it at once: they are stopped first, so that none
// can react to the end of another.
func killTree(pid int) {
	all := append([]int{pid}, proctree.Descendants(pid)...)
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, p := range all {
			_ = syscall.Kill(p, signal)
		}
	}
}

// Logs remain where the site configures that, and the script with its tokens never does.
func TestRetainLogs(t *testing.T) {
	c := fakeCluster(t, "slurm")
	for _, retain := range []bool{false, true} {
		s := c.site(t, func(conf site.Config) { conf.Set("general", "retain_logs", retain) })
		r := s.Runner()
		j := newJob(s, "echo ran")
		res := r.Run(j)
		site.Want(t, res, fakerunner.Success, 0, "ran")
		base := filepath.Join(res.BuildsDir, "..", "..", "..")
		dir := filepath.Join(base, "scripts", r.ShortToken, itoa(j.ID), batchName(r, j))
		if _, err := os.Stat(filepath.Join(dir, "log")); (err == nil) != retain {
			t.Errorf("retain_logs %v: the log: %v", retain, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "script")); err == nil {
			t.Error("the script is still there")
		}
	}
}

// detached starts a runner of its own process with a job, and waits for a text of it.
func detached(t *testing.T, s *site.Site, r *fakerunner.Runner, j fakerunner.Job, text string) *exec.Cmd {
	t.Helper()
	runner, err := s.Detached(r, j)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runner.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	if err := awaitText(out, text); err != nil {
		t.Fatal(err)
	}
	return runner
}
