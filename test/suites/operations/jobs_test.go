package operations

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// jobOf is a job of the user who has an account.
func jobOf(s *site.Site, a site.Account) fakerunner.Job {
	j := s.Job()
	j.UserID = int64(a.UID)
	return s.WithClaims(j, s.GitLab.Claims(j, gitlab.User{ID: int64(a.UID), Login: a.Name, Email: a.Name + "@example.org"}))
}

// TestRunningJobs (RQ/RUNNING, list-running-jobs): with jobs of ten accounts at once, the
// list and the page are exactly the live jobs, each with its account and stage, and empty
// when they have ended.
func TestRunningJobs(t *testing.T) {
	accounts := 10
	if testing.Short() {
		accounts = 3
	}
	deployments(t, func(t *testing.T, s *site.Site) {
		people, err := s.Accounts.People(accounts)
		testutil.Must(t, err)
		path, open := gate(t)
		r := s.Runner()
		var running []*fakerunner.Execution
		want := map[int64]string{}
		for _, a := range people {
			j := jobOf(s, a)
			running = append(running, site.Begin(t, r, j, waits(path)))
			want[j.ID] = a.Name
		}
		live := list(t, s)
		for id, account := range want {
			if l := live[id]; l.State != "running" || l.Stage != "build_script" || l.Account != account || l.Executor != "shell" || l.Directory == "" {
				t.Errorf("job %d of %s: %+v", id, account, l)
			}
		}
		if len(live) != accounts {
			t.Errorf("%d jobs are listed, and %d live: %+v", len(live), accounts, live)
		}
		if listed := onPage(t, s); !maps.Equal(listed, want) {
			t.Errorf("the page has %v, want %v", listed, want)
		}
		if other := list(t, s, "--account", people[0].Name); len(other) != 1 {
			t.Errorf("the jobs of one account: %+v", other)
		}
		open()
		for _, e := range running {
			site.Want(t, e.Wait(), fakerunner.Success, 0)
		}
		if live := list(t, s); len(live) != 0 {
			t.Errorf("jobs that have ended live: %+v", live)
		}
		if listed := onPage(t, s); len(listed) != 0 {
			t.Errorf("jobs that have ended are live on the page: %v", listed)
		}
		for id := range want {
			if e := list(t, s, "--ended")[id]; e.Exit != "ok" {
				t.Errorf("job %d ended as %+v", id, e)
			}
		}
	})
}

// onPage returns the accounts of the live jobs that the status page has, by job.
func onPage(t *testing.T, s *site.Site) map[int64]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "index.html")
	does(t, s, "status", "--html", file)
	return site.LiveOnPage(t, file)
}

// TestAllJobs (RQ/ALLJOBS, list-jobs): every outcome is one ended job with its class,
// or a refusal with its rule, and show has the events of a job in their order.
func TestAllJobs(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		r := s.Runner()
		good, bad := s.Job("true"), s.Job("exit 7")
		site.Want(t, r.Run(good), fakerunner.Success, 0)
		site.Want(t, r.Run(bad), fakerunner.ScriptFailure, 7)
		refused := s.Job("true")
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "user_blocklist", []string{s.Account.Name}) }))
		if r.Run(refused).Outcome != fakerunner.ScriptFailure {
			t.Error("a blocked user's job ran")
		}
		ended := list(t, s, "--ended")
		if len(ended) != 2 || ended[good.ID].Exit != "ok" || ended[bad.ID].Exit != "build" || ended[bad.ID].Code != 7 {
			t.Errorf("%+v", ended)
		}
		if text := does(t, s, "jobs", "--refused"); !strings.Contains(text, fmt.Sprint(refused.ID)) || !strings.Contains(text, "user_blocklist") {
			t.Errorf("%s", text)
		}
		text := does(t, s, "show", fmt.Sprint(bad.ID))
		at := 0
		for _, event := range []string{"granted", "stage=config", "settled", "stage_end", "stage=prepare", "stage=build_script", "exit=build code=7", "stage=cleanup", "ended"} {
			i := strings.Index(text[at:], event)
			if i < 0 {
				t.Errorf("no %q in its place:\n%s", event, text)
				break
			}
			at += i
		}
		if r := admin(t, s, "show", "999999"); r.status == 0 || !strings.Contains(r.text, "the journal has no job 999999") {
			t.Errorf("%+v", r)
		}
	})
}

// TestPlantedFiles (SEC/API, RQ/ALLJOBS): links, FIFOs, half lines and files of other accounts in
// the journal change neither a job nor the list, and nothing outside is touched.
func TestPlantedFiles(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		first := s.Job("true")
		site.Want(t, s.Runner().Run(first), fakerunner.Success, 0)
		dir := journal(t, s)
		outside := filepath.Join(s.Dir, "outside")
		testutil.Must(t, os.WriteFile(outside, []byte("secret\n"), 0o600))
		days, err := filepath.Glob(filepath.Join(dir, "days", "*.jsonl"))
		testutil.Must(t, err)
		if len(days) != 1 {
			t.Fatalf("%q", days)
		}
		half, err := os.OpenFile(days[0], os.O_WRONLY|os.O_APPEND, 0)
		testutil.Must(t, err)
		_, err = half.WriteString("{\"timestamp\":1,\"name\":\"granted\",\"cont\n")
		testutil.Must(t, err, half.Close())
		live := filepath.Join(dir, "live")
		testutil.Must(t,
			os.Symlink(outside, filepath.Join(live, "1.2.3")),
			syscall.Mkfifo(filepath.Join(live, "1.2.4"), 0o644),
			os.WriteFile(filepath.Join(live, "notes"), []byte("x"), 0o644),
			os.Symlink("/etc", filepath.Join(filepath.Dir(dir), "elsewhere")),
			syscall.Mkfifo(filepath.Join(dir, "days", "2000-01-01.jsonl"), 0o644),
			os.WriteFile(filepath.Join(live, "1.2.5"), []byte(`{"timestamp":1,"name":"granted","context":{}}`), 0o644),
			os.Chown(filepath.Join(live, "1.2.5"), 4242, 4242),
		)
		path, open := gate(t)
		second := s.Job()
		e := site.Begin(t, s.Runner(), second, waits(path))
		if l := list(t, s); len(l) != 1 || l[second.ID].State != "running" {
			t.Errorf("%+v", l)
		}
		open()
		site.Want(t, e.Wait(), fakerunner.Success, 0)
		if ended := list(t, s, "--ended", "--since", "999999h"); len(ended) != 2 || ended[first.ID].Exit != "ok" || ended[second.ID].Exit != "ok" {
			t.Errorf("%+v", ended)
		}
		if text, err := os.ReadFile(outside); err != nil || string(text) != "secret\n" {
			t.Errorf("%q, %v", text, err)
		}
	})
}

// TestUnusableJournal (HEPTAPOD/STATE): a journal that cannot be written stops no job, the operator's
// log has one warning in each stage, and check fails.
func TestUnusableJournal(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		dir := filepath.Join(s.StateDir, "journal")
		testutil.Must(t, os.WriteFile(dir, nil, 0o600))
		r := s.Runner().Run(s.Job("true"))
		site.Want(t, r, fakerunner.Success, 0)
		records, err := os.ReadFile(filepath.Join(s.StateDir, "operator.log"))
		testutil.Must(t, err)
		if n := bytes.Count(records, []byte("cannot write the journal")); n != len(r.Calls) {
			t.Errorf("%d warnings in %d stages:\n%s", n, len(r.Calls), records)
		}
		if strings.Contains(r.Trace, "journal") {
			t.Errorf("the user reads of it:\n%s", r.Trace)
		}
		if check := admin(t, s, "check"); s.Service() == nil && (check.status != 2 || !strings.Contains(check.text, "the journal cannot be used")) {
			t.Errorf("%+v", check)
		}
		if jobs := admin(t, s, "jobs"); jobs.status == 0 || strings.Count(jobs.text, "\n") != 1 {
			t.Errorf("%+v", jobs)
		}
	})
}

// TestJournalf: without it there are no files, and the commands name the key.
func TestJournalf(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "journal", site.Table{"enabled": false}) }))
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
		if _, err := os.Stat(filepath.Join(s.StateDir, "journal")); err == nil {
			t.Error("there is a journal")
		}
		if r := admin(t, s, "jobs"); r.status != 2 || !strings.Contains(r.text, "auth.journal.enabled is false") {
			t.Errorf("%+v", r)
		}
	})
}

// TestJournalIsClosed (SEC/API): an account of jobs reads nothing of it and changes
// nothing in it, and neither does the runner's service where jacamar-auth has
// capabilities.
func TestJournalIsClosed(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
		accounts := []string{s.Account.Name}
		if s.StateOwner() != nil {
			accounts = append(accounts, s.Service().Name)
		}
		for _, name := range accounts {
			for _, command := range []string{"ls " + journal(t, s), "cat " + journal(t, s) + "/days/*", "mkdir -p " + s.StateDir + "/journal/marks"} {
				out, err := exec.Command("/usr/bin/setpriv", "--reuid", name, "--regid", name, "--init-groups", "bash", "-c", command).CombinedOutput()
				if err == nil {
					t.Errorf("%s can %s: %s", name, command, out)
				}
			}
		}
	})
}

// TestKilledJobIsAGhost (remove-ghost-jobs, LORRY/REMOVE-GHOST-JOBS): kill -9 of the runner together with
// jacamar-auth, jacamar, or both. Where nothing of the job's can go on, the job is listed
// as a ghost; nothing that lives is.
func TestKilledJobIsAGhost(t *testing.T) {
	for _, victims := range [][]string{{"jacamar-auth"}, {"jacamar"}, {"jacamar-auth", "jacamar"}, {}} {
		t.Run("runner "+strings.Join(victims, " "), func(t *testing.T) {
			deployments(t, func(t *testing.T, s *site.Site) {
				path, _ := gate(t)
				j := s.Job()
				cmd := beginDetached(t, s, j, waits(path))
				testutil.Must(t, syscall.Kill(cmd.Process.Pid, syscall.SIGKILL))
				for _, name := range victims {
					for _, pid := range processesOf(t, s, name) {
						if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
							t.Fatal(err)
						}
					}
				}
				_ = cmd.Wait()
				until(t, "the job is a ghost", func() bool { return list(t, s, "--state", "ghost")[j.ID].Job != "" })
				if text := does(t, s, "jobs"); !strings.Contains(text, "ghost") {
					t.Errorf("%s", text)
				}
				if check := admin(t, s, "status", "--check"); check.status != 2 || !strings.Contains(check.text, "ghost: 1 left by a runner that has ended: "+fmt.Sprint(j.ID)) {
					t.Errorf("%+v", check)
				}
				for _, m := range own(t, s) {
					_ = syscall.Kill(m.PID, syscall.SIGKILL)
				}
			})
		})
	}
}

// processesOf are the site's processes of a program.
func processesOf(t *testing.T, s *site.Site, name string) (pids []int) {
	t.Helper()
	for _, p := range own(t, s) {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.PID))
		if err == nil && filepath.Base(exe) == name {
			pids = append(pids, p.PID)
		}
	}
	return pids
}
