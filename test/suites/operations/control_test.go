package operations

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestDrain (RT/QSTOP, RT/QSTART): a drained resource refuses new jobs with the message,
// once for each try of the runner, does not touch a running one, and takes jobs again
// after resume. Each command twice changes nothing.
func TestDrain(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		path, open := gate(t)
		r := s.Runner()
		running := site.Begin(t, r, s.Job(), waits(path))
		y, m, d := time.Now().Date()
		end := time.Date(y, m, d+1, 12, 0, 0, 0, time.Local) // far from midnight
		for range 2 {
			does(t, s, "drain", "--message", "new network\x1b[2J cables", "--until", time.Until(end).Round(time.Second).String())
		}
		refused := r.Run(s.Job("true"))
		if refused.Outcome != fakerunner.SystemFailure || slices.ContainsFunc(stages(refused), func(stage string) bool { return stage != "config" && stage != "cleanup" }) {
			t.Errorf("%s: %q\n%s", refused.Outcome, stages(refused), refused.Trace)
		}
		reads(t, refused, "this CI resource takes no new jobs until "+end.Format("2006-01-02"))
		reads(t, refused, ": new network?[2J cables")
		if l := list(t, s); len(l) != 1 {
			t.Errorf("%+v", l)
		}
		if text := does(t, s, "jobs", "--refused"); !strings.Contains(text, "drain") {
			t.Errorf("%s", text)
		}
		if text := does(t, s, "status"); !strings.Contains(text, "Drained: new network?[2J cables") {
			t.Errorf("%s", text)
		}
		open()
		site.Want(t, running.Wait(), fakerunner.Success, 0)
		does(t, s, "resume")
		if text := does(t, s, "resume"); !strings.Contains(text, "nothing to do") {
			t.Errorf("%s", text)
		}
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
	})
}

// TestDrainOfSome (RT/QSTOP): a drain of an account or a project, one with exceptions and one that
// has ended keep no other job out.
func TestDrainOfSome(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		for _, c := range []struct {
			args []string
			out  bool
		}{
			{[]string{"--account", s.Account.Name}, true},
			{[]string{"--account", s.Accounts.Bob}, false},
			{[]string{"--project", "999999"}, false},
			{[]string{"--project", fmt.Sprint(s.Job().Project.ID)}, true},
			{[]string{"--allow", s.Account.Name}, false},
			{[]string{"--until", "1ns"}, false},
		} {
			does(t, s, append([]string{"drain", "--message", "not now"}, c.args...)...)
			r := s.Runner().Run(s.Job("true"))
			if refused := r.Outcome == fakerunner.SystemFailure; refused != c.out || refused != strings.Contains(r.Trace, "not now") {
				t.Errorf("%q: %s\n%s", c.args, r.Outcome, r.Trace)
			}
			var which []string
			if strings.HasPrefix(c.args[0], "--account") || strings.HasPrefix(c.args[0], "--project") {
				which = c.args
			}
			does(t, s, append([]string{"resume"}, which...)...)
		}
		for _, args := range [][]string{{}, {"--message", "x", "--until", "400h"}, {"--message", "x", "--hold", "2h"}, {"--message", "x", "--account", "a", "--project", "1"}, {"--message", "x", "--account", "jci-no-such"}, {"--message", "x", "y"}} {
			if r := admin(t, s, append([]string{"drain"}, args...)...); r.status != 2 || strings.Count(r.text, "\n") != 1 {
				t.Errorf("%q: %+v", args, r)
			}
		}
	})
}

// TestHold (RT/QSTOP): a held job waits, is listed, and goes on after resume; one whose time is
// over is refused, with all tries of the runner in less than the time again; one that is
// cancelled ends.
func TestHold(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		r := s.Runner()
		does(t, s, "drain", "--message", "back soon", "--hold", "50m")
		j := s.Job("true")
		e := r.Start(j)
		held := func() bool { l, ok := list(t, s)[j.ID]; return ok && l.State == "running" && l.Stage == "config" }
		until(t, "the job is held", held)
		until(t, "the user reads why", func() bool { return strings.Contains(e.Trace(), "back soon; waiting") })
		does(t, s, "resume")
		site.Want(t, e.Wait(), fakerunner.Success, 0)

		does(t, s, "drain", "--message", "back soon", "--hold", "50m")
		j = s.Job("true")
		e = r.Start(j)
		until(t, "the job is held", held)
		e.Abort()
		if res := e.Wait(); res.Outcome == fakerunner.Success {
			t.Error("a cancelled job succeeded")
		}
		until(t, "no job lives", func() bool { return len(list(t, s)) == 0 })

		does(t, s, "drain", "--message", "back soon", "--hold", "8s")
		begun := time.Now()
		res := r.Run(s.Job("true"))
		if res.Outcome != fakerunner.SystemFailure || !strings.Contains(res.Trace, "back soon") {
			t.Errorf("%s\n%s", res.Outcome, res.Trace)
		}
		if took := time.Since(begun); took < 6*time.Second || took > 3*7*time.Second {
			t.Errorf("%d tries took %s", len(res.Calls), took)
		}
		does(t, s, "resume")
	})
}

// TestStop (RT/KILL, stop-job): nothing of a stopped job runs, no later stage ran but
// cleanup, and the user reads the message. A job of another number goes on.
func TestStop(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		path, open := gate(t)
		r := s.Runner()
		other := site.Begin(t, r, s.Job(), waits(path))
		j := s.Job()
		j.AfterScript = []string{"echo the after_script ran"}
		e := site.Begin(t, r, j, "trap '' TERM\n"+waits(path))
		if text := does(t, s, "stop", "--message", "too loud", fmt.Sprint(j.ID)); text != fmt.Sprintf("job %d: sent SIGTERM to its stage build_script\n", j.ID) {
			t.Errorf("%s", text)
		}
		res := e.Wait()
		if res.Outcome != fakerunner.ScriptFailure || strings.Contains(res.Trace, "the after_script ran") {
			t.Errorf("%s\n%s", res.Outcome, res.Trace)
		}
		reads(t, res, "stopped by the administrators of this CI resource: too loud")
		open()
		site.Want(t, other.Wait(), fakerunner.Success, 0)
		if text := does(t, s, "stop", fmt.Sprint(j.ID)); !strings.Contains(text, "nothing to do") {
			t.Errorf("%s", text)
		}
		if ended := list(t, s, "--ended")[j.ID]; ended.Exit != "denied" {
			t.Errorf("%+v", ended)
		}
		for _, args := range [][]string{{}, {"x"}, {"1", "--message", "y"}, {"--account", s.Account.Name, "1"}, {"--account", "jci-no-such"}} {
			if r := admin(t, s, append([]string{"stop"}, args...)...); r.status != 2 || strings.Count(r.text, "\n") != 1 {
				t.Errorf("%q: %+v", args, r)
			}
		}
	})
}

// TestStopBetweenStages (RT/KILL): the next stage refuses with the message, and cleanup runs.
func TestStopBetweenStages(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		for _, after := range []string{"config", "prepare", "get_sources"} {
			j := s.Job("echo the script ran")
			r := s.Runner()
			r.Hooks.Ended = func(c fakerunner.Call) {
				if c.Stage == after {
					does(t, s, "stop", "--message", "it filled the disk", fmt.Sprint(j.ID))
				}
			}
			res := r.Run(j)
			if res.Outcome != fakerunner.ScriptFailure {
				t.Errorf("after %s: %s\n%s", after, res.Outcome, res.Trace)
			}
			for _, c := range res.Calls {
				if c.Stage == "build_script" && strings.Contains(string(c.Stdout), "the script ran") {
					t.Errorf("after %s the script ran:\n%s", after, c.Stdout)
				}
			}
			reads(t, res, "stopped by the administrators of this CI resource: it filled the disk")
			if s := stages(res); s[len(s)-1] != "cleanup" {
				t.Errorf("after %s: %q", after, s)
			}
			if _, err := os.Stat(filepath.Join(s.StateDir, "journal", "marks", fmt.Sprintf("stop-%d", j.ID))); err == nil {
				t.Error("the mark is still there")
			}
			if l := list(t, s); len(l) != 0 {
				t.Errorf("%+v", l)
			}
		}
	})
}

// TestStopAccount (RT/KILL): all jobs of the account end; a later one runs.
func TestStopAccount(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		path, _ := gate(t)
		r := s.Runner()
		var all []*fakerunner.Execution
		for range 3 {
			all = append(all, site.Begin(t, r, s.Job(), waits(path)))
		}
		if text := does(t, s, "stop", "--account", s.Accounts.Bob); !strings.Contains(text, "nothing to do") {
			t.Errorf("%s", text)
		}
		does(t, s, "stop", "--account", s.Account.Name, "--message", "you know why")
		for _, e := range all {
			res := e.Wait()
			if res.Outcome != fakerunner.ScriptFailure {
				t.Errorf("%s", res.Outcome)
			}
			reads(t, res, "stopped by the administrators of this CI resource: you know why")
		}
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // marks count in seconds
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
	})
}

// TestDrainWait (HEPTAPOD/GRACEFUL-STOP): it returns when the last job has ended, and not before.
func TestDrainWait(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		path, open := gate(t)
		e := site.Begin(t, s.Runner(), s.Job(), waits(path))
		left := make(chan map[int64]row, 1)
		go func() { // the job's record ends a little before its runner does
			admin(t, s, "drain", "--message", "x", "--wait")
			left <- list(t, s)
		}()
		until(t, "the drain is set", func() bool { return strings.Contains(does(t, s, "status"), "Drained: x") })
		open()
		if live := <-left; len(live) > 0 {
			t.Errorf("it returned before the end of %+v", live)
		}
		site.Want(t, e.Wait(), fakerunner.Success, 0)
		does(t, s, "resume")
	})
}

// TestStatusFiles (MON/STATIC): page, JSON and metrics are whole at any moment, and have
// the live jobs.
func TestStatusFiles(t *testing.T) {
	deployments(t, func(t *testing.T, s *site.Site) {
		path, open := gate(t)
		j := s.Job()
		e := site.Begin(t, s.Runner(), j, waits(path))
		dir := t.TempDir()
		page, data, metrics := dir+"/index.html", dir+"/status.json", dir+"/jacamar.prom"
		args := []string{"status", "--html", page, "--json", data, "--metrics", metrics, "--counters", dir + "/counters"}
		does(t, s, args...)
		for range 10 {
			does(t, s, args...)
			for file, want := range map[string]string{page: "</html>", data: "}\n", metrics: "\n"} {
				text, err := os.ReadFile(file)
				if err != nil || !strings.HasSuffix(strings.TrimRight(string(text), "\n")+"\n", strings.TrimRight(want, "\n")+"\n") {
					t.Errorf("%s: %v: %.200s", file, err, text)
				}
			}
		}
		for file, want := range map[string]string{page: fmt.Sprint(j.ID), data: fmt.Sprintf(`"job":"%d"`, j.ID), metrics: `jacamar_jobs{executor="shell",state="running"} 1`} {
			if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
				t.Errorf("%s has no %s: %v\n%s", file, want, err, text)
			}
		}
		open()
		site.Want(t, e.Wait(), fakerunner.Success, 0)
		if r := admin(t, s, "status", "--check"); r.status != 0 {
			t.Errorf("%+v", r)
		}
	})
}
