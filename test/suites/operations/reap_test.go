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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// victims are the programs that are killed, in every combination.
var victims = [][]string{
	{"runner"},
	{"runner", "jacamar-auth"},
	{"runner", "jacamar"},
	{"runner", "jacamar-auth", "jacamar"},
	{"jacamar-auth"},
	{"jacamar"},
	{"jacamar-auth", "jacamar"},
}

// TestReap (remove-ghost-jobs, LORRY/REMOVE-GHOST-JOBS): kill -9 of runner, jacamar-auth and jacamar in every
// combination while a script runs. After one reap no claim, secret or live record is
// left, and no process but what decision 0005 names: what jacamar-auth and jacamar left
// when they were killed at one moment.
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
			cmd := beginDetached(t, s, j, waits(path))
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

// TestReapAtAnyTime (LORRY/REMOVE-GHOST-JOBS): the same in each stage of a job, and between the stages.
func TestReapAtAnyTime(t *testing.T) {
	if testing.Short() {
		t.Skip("short mode: takes minutes")
	}
	const rounds = 3
	deployments(t, func(t *testing.T, s *site.Site) {
		base := filepath.Join(s.Account.Home, ".jacamar-ci")
		hit := map[string]int{}
		for range rounds {
			for _, stage := range []string{"config", "prepare", "prepare_script", "get_sources", "build_script", "after_script", "cleanup_file_variables", "cleanup"} {
				for _, killed := range victims {
					j := s.Job("sleep 0.1")
					j.AfterScript = []string{"sleep 0.1"}
					cmd := detached(t, s, j)
					if awaitStage(t, s, j.ID, stage) {
						hit[stage]++
					}
					time.Sleep(rand.N(30 * time.Millisecond))
					kill(t, s, cmd, killed)
					settle(t, s, cmd, killed)
					nothingLeft(t, s, base, stage+": "+strings.Join(killed, " "))
				}
			}
		}
		t.Logf("jobs seen in the stage in which they were killed: %v", hit)
	})
}

// awaitStage waits until a stage of a job begins, and reports whether it was seen: one
// that is short can be over between two looks.
func awaitStage(t *testing.T, s *site.Site, id int64, stage string) (seen bool) {
	t.Helper()
	began := false
	until(t, "the stage begins, or the job ends", func() bool {
		files, err := filepath.Glob(filepath.Join(journal(t, s), "live", fmt.Sprintf("*.*.%d", id)))
		testutil.Must(t, err)
		if len(files) == 0 {
			return began
		}
		began = true
		text, _ := os.ReadFile(files[0])
		at := max(bytes.LastIndex(text, []byte(`"name":"stage"`)), 0)
		seen = bytes.Contains(text[at:], []byte(`"stage":"`+stage+`"`))
		return seen
	})
	return seen
}

// detached starts a job in a runner of its own.
func detached(t *testing.T, s *site.Site, j fakerunner.Job) *exec.Cmd {
	t.Helper()
	return startDetached(t, s, j, nil)
}

func startDetached(t *testing.T, s *site.Site, j fakerunner.Job, log *os.File) *exec.Cmd {
	t.Helper()
	cmd, err := s.Detached(s.Runner(), j)
	testutil.Must(t, err)
	if log != nil {
		cmd.Stderr = log
	}
	testutil.Must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// beginDetached starts a job in a runner of its own, and waits until its script runs.
func beginDetached(t *testing.T, s *site.Site, j fakerunner.Job, script string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	testutil.Must(t, err)
	defer log.Close()
	j.Raw = map[string][]byte{"build_script": []byte(script)}
	cmd := startDetached(t, s, j, log)
	until(t, "the script runs", func() bool {
		text, err := os.ReadFile(log.Name())
		return err == nil && bytes.Contains(text, []byte("under way"))
	})
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
	ended := time.AfterFunc(2*limit, func() {
		t.Errorf("%v: the runner does not end", killed)
		_ = runner.Process.Kill()
	})
	_ = runner.Wait()
	ended.Stop()
	if !site.Eventually(limit, func() bool {
		if slices.Contains(killed, "jacamar-auth") && slices.Contains(killed, "jacamar") { // nothing monitors the rest any more
			for _, p := range own(t, s) {
				_ = syscall.Kill(p.PID, syscall.SIGKILL)
			}
		}
		return len(own(t, s)) == 0 && !runs(t, s)
	}) {
		t.Fatalf("%v: a stage still runs: %+v, listed are %+v", killed, own(t, s), list(t, s))
	}
	r := admin(t, s, "reap")
	if r.status != 0 {
		t.Errorf("%v: reap: status %d: %s", killed, r.status, r.text)
	}
}

// runs reports whether a stage is listed as running. The threads of a killed process end
// one after the other, and its lock with the last.
func runs(t *testing.T, s *site.Site) bool {
	t.Helper()
	for _, l := range list(t, s) {
		if l.State == "running" {
			return true
		}
	}
	return false
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

// TestReapOfConfig (LORRY/REMOVE-GHOST-JOBS): a config stage that is killed while its runner lives leaves nothing,
// and the job's record ends with the runner's cleanup.
func TestReapOfConfig(t *testing.T) {
	const tries = 50
	someDeployments(t, func(t *testing.T, s *site.Site) {
		for _, name := range []string{"jacamar-auth", "jacamar"} {
			hit := false
			for range tries {
				r := s.Runner()
				r.Hooks.Started = func(p fakerunner.Process) {
					if p.Stage == "config" && !hit {
						hit = killBelow(p.PID, name)
					}
				}
				r.Run(s.Job("true"))
				if hit {
					break
				}
			}
			if !hit {
				t.Errorf("%s was not found in %d config stages", name, tries)
			}
			until(t, "the job is not listed", func() bool { return len(list(t, s)) == 0 })
			nothingLeft(t, s, filepath.Join(s.Account.Home, ".jacamar-ci"), "config, "+name)
		}
	})
}

// TestCleanupOfConfigThatCannotBe: where another process has the record of a config stage
// that was killed, the runner's cleanup leaves the job to reap, and the operator's log has
// the reason.
func TestCleanupOfConfigThatCannotBe(t *testing.T) {
	const tries = 50
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "logging", site.Table{"enabled": true}) }))
		for range tries {
			var taken []*os.File
			j, r, hit := s.Job("true"), s.Runner(), false
			r.Hooks.Started = func(p fakerunner.Process) { hit = hit || p.Stage == "config" && killBelow(p.PID, "jacamar") }
			r.Hooks.Ended = func(c fakerunner.Call) {
				if c.Stage == "config" && c.Status != 0 && len(taken) == 0 {
					taken = lockRecords(t, s)
				}
			}
			r.Run(j)
			for _, file := range taken {
				file.Close()
			}
			if len(taken) == 0 {
				continue
			}
			if want := fmt.Sprintf("cannot clean up after job %d: a stage of it runs", j.ID); !strings.Contains(recordsOf(t, s), want) {
				t.Errorf("no record of %q:\n%s", want, recordsOf(t, s))
			}
			until(t, "reap has cleaned up", func() bool { return admin(t, s, "reap").status == 0 && len(list(t, s)) == 0 })
			return
		}
		t.Errorf("no record was left by %d config stages", tries)
	})
}

// lockRecords locks the records of all live jobs, as a stage of each does.
func lockRecords(t *testing.T, s *site.Site) (files []*os.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.StateDir, "journal", "*", "live", "*"))
	testutil.Must(t, err)
	for _, path := range paths {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		testutil.Must(t, err, unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Len: 1}))
		files = append(files, file)
	}
	return files
}

// killBelow kills the first process of a program that a process or one below it becomes,
// and reports whether it came to that before they ended.
func killBelow(pid int, name string) bool {
	self, known := proctree.Find(pid)
	for known && !self.Gone() {
		for _, p := range append(proctree.Descendants(pid), pid) {
			exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p))
			if err == nil && filepath.Base(exe) == name {
				return syscall.Kill(p, syscall.SIGKILL) == nil
			}
		}
	}
	return false
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
		cmd := beginDetached(t, s, j, waits(path))
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
		cmd := beginDetached(t, s, j, waits(path))
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
