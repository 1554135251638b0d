package ending

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// filled is how many processes the account has before the stage. It is more than what
// the runner's own account needs, to which the same limit applies (LimitNPROC in
// systemd.exec(5)), and than jacamar-auth demands for its helpers.
const filled = 100

// spare are how many more than these the account may have. The start of jacamar, the
// threads of Go's runtime and the job's shell need one after the other.
func spare() []int {
	if testing.Short() {
		return []int{0, 2, 6}
	}
	return []int{0, 1, 2, 4, 6, 9}
}

// TestAccountAtItsLimit starts each stage with the account at its limit on processes,
// or little below it. The stage succeeds, or fails as the resource's failure with one
// line about the limit.
func TestAccountAtItsLimit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts processes of the job's account")
	}
	stages := []string{"prepare", "build_script", "config", "cleanup"}
	if testing.Short() {
		stages = stages[:2]
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			at := under(t, s, open)
			fill(t, s)
			refused := 0
			for _, stage := range stages {
				for _, n := range spare() {
					if at.crowded(t, stage, n, d.Changes) {
						refused++
					}
				}
			}
			if refused < len(stages) {
				t.Errorf("the limit was in the way of %d starts", refused)
			}
		})
	}
}

func fill(t *testing.T, s *site.Site) {
	t.Helper()
	site.NoProcess(t, 20*time.Second, site.OfUID(s.Account.UID))
	for range filled {
		cmd := exec.Command("/bin/sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: s.Account.UID, Gid: s.Account.GID}, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
}

// crowded runs a job of which one stage has the limit, and reports whether it was in
// the way. own means that the job has an account of its own, so that the limit applies
// to nothing else.
func (p place) crowded(t *testing.T, stage string, n int, own bool) bool {
	t.Helper()
	name := fmt.Sprintf("%s, %d", stage, n)
	r := p.runner()
	r.Judge = nil // a cleanup that cannot start leaves the job's files
	launch := r.Hooks.Launch
	r.Hooks.Launch = func(s string) []string {
		if s != stage {
			return launch(s)
		}
		return append(launch(s), "/usr/bin/prlimit", fmt.Sprintf("--nproc=%d:%[1]d", filled+n), "--")
	}
	job := p.site.Job()
	job.Raw = map[string][]byte{"build_script": []byte("echo the script has run.\n")}
	res := r.Run(job)
	call, ok := res.Call(stage)
	output := string(call.Stdout) + string(call.Stderr)
	switch {
	case !ok:
		t.Errorf("%s: the job did not come to it:\n%s", name, res.Trace)
	case call.Status == 0:
		return false
	case call.Status != 2 || stage == "build_script" && res.Outcome != fakerunner.SystemFailure:
		t.Errorf("%s: it ended with status %d, the job as %s", name, call.Status, res.Outcome)
	}
	if !own {
		return true // jacamar-auth, or jacamar-noauth, could not start a thread: its runtime ends it
	}
	if strings.Count(output, "ERROR: ") != 1 || !strings.Contains(output, "ERROR: no more processes or threads can be started as your account") {
		t.Errorf("%s: it prints\n%s", name, output)
	}
	for _, internal := range []string{"goroutine", "newosproc", "runtime:", "sudo:", "temporarily"} {
		if strings.Contains(output, internal) {
			t.Errorf("%s: it prints %q:\n%s", name, internal, output)
		}
	}
	return true
}
