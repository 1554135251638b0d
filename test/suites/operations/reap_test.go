package operations

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// victims are the programs that are killed, in every combination.
var victims = [][]string{
	{"runner"}, {"runner", "jacamar-auth"}, {"runner", "jacamar"}, {"runner", "jacamar-auth", "jacamar"},
	{"jacamar-auth"}, {"jacamar"}, {"jacamar-auth", "jacamar"},
}

// TestReap (remove-ghost-jobs): kill -9 of runner, jacamar-auth and jacamar in every
// combination while a script runs. After one reap no claim, secret or live record is
// left, and no process but what decision 0005 names: what all three left when they were
// killed at one moment.
func TestReap(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		combinations := victims
		if testing.Short() {
			combinations = victims[:4] // those without a runner
		}
		if testing.Short() && s.Service() != nil {
			combinations = victims[:1]
		}
		for _, killed := range combinations {
			path, _ := gate(t)
			j := s.Job()
			j.Raw = map[string][]byte{"build_script": []byte(waits(path))}
			cmd := detached(t, s, j)
			until(t, "the script runs", func() bool { l := list(t, s)[j.ID]; return l.State == "running" && l.Stage == "build_script" })
			base := filepath.Dir(filepath.Dir(filepath.Dir(list(t, s)[j.ID].Directory)))
			kill(t, s, cmd, killed)
			settle(t, s, cmd, killed)
			nothingLeft(t, s, base, strings.Join(killed, " "))
		}
		if text := does(t, s, "reap"); !strings.Contains(text, "nothing to do") {
			t.Errorf("a second reap: %s", text)
		}
	})
}

// TestReapAtAnyTime: the same at random moments of a job's stages.
func TestReapAtAnyTime(t *testing.T) {
	if testing.Short() {
		t.Skip("short mode: takes minutes")
	}
	const rounds = 20
	deployments(t, func(t *testing.T, s *site.Site) {
		base := ""
		for round := range rounds * len(victims) {
			killed := victims[round%len(victims)]
			j := s.Job("sleep 0.1")
			cmd := detached(t, s, j)
			time.Sleep(rand.N(1500 * time.Millisecond))
			kill(t, s, cmd, killed)
			settle(t, s, cmd, killed)
			if base == "" {
				base = filepath.Join(s.Account.Home, ".jacamar-ci")
			}
			nothingLeft(t, s, base, strings.Join(killed, " "))
		}
	})
}

// detached starts a job in a runner of its own.
func detached(t *testing.T, s *site.Site, j fakerunner.Job) *exec.Cmd {
	t.Helper()
	cmd, err := s.Detached(s.Runner(), j)
	testutil.Must(t, err)
	testutil.Must(t, cmd.Start())
	return cmd
}

// kill kills the runner of a job, and the site's processes of the other programs.
func kill(t *testing.T, s *site.Site, runner *exec.Cmd, killed []string) {
	t.Helper()
	for _, name := range killed {
		pids := []int{runner.Process.Pid}
		if name != "runner" {
			pids = processesOf(t, s, name)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Fatal(err)
			}
		}
	}
}

// settle waits for the end of the runner, and reaps what it left. A runner that lives
// ends the job by itself.
func settle(t *testing.T, s *site.Site, runner *exec.Cmd, killed []string) {
	t.Helper()
	_ = runner.Wait()
	until(t, "no stage runs or begins", func() bool {
		if len(killed) == 3 { // what nothing monitors any more may stay
			for _, p := range own(t, s) {
				_ = syscall.Kill(p.PID, syscall.SIGKILL)
			}
		}
		if len(own(t, s)) > 0 {
			return false
		}
		// The threads of a killed process end one after the other, and its lock with the last.
		for _, l := range list(t, s) {
			if l.State == "running" {
				return false
			}
		}
		return true
	})
	r := admin(t, s, "reap")
	if r.status != 0 {
		t.Errorf("%v: reap: status %d: %s", killed, r.status, r.text)
	}
}

// nothingLeft fails the test for what a job left: a live record, a process, a claim, its
// scripts or secrets.
func nothingLeft(t *testing.T, s *site.Site, base, what string) {
	t.Helper()
	if l := list(t, s); len(l) != 0 {
		t.Errorf("%s: live records: %+v", what, l)
	}
	s.NoProcess(t, limit)
	for _, pattern := range []string{"scripts/[!.]*/*", "scripts/.trash/*", "builds/.trash/*", "builds/*/*/*/*.tmp", "builds/*/*/*.tmp"} {
		if left, err := filepath.Glob(filepath.Join(base, pattern)); err != nil || len(left) > 0 {
			t.Errorf("%s: left %q, %v", what, left, err)
		}
	}
	claims, err := filepath.Glob(filepath.Join(base, "builds", "*", ".claims"))
	testutil.Must(t, err)
	for _, file := range claims {
		text, err := os.ReadFile(file)
		testutil.Must(t, err)
		for ; len(text) >= 512; text = text[512:] {
			var claim struct{ Job int64 }
			if record := bytes.TrimRight(text[:512], "\x00"); len(record) > 0 && (json.Unmarshal(record, &claim) != nil || claim.Job != 0) {
				t.Errorf("%s: %s still has %s", what, file, record)
			}
		}
	}
}

// TestReapOfConfig: a config stage that is killed while its runner lives leaves nothing,
// and the job's record ends with the runner's cleanup.
func TestReapOfConfig(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		for _, name := range []string{"jacamar-auth", "jacamar"} {
			r := s.Runner()
			j := s.Job("true")
			killed := make(chan struct{})
			go func() {
				defer close(killed)
				site.Eventually(limit, func() bool {
					pids := processesOf(t, s, name)
					for _, pid := range pids {
						_ = syscall.Kill(pid, syscall.SIGKILL)
					}
					return len(pids) > 0
				})
			}()
			r.Run(j)
			<-killed
			until(t, "the job is not listed", func() bool { return len(list(t, s)) == 0 })
			nothingLeft(t, s, filepath.Join(s.Account.Home, ".jacamar-ci"), "config, "+name)
		}
	})
}

// TestReapKeepsLiveJobs: a job whose runner lives is not touched by reap, in a stage and
// between two stages, also with a clock that is hours ahead; two reaps at once clean a
// ghost up once.
func TestReapKeepsLiveJobs(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		path, open := gate(t)
		live := site.Begin(t, s.Runner(), s.Job(), waits(path))
		r := s.Runner()
		r.Hooks.Ended = func(c fakerunner.Call) {
			if c.Stage != "cleanup" {
				if text := does(t, s, "reap"); !strings.Contains(text, "nothing to do") {
					t.Errorf("after %s: %s", c.Stage, text)
				}
			}
		}
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)

		j := s.Job()
		j.Raw = map[string][]byte{"build_script": []byte(waits(path))}
		cmd := detached(t, s, j)
		until(t, "the script runs", func() bool { l := list(t, s)[j.ID]; return l.State == "running" && l.Stage == "build_script" })
		kill(t, s, cmd, []string{"runner"})
		_ = cmd.Wait()
		until(t, "the job is a ghost", func() bool { return list(t, s)[j.ID].State == "ghost" })
		if text := does(t, s, "reap", "--dry-run"); text != fmt.Sprintf("job %d (%s): abandoned: would be cleaned up\n", j.ID, s.Account.Name) {
			t.Errorf("%s", text)
		}
		if text := does(t, s, "reap", "--older", "1h"); !strings.Contains(text, "nothing to do") {
			t.Errorf("%s", text)
		}
		both := make(chan result, 2)
		for range 2 {
			go func() { both <- admin(t, s, "reap") }()
		}
		cleaned := 0
		for range 2 {
			if r := <-both; strings.Contains(r.text, "cleaned up") {
				cleaned++
			}
		}
		if cleaned != 1 {
			t.Errorf("the ghost was cleaned up %d times", cleaned)
		}
		if ended := list(t, s, "--ended")[j.ID]; ended.Job == "" {
			t.Error("the reaped job is not listed as ended")
		}
		open()
		site.Want(t, live.Wait(), fakerunner.Success, 0)
	})
}

// TestReapUnsettled: what cannot be settled stays listed with the reason, once in the
// journal however often it is tried, and reap exits 1.
func TestReapUnsettled(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		path, _ := gate(t)
		j := s.Job()
		j.Raw = map[string][]byte{"build_script": []byte(waits(path))}
		cmd := detached(t, s, j)
		until(t, "the script runs", func() bool { l := list(t, s)[j.ID]; return l.State == "running" && l.Stage == "build_script" })
		base := filepath.Join(s.Account.Home, ".jacamar-ci")
		kill(t, s, cmd, []string{"runner"})
		_ = cmd.Wait()
		until(t, "the job is a ghost", func() bool { return list(t, s)[j.ID].State == "ghost" })
		testutil.Must(t, os.Chmod(base, 0o777))
		for range 2 {
			if r := admin(t, s, "reap"); r.status != 1 || !strings.Contains(r.text, fmt.Sprintf("job %d (%s): not settled: cannot use %s", j.ID, s.Account.Name, base)) {
				t.Errorf("%+v", r)
			}
		}
		if text := does(t, s, "show", fmt.Sprint(j.ID)); strings.Count(text, "stage=reap") != 1 {
			t.Errorf("%s", text)
		}
		if l := list(t, s)[j.ID]; l.State != "ghost" {
			t.Errorf("%+v", l)
		}
		testutil.Must(t, os.Chmod(base, 0o700))
		does(t, s, "reap")
		nothingLeft(t, s, base, "afterwards")
	})
}

// TestOverdue (RR/TIMEOUT): a job whose jacamar is stopped and whose time is over is gone
// after one reap.
func TestOverdue(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("general", "kill_timeout", "2s") }))
		path, _ := gate(t)
		j := s.Job()
		e := site.Begin(t, s.Runner(), j, waits(path))
		for _, pid := range processesOf(t, s, "jacamar") {
			testutil.Must(t, syscall.Kill(pid, syscall.SIGSTOP))
		}
		overdue(t, s, j.ID)
		if l := list(t, s)[j.ID]; l.State != "overdue" {
			t.Fatalf("%+v", l)
		}
		does(t, s, "reap")
		r := e.Wait()
		if r.Outcome == fakerunner.Success {
			t.Errorf("%s\n%s", r.Outcome, r.Trace)
		}
		reads(t, r, "stopped by the administrators of this CI resource: the time of the job is over")
		nothingLeft(t, s, filepath.Join(s.Account.Home, ".jacamar-ci"), "overdue")
	})
}

// overdue sets the end of a job's time into the past.
func overdue(t *testing.T, s *site.Site, id int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(journal(t, s), "live", fmt.Sprintf("*.*.%d", id)))
	testutil.Must(t, err)
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	text, err := os.ReadFile(files[0])
	testutil.Must(t, err)
	at := bytes.Index(text, []byte(`"until":`))
	if at < 0 {
		t.Fatalf("no end of time in %s", text)
	}
	at += len(`"until":`)
	file, err := os.OpenFile(files[0], os.O_WRONLY, 0) // in its place: the file is locked
	testutil.Must(t, err)
	_, err = file.WriteAt([]byte("1000000000"), int64(at))
	testutil.Must(t, err, file.Close())
}
