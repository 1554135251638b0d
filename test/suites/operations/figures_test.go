package operations

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestChargeback (OPS/CHARGEBACK): the processor time of everything that a script ran is counted, of
// detached children too, and the memory of the largest one.
func TestChargeback(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		idle, burning := s.Job(), s.Job()
		const memory = "x=$(head -c 80000000 /dev/zero | tr '\\0' x); echo ${#x}\n"
		idle.Raw = map[string][]byte{"build_script": []byte(memory)}
		// Two loops in sessions of their own, whose parents have ended. The script waits
		// for them by a pipe.
		burning.Raw = map[string][]byte{"build_script": []byte(`
burn='while read -ra f < /proc/$$/stat && ((f[13] + f[14] < 100)); do
	for ((i = 0; i < 1000; i++)); do :; done
done'
{ (setsid bash -c "$burn" &); (setsid bash -c "$burn" &); } | cat
` + memory)}
		r := s.Runner()
		site.Want(t, r.Run(idle), fakerunner.Success, 0)
		busy := r.Run(burning)
		site.Want(t, busy, fakerunner.Success, 0)
		ended := list(t, s, "--ended")
		own := ended[burning.ID].CPU - ended[idle.ID].CPU
		// The figures are those of the kernel. What is equal in both jobs differs by some
		// tenths of itself.
		rest := ended[idle.ID].CPU
		if own < 2-rest/2 || own > 2.5+rest/2 {
			t.Errorf("%.2f s of two loops of 1 s each; the job without them has %.2f s", own, rest)
		}
		trace := closing(t, busy)
		if shown := trace.cpu.Seconds(); shown < 2 || shown > ended[burning.ID].CPU+0.1 || trace.peak < 76 || trace.peak > 800 {
			t.Errorf("the closing section of the log has %+v, the record has %.2f s", trace, ended[burning.ID].CPU)
		}
		if peak := ended[burning.ID].Peak; peak < 80_000_000 || peak > 800_000_000 {
			t.Errorf("a peak of %d bytes", peak)
		}
		if text := does(t, s, "show", fmt.Sprint(burning.ID)); !strings.Contains(text, "cpu=") || !strings.Contains(text, "peak=") {
			t.Errorf("%s", text)
		}
		dir := t.TempDir()
		does(t, s, "status", "--html", dir+"/index.html")
		page, err := os.ReadFile(dir + "/index.html")
		if err != nil || !strings.Contains(string(page), `<td data-name="Peak memory">`) {
			t.Errorf("%v: %s", err, page)
		}
	})
}

// figures are those of a closing section in a job's log.
type figures struct {
	cpu  time.Duration
	peak float64 // MiB
}

func closing(t *testing.T, r fakerunner.Result) (f figures) {
	t.Helper()
	for line := range strings.Lines(r.Trace) {
		if text, ok := strings.CutPrefix(line, "CPU time: "); ok {
			var err error
			f.cpu, err = time.ParseDuration(strings.TrimSpace(text))
			testutil.Must(t, err)
		}
		if text, ok := strings.CutPrefix(line, "peak memory of a process: "); ok {
			_, err := fmt.Sscanf(text, "%f MiB", &f.peak)
			testutil.Must(t, err)
		}
	}
	return f
}

// TestDisk (MON/DU, RR/DU): the size of the build directory at cleanup equals that of
// du(1), and a huge tree is reported as more than what could be measured in time.
func TestDisk(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		j := s.Job("mkdir -p a/b; head -c 3000000 /dev/urandom > a/b/c; ln a/b/c d; ln -s / e")
		r := s.Runner()
		var dir, du string
		r.Hooks.Ended = func(c fakerunner.Call) {
			if c.Stage != "cleanup" && c.Stage != "config" {
				dir = list(t, s)[j.ID].Directory
				out, err := exec.Command("du", "-s", "--block-size=1", dir).Output()
				testutil.Must(t, err)
				du = string(out)
			}
		}
		site.Want(t, r.Run(j), fakerunner.Success, 0)
		var want int64
		_, err := fmt.Sscan(du, &want)
		testutil.Must(t, err)
		if ended := list(t, s, "--ended")[j.ID]; ended.Disk != want || ended.Partial || want < 3_000_000 {
			t.Errorf("%d bytes, du has %d: %+v", ended.Disk, want, ended)
		}
		var sizes []struct {
			Account string
			Bytes   int64 `json:"disk_bytes"`
		}
		text := does(t, s, "du", "--json")
		testutil.Must(t, json.Unmarshal([]byte(text), &sizes))
		if len(sizes) != 1 || sizes[0].Account != s.Account.Name || sizes[0].Bytes != want {
			t.Errorf("%s", text)
		}
		if testing.Short() {
			return
		}
		testutil.Must(t, exec.Command("runuser", "-u", s.Account.Name, "--", "bash", "-c",
			"mkdir -p "+filepath.Join(dir, "huge")+" && cd "+filepath.Join(dir, "huge")+` && for d in {1..300}; do mkdir $d; (cd $d; touch {1..1000}); done`).Run())
		j, r.Hooks.Ended = s.Job("true"), nil
		res := r.Run(j)
		site.Want(t, res, fakerunner.Success, 0)
		if ended := list(t, s, "--ended")[j.ID]; !ended.Partial {
			t.Errorf("%+v", ended)
		}
		if text := does(t, s, "jobs", "--ended"); !strings.Contains(text, ">") {
			t.Errorf("%s", text)
		}
	})
}

// TestConcurrency (RR/MULTI): of many jobs at once never more are live than the cap, all
// end, and the log of a waiting one has why. A ghost takes no place, a job that waits too
// long is refused, and no running job is stopped.
func TestConcurrency(t *testing.T) {
	const limitOfJobs = 3
	count := 5
	if !testing.Short() {
		count = 30
	}
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("auth", "concurrency", site.Table{"per_account": limitOfJobs, "total": limitOfJobs + 1, "wait": "50m"})
		}))
		path, _ := gate(t)
		ghost := s.Job()
		cmd := beginDetached(t, s, ghost, waits(path))
		kill(t, s, cmd, []string{"runner"})
		_ = cmd.Wait()
		until(t, "the job is a ghost", func() bool { return list(t, s)[ghost.ID].State == "ghost" })

		r := s.Runner()
		var all []*fakerunner.Execution
		for range count {
			all = append(all, r.Start(s.Job("sleep 0.3")))
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, e := range all {
				e.Wait()
			}
		}()
		most, waited := 0, 0
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-time.After(100 * time.Millisecond):
			}
			live, waiting := 0, 0
			for _, l := range list(t, s) {
				switch l.State {
				case "waiting":
					waiting++
				case "running", "between":
					live++
				}
			}
			most, waited = max(most, live), max(waited, waiting)
		}
		if most > limitOfJobs || most == 0 || waited == 0 {
			t.Errorf("%d jobs were live at once, %d waited", most, waited)
		}
		explained := 0
		for _, e := range all {
			res := e.Wait()
			site.Want(t, res, fakerunner.Success, 0)
			if strings.Contains(res.Trace, "this CI resource runs 3 of your jobs at once") {
				explained++
			}
		}
		if explained < count-limitOfJobs {
			t.Errorf("%d logs have why the job waits", explained)
		}
		does(t, s, "reap")
		overTime(t, s, r, limitOfJobs)
	})
}

// overTime fills all places: the next job is refused when its time to wait is over, and
// ends when it is stopped.
func overTime(t *testing.T, s *site.Site, r *fakerunner.Runner, places int) {
	t.Helper()
	path, open := gate(t)
	var running []*fakerunner.Execution
	for range places {
		running = append(running, site.Begin(t, r, s.Job(), waits(path)))
	}
	stopped := s.Job("true")
	e := r.Start(stopped)
	until(t, "the job waits", func() bool { return list(t, s)[stopped.ID].State == "waiting" })
	does(t, s, "stop", "--message", "enough", fmt.Sprint(stopped.ID))
	if res := e.Wait(); res.Outcome == fakerunner.Success {
		t.Error("a stopped job succeeded")
	}
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("auth", "concurrency", site.Table{"per_account": places, "wait": "3s"})
	}))
	res := r.Run(s.Job("true"))
	if res.Outcome != fakerunner.SystemFailure {
		t.Errorf("%s\n%s", res.Outcome, res.Trace)
	}
	reads(t, res, "this CI resource runs 3 of your jobs at once, and no place was free for 3s")
	if text := does(t, s, "jobs", "--refused"); !strings.Contains(text, "concurrency") {
		t.Errorf("%s", text)
	}
	open()
	for _, e := range running {
		site.Want(t, e.Wait(), fakerunner.Success, 0)
	}
}

// TestConcurrencyWithoutJournal (RR/MULTI): where jobs cannot be counted, all run, and the operator
// is warned.
func TestConcurrencyWithoutJournal(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t,
			s.Reconfigure(func(c site.Config) { c.Set("auth", "concurrency", site.Table{"total": 1}) }),
			os.WriteFile(filepath.Join(s.StateDir, "journal"), nil, 0o600))
		path, open := gate(t)
		r := s.Runner()
		first, second := site.Begin(t, r, s.Job(), waits(path)), site.Begin(t, r, s.Job(), waits(path))
		open()
		site.Want(t, first.Wait(), fakerunner.Success, 0)
		site.Want(t, second.Wait(), fakerunner.Success, 0)
		records, err := os.ReadFile(filepath.Join(s.StateDir, "operator.log"))
		if err != nil || !strings.Contains(string(records), "cannot count the jobs that run") {
			t.Errorf("%v: %s", err, records)
		}
	})
}
