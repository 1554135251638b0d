package operations

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestFullDisk (HEPTAPOD/STATE): a journal on a full disk stops no job, the operator is
// warned, and what is written afterwards can be read.
func TestFullDisk(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		dir := filepath.Join(s.StateDir, "journal")
		testutil.Must(t, os.Mkdir(dir, 0o700), unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"))
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		var state unix.Stat_t
		testutil.Must(t, unix.Stat(s.StateDir, &state))
		testutil.Must(t, os.Chown(dir, int(state.Uid), int(state.Gid)))
		r := s.Runner()
		first, last := s.Job("true"), s.Job("true")
		site.Want(t, r.Run(first), fakerunner.Success, 0)
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
			t.Fatal("the file system does not fill up")
		}
		for range 3 {
			site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
		}
		records, err := os.ReadFile(filepath.Join(s.StateDir, "operator.log"))
		if err != nil || !strings.Contains(string(records), "cannot write the journal") {
			t.Errorf("no warning: %v: %s", err, records)
		}
		testutil.Must(t, os.Remove(ballast))
		site.Want(t, r.Run(last), fakerunner.Success, 0)
		ended := list(t, s, "--ended")
		if ended[first.ID].Exit != "ok" || ended[last.ID].Exit != "ok" || ended[last.ID].Account != s.Account.Name {
			t.Errorf("%+v", ended)
		}
	})
}

// TestHostNameWithASlash (HEPTAPOD/STATE): a name of the host that leads out of the journal stops no job,
// and nothing is written outside.
func TestHostNameWithASlash(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		if s.Service() != nil {
			t.Skip("only root can enter another UTS namespace")
		}
		r := s.RunnerInside("unshare", "--uts", "sh", "-c", `printf ../out >/proc/sys/kernel/hostname && exec "$@"`, "sh")
		site.Want(t, r.Run(s.Job("uname -n")), fakerunner.Success, 0, "../out")
		records, err := os.ReadFile(filepath.Join(s.StateDir, "operator.log"))
		if err != nil || !strings.Contains(string(records), `is not a valid host name`) {
			t.Errorf("no warning: %v: %s", err, records)
		}
		if _, err := os.Lstat(filepath.Join(s.StateDir, "out")); err == nil {
			t.Error("a directory was made outside the journal")
		}
		if l := list(t, s, "--ended"); len(l) != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// TestCommandsAtOnce (RUNBOAT/IDEMPOTENT): many commands at one moment all succeed, and leave the state that
// one of them wanted; a job that runs meanwhile succeeds or is refused with the message.
func TestCommandsAtOnce(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
		ended := fmt.Sprint(s.Job().ID)
		var all sync.WaitGroup
		for range 3 {
			for _, args := range [][]string{{"drain", "--message", "a long message " + strings.Repeat("x", 500)}, {"drain", "--message", "short"}, {"resume"}, {"stop", ended}, {"reap"}, {"digest"}, {"jobs"}} {
				all.Go(func() {
					if r := admin(t, s, args...); r.status != 0 {
						t.Errorf("%q: %+v", args, r)
					}
				})
			}
		}
		if r := s.Runner().Run(s.Job("true")); r.Outcome != fakerunner.Success && !strings.Contains(r.Trace, "takes no new jobs") {
			t.Errorf("%s\n%s", r.Outcome, r.Trace)
		}
		all.Wait()
		does(t, s, "resume")
		if left, err := os.ReadDir(filepath.Join(s.StateDir, "journal", "marks")); err != nil || len(left) != 0 {
			t.Errorf("%v, %v", left, err)
		}
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
	})
}

// TestDrainDuringConfig (RT/QSTOP): a drain that is set while a config stage waits, for a place or
// for the end of another drain, refuses its job; the running one is not touched.
func TestDrainDuringConfig(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "concurrency", site.Table{"total": 1, "wait": "50m"}) }))
		path, open := gate(t)
		r := s.Runner()
		running := site.Begin(t, r, s.Job(), waits(path))
		waiting := s.Job("true")
		e := r.Start(waiting)
		until(t, "the job waits for a place", func() bool { return list(t, s)[waiting.ID].State == "waiting" })
		does(t, s, "drain", "--message", "new cables")
		open()
		site.Want(t, running.Wait(), fakerunner.Success, 0)
		reads(t, e.Wait(), "takes no new jobs")

		does(t, s, "drain", "--message", "back soon", "--hold", "50m")
		held := s.Job("true")
		e = r.Start(held)
		until(t, "the job is held", func() bool { return strings.Contains(e.Trace(), "back soon; waiting") })
		does(t, s, "drain", "--message", "not so soon")
		res := e.Wait()
		if res.Outcome != fakerunner.SystemFailure {
			t.Errorf("%s\n%s", res.Outcome, res.Trace)
		}
		reads(t, res, "not so soon")
		if l := list(t, s); len(l) != 0 {
			t.Errorf("%+v", l)
		}
		does(t, s, "resume")
	})
}

// TestKilledTimer (MON/STATIC): the page, its twin and the metrics are whole however often
// the program that writes them is killed, and at most one temporary file is left of each.
func TestKilledTimer(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
		dir := t.TempDir()
		args := []string{"status", "--configuration", s.ConfigFile, "--html", dir + "/index.html", "--json", dir + "/status.json", "--metrics", dir + "/jacamar.prom", "--counters", dir + "/counters.json"}
		testutil.Must(t, exec.Command(s.Admin, args...).Run())
		for range 15 {
			cmd := exec.Command(s.Admin, args...)
			testutil.Must(t, cmd.Start())
			time.Sleep(rand.N(60 * time.Millisecond))
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			for file, end := range map[string]string{"index.html": "</html>", "status.json": "}", "jacamar.prom": "\n", "counters.json": "}"} {
				if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.HasSuffix(strings.TrimRight(string(text), "\n")+"\n", strings.TrimSpace(end)+"\n") {
					t.Errorf("%s: %v: %s", file, err, text)
				}
			}
		}
		testutil.Must(t, exec.Command(s.Admin, args...).Run())
		if names, err := os.ReadDir(dir); err != nil || len(names) != 4 {
			t.Errorf("%v, %v", names, err)
		}
	})
}

// TestStopAtAnyMoment (RT/KILL): a job that is stopped at any moment ends, nothing of it
// runs, no stage but cleanup begins after the stop, and the user reads why.
func TestStopAtAnyMoment(t *testing.T) {
	rounds := 3
	if !testing.Short() {
		rounds = 60
	}
	someDeployments(t, func(t *testing.T, s *site.Site) {
		for range rounds {
			j := s.Job("sleep 0.3")
			j.AfterScript = []string{"sleep 0.1"}
			r := s.Runner()
			e := r.Start(j)
			time.Sleep(rand.N(1500 * time.Millisecond))
			stopped := does(t, s, "stop", "--message", "enough of it", fmt.Sprint(j.ID))
			at := time.Now()
			res := e.Wait()
			var later []string
			for _, c := range res.Calls {
				if c.Started.After(at) && c.Stage != "cleanup" && c.Status == 0 {
					later = append(later, c.Stage)
				}
			}
			if !strings.Contains(stopped, "nothing to do") && len(later) > 0 {
				t.Errorf("after %q the stages %q succeeded\n%s", stopped, later, res.Trace)
			}
			if res.Outcome != fakerunner.Success && !strings.Contains(res.Trace, "enough of it") {
				t.Errorf("%q: the log of %s does not have why:\n%s", stopped, res.Outcome, res.Trace)
			}
			s.NoProcess(t, limit)
			if l := list(t, s); len(l) != 0 {
				t.Errorf("%+v", l)
			}
		}
	})
}
