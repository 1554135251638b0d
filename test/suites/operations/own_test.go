package operations

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// own runs a command of jacamar as the account of the jobs.
func ownCommand(t *testing.T, s *site.Site, args ...string) result {
	t.Helper()
	cmd := exec.Command("/usr/bin/setpriv", append([]string{"--reuid", s.Account.Name, "--regid", s.Account.Name, "--init-groups", s.Jacamar}, args...)...)
	cmd.Env, cmd.Dir = []string{"HOME=" + s.Account.Home, "USER=" + s.Account.Name}, "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run()
	return result{cmd.ProcessState.ExitCode(), out.String()}
}

// TestOwnCommands (RUNBOAT/MAX-DEPLOYED): a person sees the own live jobs and what they occupy, and removes what
// no job uses, also while a job runs. Each command twice changes nothing.
func TestOwnCommands(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		if r := ownCommand(t, s, "jobs", "--base", "/no/such"); r.status != 0 || !strings.Contains(r.text, "no job of yours has run here") {
			t.Errorf("%+v", r)
		}
		ownCommand(t, s, "clean", "--older", "0s") // what other tests left
		path, open := gate(t)
		r := s.Runner()
		live, other := s.Job(), s.Job()
		running := site.Begin(t, r, live, waits(path))
		site.Want(t, r.Run(other), fakerunner.Success, 0)
		var jobs []struct {
			Job              int64
			State, Directory string
		}
		listed := ownCommand(t, s, "jobs", "--json")
		if err := json.Unmarshal([]byte(listed.text), &jobs); err != nil || len(jobs) != 1 || jobs[0].Job != live.ID || jobs[0].State != "live" || jobs[0].Directory != list(t, s)[live.ID].Directory {
			t.Errorf("%v: %+v, %s", err, jobs, listed.text)
		}
		base := filepath.Join(s.Account.Home, ".jacamar-ci")
		var parts []struct {
			Kind, Path string
			Bytes      int64
		}
		sizes := ownCommand(t, s, "du", "--json")
		testutil.Must(t, json.Unmarshal([]byte(sizes.text), &parts))
		for _, p := range parts {
			out, err := exec.Command("du", "-s", "--block-size=1", p.Path).Output()
			testutil.Must(t, err)
			var want int64
			_, err = fmt.Sscan(string(out), &want)
			testutil.Must(t, err)
			if p.Bytes != want && p.Kind != "logs" { // the live job writes there
				t.Errorf("%+v, du has %d", p, want)
			}
		}
		free := filepath.Join(filepath.Dir(jobs[0].Directory), "001")
		if r := ownCommand(t, s, "clean", "-n", "--older", "0s"); r.status != 0 || r.text != "would remove "+free+"\n" {
			t.Errorf("%+v", r)
		}
		if r := ownCommand(t, s, "clean"); r.status != 0 || r.text != "nothing to do\n" {
			t.Errorf("%+v", r)
		}
		if r := ownCommand(t, s, "clean", "--older", "0s", "--project", "no/such"); r.text != "nothing to do\n" {
			t.Errorf("%+v", r)
		}
		for _, want := range []string{"removed " + free + "\n", "nothing to do\n"} {
			if r := ownCommand(t, s, "clean", "--older=0s", "--caches", "--logs"); r.status != 0 || r.text != want {
				t.Errorf("%+v, want %q", r, want)
			}
		}
		open()
		site.Want(t, running.Wait(), fakerunner.Success, 0)
		for _, args := range [][]string{{"clean", "--older", "x"}, {"clean", "--older"}, {"jobs", "--older", "1d"}, {"du", "x"}, {"clean", "--older", "-1h"}, {"clean", "--project", "/"}, {"jobs", "--base", "../\x00"}} {
			if strings.Contains(strings.Join(args, ""), "\x00") {
				continue
			}
			if r := ownCommand(t, s, args...); r.status != 2 || strings.Count(r.text, "\n") != 1 {
				t.Errorf("%q: %+v", args, r)
			}
		}
		if _, err := os.Stat(base); err != nil {
			t.Error(err)
		}
	})
}

// TestCleanDuringJobs (RUNBOAT/MAX-DEPLOYED): clean in a loop next to many jobs, some of which are killed, takes
// no directory from a live one.
func TestCleanDuringJobs(t *testing.T) {
	rounds, at := 1, 4
	if !testing.Short() {
		rounds, at = 10, 6
	}
	someDeployments(t, func(t *testing.T, s *site.Site) {
		over := make(chan struct{})
		var cleaning sync.WaitGroup
		cleaning.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					if r := ownCommand(t, s, "clean", "--older", "0s", "--caches", "--logs"); r.status != 0 {
						t.Errorf("%+v", r)
					}
				}
			}
		})
		script := `set -e; echo "$CI_JOB_ID" > mine; for i in {1..20}; do [ "$(cat mine)" = "$CI_JOB_ID" ] && [ -d "$PWD" ]; sleep 0.05; done; rm mine`
		for range rounds {
			var all sync.WaitGroup
			for n := range at {
				all.Go(func() {
					if n == 0 {
						j := s.Job(script)
						cmd := detached(t, s, j)
						site.Eventually(limit, func() bool { return list(t, s)[j.ID].Stage == "build_script" })
						kill(t, s, cmd, []string{"runner"})
						_ = cmd.Wait()
						return
					}
					site.Want(t, s.Runner().Run(s.Job(script)), fakerunner.Success, 0)
				})
			}
			all.Wait()
		}
		close(over)
		cleaning.Wait()
		until(t, "no stage runs", func() bool { return !runs(t, s) })
		does(t, s, "reap")
		nothingLeft(t, s, filepath.Join(s.Account.Home, ".jacamar-ci"), "clean")
	})
}

// TestKeptDays (build_days, cache_days, log_days, RUNBOAT/MAX-DEPLOYED): what was not used for so many days goes
// at the end of a job, and the rest stays.
func TestKeptDays(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			for _, key := range []string{"build_days", "cache_days", "log_days"} {
				c.Set("general", key, 7)
			}
		}))
		path, open := gate(t)
		r := s.Runner()
		first := s.Job()
		e := site.Begin(t, r, first, waits(path))
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
		pool := filepath.Dir(list(t, s)[first.ID].Directory)
		cache := filepath.Join(s.Account.Home, ".jacamar-ci", "cache", "old", "cache.zip")
		log := filepath.Join(s.Account.Home, ".jacamar-ci", "scripts", filepath.Base(pool), "42")
		testutil.Must(t, exec.Command("/usr/bin/setpriv", "--reuid", s.Account.Name, "--regid", s.Account.Name, "--init-groups", "bash", "-c",
			fmt.Sprintf("umask 077; mkdir -p %s %s/x; touch %s %s/x/log; touch -d '8 days ago' %[3]s %[4]s %s/000 %[5]s/001", filepath.Dir(cache), log, cache, log, pool)).Run())
		open()
		site.Want(t, e.Wait(), fakerunner.Success, 0)
		for _, gone := range []string{cache, log, filepath.Join(pool, "001")} {
			if _, err := os.Lstat(gone); err == nil {
				t.Errorf("%s is still there", gone)
			}
		}
		if _, err := os.Lstat(filepath.Join(pool, "000")); err != nil {
			t.Error(err)
		}
	})
}
