// Package executor runs a job's scripts: on this host (Local), or through a
// scheduler.
package executor

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/proctree"
)

// Local runs scripts on this host.
type Local struct {
	Reaper         *process.Reaper
	Shell          Shell
	Stdout, Stderr *os.File
	Log            joblog.Writer
	Profiles       Profiles
	// Grace is how long the job has between TERM and KILL when it is stopped.
	Grace time.Duration
}

// NewLocal prepares the request's script.
func NewLocal(b ipc.Request, reaper *process.Reaper, stdout, stderr *os.File) Local {
	return Local{
		Reaper: reaper, Shell: NewShell(b), Profiles: newProfiles(b),
		Stdout: stdout, Stderr: stderr, Log: joblog.NewWriter(stdout), Grace: grace(b),
	}
}

// grace leaves time to kill what is left, and to report the end: jacamar-auth ends this
// process after KillTimeout.
func grace(b ipc.Request) time.Duration { return b.Settings.KillTimeout * 9 / 10 }

const (
	// exitGrace is how long processes that outlive their script may take to end
	// by themselves: a tee(1) at the end of a pipe still has output to write.
	exitGrace = 500 * time.Millisecond
	// leftoverGrace is how long processes that outlive their script have
	// between TERM and KILL, profileGrace what the profiles started.
	leftoverGrace = time.Second
	profileGrace  = 200 * time.Millisecond
	// drainLimit is how long output may still come once no process of the job
	// is left.
	drainLimit = time.Second
	// readLimit is the same while output is on its way: jacamar-auth may take so long to
	// read it (drainLimit of package monitor).
	readLimit = 30 * time.Second
)

// Run runs the script to its end, and whatever it started. Only the script's
// own exit code makes the result a build failure.
func (l Local) Run(script []byte, stop process.Stop) (err error) {
	var end ending
	for _, read := range l.Profiles.order() {
		if end, err = l.attempt(script, read, stop); err != nil {
			return err
		}
		if end.began || stop.Terminating() {
			break
		}
		if read == l.Profiles.Read && read != loginshell.None {
			l.warn(end)
		}
	}
	if !end.passed {
		end.output.show(l.Stdout)
	}
	return end.outcome(stop.Terminating())
}

// warn reports profiles that ended the shell, once a job.
func (l Local) warn(end ending) {
	if l.Profiles.Warned() {
		return
	}
	loginshell.WarnEnded(l.Log, describe(end.status))
	end.output.show(l.Stdout)
}

func describe(s process.Status) string {
	if s.Signal != 0 {
		return fmt.Sprintf("signal %d, %s", int(s.Signal), unix.SignalName(s.Signal))
	}
	return fmt.Sprintf("exit code %d", s.Code)
}

// ending is how an attempt to run the script ended.
type ending struct {
	status process.Status
	// passed reports whether the shell came past its profiles.
	passed bool
	// began reports whether the script did; when not, none of it has run.
	began bool
	// output has what the profiles printed.
	output *held
	// limits are the script's.
	limits limits
}

// cannotFork is the exit code of a bash that has tried to fork for some time (EAGAIN) and
// gives up.
const cannotFork = 254

// outcome turns the end of the last attempt into the stage's.
func (e ending) outcome(stop bool) error {
	switch s := e.status; {
	case stop:
		return e.stopped()
	case !e.began && s.Signal == 0 && s.Code == cannotFork:
		return failure.Crowded(0, 0, fmt.Errorf("bash ended with exit code %d before the script began: it could not fork", s.Code))
	case !e.began:
		return failure.Systemf("the shell of the job's script ended (%s) before the script began", describe(s))
	case s.Signal != 0:
		f := e.failed()
		f.Public = fmt.Sprintf("the job's script was ended by signal %d (%s)", int(s.Signal), unix.SignalName(s.Signal))
		return f
	case s.Code != 0:
		return e.failed()
	}
	return nil
}

// failed is the failure of the script, with the limit that may have ended it.
func (e ending) failed() *failure.Error {
	used, _ := proctree.UsageOfChildren() // without it, no limit of processor time is named
	return failure.Exit(e.status.Code).WithHint("%s", e.limits.hint(e.status.Code, used.CPU))
}

// stopped is the outcome of a script that was stopped: never a success, whatever its exit
// code is.
func (e ending) stopped() error {
	code := e.status.Code
	if code == 0 {
		code = 128 + int(unix.SIGTERM)
	}
	if e.passed {
		return failure.Stopped(code, "")
	}
	return failure.Stopped(code, "before your login profiles had ended").
		WithHint("see what in them waits, or set the variable JACAMAR_CI_NO_PROFILE to true")
}
