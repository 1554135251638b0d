package storage

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// modelJobs is the variable that specifies how many jobs TestModel runs.
const modelJobs = "JACAMAR_TEST_MODEL_JOBS"

// callsOfAJob is the count of docs/scaling.md for a later job of the shell executor.
const callsOfAJob = 171

// TestModel checks the model of docs/scaling.md: jobs of 12 stages, of one account on two
// hosts that share a data_dir by NFS, send the file server about as many operations as the
// model has calls for each of them.
func TestModel(t *testing.T) {
	if text := os.Getenv(guestVariable); text != "" {
		modelOnNFS(t, text)
		return
	}
	jobs := os.Getenv(modelJobs)
	switch {
	case os.Geteuid() != 0:
		t.Skip("only root can be the root of a guest with NFS")
	case jobs == "" && testing.Short():
		t.Skip("jobs on two hosts take the guest minutes: SHORT= runs them")
	case jobs == "":
		jobs = "12"
	}
	out := runInGuest(t, time.Hour, []string{modelJobs + "=" + jobs}, "-test.timeout=1h", "-test.run=^TestModel$")
	if !strings.Contains(out, "--- PASS: TestModel") {
		t.Error("the test has not passed there")
	}
}

func modelOnNFS(t *testing.T, given string) {
	s := siteInGuest(t, given)
	dataDirAt(t, s, mountPoint, func(c site.Config) { c.Set("general", "limit_build_dir", true) })
	jobs, err := strconv.Atoi(os.Getenv(modelJobs))
	testutil.Must(t, err)
	nodes := []node{newNode(t, "one", "127.0.0.1"), newNode(t, "two", "127.0.0.2")}
	if clients, _ := filepath.Glob("/proc/fs/nfsd/clients/*/info"); len(clients) != len(nodes) {
		t.Fatalf("the server has the clients %v, and there are %d nodes", clients, len(nodes))
	}
	for _, n := range nodes {
		site.Want(t, n.runner(s).Run(twelveStages(s)), fakerunner.Success, 0) // it makes directories
	}
	before, began := operations(t, nodes), time.Now()
	playModel(t, s, nodes, jobs)
	took, all := time.Since(began), operations(t, nodes)
	total := 0
	for _, name := range slices.SortedFunc(maps.Keys(all), func(a, b string) int { return all[b] - before[b] - all[a] + before[a] }) {
		if n := all[name] - before[name]; n > 0 {
			t.Logf("%-14s %6d, %5.1f a job", name, n, float64(n)/float64(jobs))
			total += n
		}
	}
	each := float64(total) / float64(jobs)
	t.Logf("%d jobs on two hosts in %.0f s: %.1f operations a job, %.1f a second; the model has %d calls a job", jobs, took.Seconds(), each, float64(total)/took.Seconds(), callsOfAJob)
	if each > 3*callsOfAJob/2 {
		t.Errorf("%.0f operations a job, far more than the %d calls of the model", each, callsOfAJob)
	}
}

// atOnceOnNode is how many jobs each host runs at once.
const atOnceOnNode = 2

// playModel runs jobs on the nodes. No two that run at once have the same build directory.
func playModel(t *testing.T, s *site.Site, nodes []node, jobs int) {
	var next atomic.Int64
	var workers sync.WaitGroup
	held := &sync.Map{}
	for n := range len(nodes) * atOnceOnNode {
		r := nodes[n%len(nodes)].runner(s)
		r.ShortToken = fmt.Sprintf("t0kenOf%d", n%len(nodes))
		var dir string // of the job that this worker runs
		given := r.Given
		r.Given = func(id int64, builds string) {
			given(id, builds)
			if dir = builds; dir != "" {
				if other, taken := held.LoadOrStore(dir, id); taken {
					t.Errorf("jobs %d and %d have %s at once", other, id, dir)
				}
			}
		}
		r.Hooks.Started = func(p fakerunner.Process) {
			if p.Stage == "cleanup" {
				held.Delete(dir)
			}
		}
		workers.Go(func() {
			for next.Add(1) <= int64(jobs) {
				site.Want(t, r.Run(twelveStages(s)), fakerunner.Success, 0)
			}
		})
	}
	workers.Wait()
}

// twelveStages is a job with a script for each stage.
func twelveStages(s *site.Site) fakerunner.Job {
	j := s.Job("true")
	j.Raw = map[string][]byte{}
	for _, stage := range []string{
		"prepare_script", "get_sources", "restore_cache", "download_artifacts", "build_script", "after_script",
		"archive_cache", "upload_artifacts_on_success", "cleanup_file_variables",
	} {
		j.Raw[stage] = []byte("true\n")
	}
	return j
}

// operations are the requests that the nodes have sent to the file server, by their names:
// the counts of each mount of /proc/PID/mountstats (nfsiostat(8)).
func operations(t *testing.T, nodes []node) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, n := range nodes {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.pid), "mountstats"))
		testutil.Must(t, err)
		_, own, found := strings.Cut(string(text), " mounted on "+mountPoint+" ")
		_, counts, counted := strings.Cut(own, "per-op statistics\n")
		if !found || !counted {
			t.Fatalf("no statistics of %s:\n%s", mountPoint, text)
		}
		for line := range strings.Lines(counts) {
			name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields := strings.Fields(rest)
			if len(fields) < 2 {
				break // the next mount
			}
			count, err := strconv.Atoi(fields[0])
			testutil.Must(t, err)
			all[name] += count
		}
	}
	return all
}
