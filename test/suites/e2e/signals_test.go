package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// harmless are the signals that jacamar passes over; each other one ends it.
var harmless = []unix.Signal{
	unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE, unix.SIGALRM, unix.SIGCHLD, unix.SIGCONT, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU,
	unix.SIGURG, unix.SIGXCPU, unix.SIGXFSZ, unix.SIGVTALRM, unix.SIGPROF, unix.SIGWINCH, unix.SIGIO, unix.SIGPWR,
}

// TestJobSignalsItsJacamar: whichever signal a job sends to its own jacamar, one line names it
// where it ends the job, and otherwise it has no effect. No stack is shown.
func TestJobSignalsItsJacamar(t *testing.T) {
	s := site.New(t)
	for sig := unix.SIGHUP; sig <= unix.SIGSYS; sig++ {
		if sig == unix.SIGSTOP { // which the suite "ending" sends
			continue
		}
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			then := "sleep 1000"
			if slices.Contains(harmless, sig) {
				then = "exit 7"
			}
			r := s.Runner().Run(s.Job(fmt.Sprintf("kill -%d $PPID; %s", int(sig), then)))
			if then == "exit 7" {
				site.Want(t, r, fakerunner.ScriptFailure, 7)
			} else {
				site.Want(t, r, fakerunner.SystemFailure, 0, fmt.Sprintf("jacamar, which runs the job, was killed by signal %d (%s)", int(sig), unix.SignalName(sig)))
			}
			if strings.Contains(r.Trace, "goroutine ") || strings.Contains(r.Trace, "your account: it has") {
				t.Errorf("the log:\n%s", r.Trace)
			}
		})
	}
}
