package schedulers

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/site"
)

// listed is a job as `jacamar-admin jobs --json` has it.
type listedJob struct {
	Job, State, Exit string
	BatchID          string `json:"batch_id"`
	Phase, Node      string
	Waited           float64 `json:"waited_seconds"`
	BatchCPU         float64 `json:"batch_cpu_seconds"`
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

// TestReapBatch: kill -9 of runner, jacamar-auth and jacamar while a batch job runs.
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
