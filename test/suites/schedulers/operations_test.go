package schedulers

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
)

// listed is a job as `jacamar-admin jobs --json` has it.
type listedJob struct {
	Job, Account string
	State, Exit  string
	BatchID      string `json:"batch_id"`
	Phase, Node  string
	Waited       float64 `json:"waited_seconds"`
	BatchCPU     float64 `json:"batch_cpu_seconds"`
}

// adminCommand runs jacamar-admin and returns what it printed.
func adminCommand(t *testing.T, s *site.Site, args ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can read the journal of this deployment")
	}
	cmd := exec.Command(s.Admin, append([]string{args[0], "--configuration", s.ConfigFile}, args[1:]...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("jacamar-admin %q: %v: %s", args, err, out)
	}
	return string(out)
}

// journal returns the jobs that jacamar-admin lists, by their number.
func journal(t *testing.T, s *site.Site, args ...string) map[int64]listedJob {
	t.Helper()
	var list []listedJob
	text := adminCommand(t, s, append([]string{"jobs", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	jobs := map[int64]listedJob{}
	for _, j := range list {
		id, err := strconv.ParseInt(j.Job, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		jobs[id] = j
	}
	return jobs
}

// TestLiveBatchJobs (RQ/RUNNING): with batch jobs of several accounts at once, the list is
// exactly the live jobs, each with the id that the batch system gave it, its node and
// phase, and empty when they have ended.
func TestLiveBatchJobs(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		accounts := 10
		if testing.Short() {
			accounts = 2
			if c.kind != "slurm" {
				t.Skip("short mode: Slurm, a fake and the real one")
			}
		}
		s := c.site(t)
		if os.Geteuid() != 0 {
			t.Skip("only root has several accounts")
		}
		people, err := s.Accounts.People(accounts)
		if err != nil {
			t.Fatal(err)
		}
		r := s.Runner()
		dir, err := os.MkdirTemp("/tmp", "jacamar-gate-")
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		gate := filepath.Join(dir, "gate")
		owners := map[int64]string{}
		names := map[int64]string{}
		var running []*fakerunner.Execution
		for _, a := range people {
			j := newJob(s, "until [ -e "+gate+" ]; do sleep 0.2; done")
			j.UserID = int64(a.UID)
			j = s.WithClaims(j, s.GitLab.Claims(j, gitlab.User{ID: int64(a.UID), Login: a.Name, Email: a.Name + "@example.org"}))
			owners[j.ID], names[j.ID] = a.Name, batchName(r, j)
			running = append(running, r.Start(j))
		}
		var live map[int64]listedJob
		if !site.Eventually(2*time.Minute, func() bool { live = journal(t, s); return allRun(live, accounts) }) {
			t.Errorf("not all are listed as running: %+v", live)
		}
		for id, owner := range owners {
			queued := c.queue(t, names[id], false)
			if l := live[id]; len(queued) != 1 || l.Account != owner || c.executor != "flux" && !strings.HasPrefix(l.BatchID, queued[0].id) {
				t.Errorf("job %d of %s: %+v, queued are %v", id, owner, live[id], queued)
			}
		}
		page := filepath.Join(t.TempDir(), "index.html")
		adminCommand(t, s, "status", "--html", page)
		if listed := site.LiveOnPage(t, page); !maps.Equal(listed, owners) {
			t.Errorf("the page has %v, want %v", listed, owners)
		}
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, e := range running {
			site.Want(t, e.Wait(), fakerunner.Success, 0)
		}
		if live := journal(t, s); len(live) != 0 {
			t.Errorf("jobs that have ended live: %+v", live)
		}
	})
}

// allRun reports whether that many jobs are listed, and all of them run in the batch
// system.
func allRun(live map[int64]listedJob, count int) bool {
	for _, l := range live {
		if l.State != "running" || l.Phase != "running" {
			return false
		}
	}
	return len(live) == count
}

// TestReapBatch (LORRY/REMOVE-GHOST-JOBS): kill -9 of runner, jacamar-auth and jacamar while a batch job runs.
// After one reap the batch job is not queued, and no live record is left.
func TestReapBatch(t *testing.T) {
	everywhere(t, func(t *testing.T, c cluster) {
		if testing.Short() && c.kind != "slurm" {
			t.Skip("short mode: Slurm, a fake and the real one")
		}
		s := c.site(t)
		r := s.Runner()
		j := newJob(s, "echo under way; sleep 300")
		runner := detached(t, s, r, j, "under way\n")
		live := journal(t, s)[j.ID]
		queued := c.queue(t, batchName(r, j), false)
		// The queue of a fake has numbers without the server, and Flux's in another form.
		same := len(queued) == 1 && (strings.HasPrefix(live.BatchID, queued[0].id) || c.executor == "flux")
		if !same || live.State != "running" || live.Phase != "running" {
			t.Errorf("%+v, queued are %v", live, queued)
		}
		for _, auth := range proctree.Children(runner.Process.Pid) {
			for _, pid := range append(proctree.Children(auth), auth, runner.Process.Pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		_ = runner.Wait()
		site.Eventually(20*time.Second, func() bool { return journal(t, s)[j.ID].State == "ghost" })
		if text := adminCommand(t, s, "reap"); !strings.Contains(text, "cleaned up") {
			t.Errorf("%s", text)
		}
		c.gone(t, batchName(r, j))
		if l := journal(t, s); len(l) != 0 {
			t.Errorf("%+v", l)
		}
	})
}
