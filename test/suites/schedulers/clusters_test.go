package schedulers

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// west is the name of a second cluster.
const west = "west"

// twoClusters are a cluster and a second one with its accounting, which only commands that name it
// find.
func twoClusters(t *testing.T) (c, second cluster) {
	t.Helper()
	c = clusterOf(t, slurm.Options{Accounting: true})
	return c, clusterOf(t, slurm.Options{Name: west, Partner: c.real})
}

// A job that its runner and driver left behind in another cluster than the local one is
// ended there by the next job, also where its id was never recorded.
func TestOrphanInAnotherCluster(t *testing.T) {
	c, second := twoClusters(t)
	s := c.site(t)
	r := s.Runner()
	j := parameters(newJob(s, "echo ready; sleep 300"), "--clusters="+west)
	runner := detached(t, s, r, j, "ready\n")
	killTree(runner.Process.Pid)
	_ = runner.Wait()
	if left := second.queue(t, batchName(r, j), false); len(left) != 1 {
		t.Fatalf("%v are queued in %s, want the stray", left, west)
	}
	site.Want(t, r.Run(newJob(s, "true")), fakerunner.Success, 0, "cancelled the Slurm job "+batchName(r, j))
	second.once(t, batchName(r, j))
}

// A submission of unknown result to another cluster than the local one is found there.
func TestForgottenSubmissionInAnotherCluster(t *testing.T) {
	c, second := twoClusters(t)
	c.bin = slowSubmit(t, c)
	s := c.site(t)
	r := s.Runner()
	j := parameters(newJob(s, "echo ran once"), "-M "+west)
	e := r.Start(j)
	p, err := e.AwaitStage(await(t), "build_script", 1)
	if err != nil {
		t.Fatal(err)
	}
	submitted := func() bool { return len(second.queue(t, batchName(r, j), true)) > 0 }
	if !site.Eventually(30*time.Second, submitted) {
		t.Fatal("nothing was submitted")
	}
	for _, client := range clients(p.PID) {
		_ = syscall.Kill(-client, syscall.SIGKILL)
	}
	site.Want(t, e.Wait(), fakerunner.Success, 0, "searching for the job by name", ";"+west, "ran once\n")
	second.once(t, batchName(r, j))
}

// In a federation each job ends as its script ended, whichever cluster runs it.
func TestFederation(t *testing.T) {
	c, second := twoClusters(t)
	if out, err := c.real.Command(t.Context(), "sacctmgr", "-i", "add", "federation", "both", "clusters="+slurm.ClusterName+","+west).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, in := range []cluster{c, second} {
		federated := func() bool { return strings.Contains(in.command(t, "scontrol", "show", "federation"), "both") }
		if !site.Eventually(30*time.Second, federated) {
			t.Fatal("a cluster did not join the federation")
		}
	}
	s := c.site(t)
	r := s.Runner()
	for _, only := range []struct {
		name  string
		other cluster
	}{{slurm.ClusterName, second}, {west, c}} {
		only.other.command(t, "scontrol", "update", "PartitionName=main", "State=DOWN")
		var all sync.WaitGroup
		for range 3 {
			j := newJob(s, "echo in=$SLURM_CLUSTER_NAME; sleep 3; exit 7")
			all.Go(func() { site.Want(t, r.Run(j), fakerunner.ScriptFailure, 7, "in="+only.name+"\n") })
		}
		all.Wait()
		only.other.command(t, "scontrol", "update", "PartitionName=main", "State=UP")
	}
}
