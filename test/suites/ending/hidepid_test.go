package ending

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// limit is the longest time that a test waits for an event on a busy machine.
const limit = 30 * time.Second

// quick makes the time limits short enough for tests.
func quick(c site.Config) { c.Set("general", "kill_timeout", "1s") }

// tree is a part of a script that starts processes which ignore every request to end, some
// detached from their session or their parent, and reports the shell's parent.
const tree = "setsid sleep 1000 & sleep 1001 & (trap '' TERM HUP INT; sleep 1002; sleep 1003) & (setsid sh -c 'sleep 1004 & sleep 1005' &)\necho under way below $PPID.\n"

// endEvent is an event that ends a job.
type endEvent struct {
	name   string
	script string
	// act is done once the script is under way.
	act func(e *fakerunner.Execution, jacamar int) error
}

var endEvents = []endEvent{
	{"kill -9 $PPID", whenSeen + tree + "while :; do wait; done\n", seen},
	{"kill -STOP $PPID", tree + "kill -STOP $PPID\nwhile :; do sleep 1; done\n", cancel},
	{"out of memory", tree + "sleep 1006\n", func(_ *fakerunner.Execution, jacamar int) error {
		return syscall.Kill(jacamar, syscall.SIGKILL) // as the kernel does it
	}},
	{"cancel", tree + "trap '' TERM\nwhile :; do sleep 1; done\n", cancel},
	{"timeout", tree + "trap '' TERM\nwhile :; do sleep 1; done\n", nil},
}

// whenSeen makes a script kill its jacamar, which brings the script's output to the runner,
// once the test has seen that output.
const whenSeen = "trap 'kill -9 $PPID' USR1\necho \"shell $BASHPID\"\n"

func seen(e *fakerunner.Execution, _ int) error {
	_, after, _ := strings.Cut(e.Trace(), "\nshell ")
	var shell int
	if _, err := fmt.Sscan(after, &shell); err != nil {
		return fmt.Errorf("the script's shell: %w", err)
	}
	return syscall.Kill(shell, syscall.SIGUSR1)
}

func cancel(e *fakerunner.Execution, _ int) error {
	e.Cancel()
	return nil
}

// TestNothingIsLeft tries every event with every way to mount /proc, in every deployment.
func TestNothingIsLeft(t *testing.T) {
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			procs := []proc{open, closed, invisible}
			if d.Name == "capabilities" || d.Name == "sudo" {
				procs = append(procs, ptraceable, pidsAlone)
			}
			runAll(t, s, procs, endEvents)
		})
	}
}

// runAll runs all of them at once, since they mostly wait. It checks for remaining
// processes when all have ended, as they run as one account.
func runAll(t *testing.T, s *site.Site, procs []proc, blows []endEvent) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range procs {
		at := under(t, s, p)
		for _, b := range blows {
			all.Go(func() { at.play(t, b) })
		}
	}
	all.Wait()
	site.NoProcess(t, 20*time.Second, ours(s))
}

func (p place) play(t *testing.T, b endEvent) {
	name := fmt.Sprintf("%s, %s", p.proc, b.name)
	job := p.site.Job()
	job.Raw = map[string][]byte{"build_script": []byte(b.script)}
	if b.name == "timeout" {
		job = site.WithVariable(job, "RUNNER_SCRIPT_TIMEOUT", "6s")
	}
	e := p.runner().Start(job)
	begun := time.Now()
	if jacamar, err := underWay(e, limit); err != nil {
		t.Errorf("%s: %v; the log:\n%s", name, err, e.Trace())
		e.Abort()
	} else if begun = time.Now(); b.act != nil {
		if err := b.act(e, jacamar); err != nil {
			t.Errorf("%s: %v", name, err)
			e.Abort()
		}
	}
	r := e.Wait()
	if r.Outcome == fakerunner.Success || strings.Contains(r.Trace, "ipc socket") {
		t.Errorf("%s: ended as %s; the log:\n%s", name, r.Outcome, r.Trace)
	}
	if took := time.Since(begun); took > limit {
		t.Errorf("%s: it ended after %v", name, took)
	}
	if c, _ := r.Call("cleanup"); c.Err != nil {
		t.Errorf("%s: the cleanup failed: %s", name, c.Stderr)
	}
}

// underWay waits until the script is, and returns its jacamar.
func underWay(e *fakerunner.Execution, within time.Duration) (jacamar int, err error) {
	ctx, stop := context.WithTimeout(context.Background(), within)
	defer stop()
	if err := e.AwaitOutput(ctx, "build_script", "."); err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(e.Trace(), "under way below ")
	_, err = fmt.Sscanf(after, "%d.", &jacamar)
	return jacamar, err
}
