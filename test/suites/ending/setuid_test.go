package ending

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestSetuidLeftover has a job leave a program with a setuid bit. The account may end
// one that is root by its effective id alone (kill(2)). One that is root by all ids
// only root can end: elsewhere the stage fails, in time, and names it.
func TestSetuidLeftover(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it installs a program with a setuid bit")
	}
	program := compiled(t, "leftover")
	if err := errors.Join(os.Chown(program, 0, 0), os.Chmod(program, 0o755|os.ModeSetuid)); err != nil {
		t.Fatal(err)
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			logged(t, s, quick)
			var all sync.WaitGroup // the time is spent in waiting
			for _, p := range []proc{open, invisible} {
				at := under(t, s, p)
				for _, ids := range []string{"effective", "all"} {
					for _, killed := range []bool{false, true} {
						all.Go(func() { at.leaves(t, program, ids, killed, d.Name == "root" || ids == "effective") })
					}
				}
			}
			all.Wait()
		})
	}
}

// leaves runs a script that starts the program, and that may kill its jacamar. ended reports
// whether the program must have ended with the stage.
func (p place) leaves(t *testing.T, program, ids string, killed, ended bool) {
	name := fmt.Sprintf("%s, %s, killed %v", p.proc, ids, killed)
	job := p.site.Job()
	command := fmt.Sprintf("%s %s %d", program, ids, job.ID)
	script := fmt.Sprintf("read -r line < <(%s)\necho \"it is $line\"\n", command)
	if killed {
		script = whenSeen + script + "while :; do wait; done\n"
	}
	job.Raw = map[string][]byte{"build_script": []byte(script)}
	e := p.runner().Start(job)
	if killed {
		ctx, stop := context.WithTimeout(context.Background(), limit)
		defer stop()
		if err := errors.Join(e.AwaitOutput(ctx, "build_script", "it is"), seen(e, 0)); err != nil {
			t.Errorf("%s: %v", name, err)
			e.Abort()
		}
	}
	res := e.Wait()
	call, _ := res.Call("build_script")
	output := string(call.Stdout) + string(call.Stderr)
	if !strings.Contains(output, "it is ready") {
		t.Errorf("%s: the program did not start:\n%s", name, output)
	}
	left, err := site.Find(func(p site.Process) bool { return p.Command == command })
	if err != nil {
		t.Error(err)
	}
	for _, l := range left {
		_ = syscall.Kill(l.PID, syscall.SIGKILL)
	}
	named := strings.Contains(output, "processes of the job could not be ended: ")
	if len(left) > 0 == ended || named == ended {
		t.Errorf("%s: left %v, reported: %v\n%s", name, left, named, output)
	}
	if success := ended && !killed; (res.Outcome == fakerunner.Success) != success || !success && call.Status != 2 {
		t.Errorf("%s: the job ended as %s, the stage with status %d:\n%s", name, res.Outcome, call.Status, output)
	}
	// 2 s until jacamar kills, 3 s until it gives up, 5 s until the monitor does.
	if call.Duration > 40*time.Second {
		t.Errorf("%s: the stage took %v", name, call.Duration)
	}
	if c, _ := res.Call("cleanup"); c.Status != 0 {
		t.Errorf("%s: the cleanup failed: %s", name, c.Stderr)
	}
}

// TestSudoWithoutPty ends jobs in each way where sudo runs jacamar in a terminal of its
// own, and where it does not.
func TestSudoWithoutPty(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it adds rules for sudo")
	}
	for _, line := range []string{"Defaults:RUNNER use_pty", "Defaults:RUNNER !use_pty"} {
		t.Run(line, func(t *testing.T) {
			s := site.New(t, quick)
			if err := errors.Join(s.ServeBySudo(t, line), s.Reconfigure(quick)); err != nil {
				t.Fatal(err)
			}
			site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
			runAll(t, s, []proc{open, invisible}, endEvents)
		})
	}
}
