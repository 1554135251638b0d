package executor

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/proctree"
)

// attempt runs the script once, after profiles of this kind.
func (l Local) attempt(script []byte, read loginshell.Profiles, stop process.Stop) (end ending, err error) {
	w, err := l.wire(script, read)
	if err != nil {
		return end, err
	}
	defer w.close()
	shell, err := l.start(w, read)
	if err != nil {
		return end, err
	}
	end = l.wait(shell, w, stop)
	for _, pump := range w.pumps {
		_ = pump.DrainBusy(drainLimit, readLimit)
	}
	w.output.drain(drainLimit)
	end.output = w.output
	if end.passed && w.saves {
		l.Profiles.Save(content(w.saved, maxSaved+1))
	}
	end.began, err = emptied(w.script)
	return end, err
}

// content reads a file in memory, at most limit bytes of it.
func content(file *os.File, limit int64) []byte {
	text, _ := io.ReadAll(io.NewSectionReader(file, 0, limit))
	return text
}

// emptied reports whether the script began: its first command empties its file
// (loginshell). Where that cannot be known the script must neither run again nor
// count as run.
func emptied(script *os.File) (bool, error) {
	info, err := script.Stat()
	if err != nil {
		return false, fmt.Errorf("cannot see whether the script began: %w", err)
	}
	return info.Size() == 0, nil
}

func (l Local) start(w *wiring, read loginshell.Profiles) (*process.Process, error) {
	program := loginshell.Program{Gate: true, Hide: true, Save: w.saves}
	shell, err := l.Reaper.Start(process.Command{
		Path: l.Shell.Path, Args: loginshell.Args(program.Run(), read), Env: loginshell.Environ(l.Shell.Env),
		Dir: workDir(l.Shell.Home), Files: w.files[:],
	})
	if err != nil && !failure.HasPublicText(err) {
		err = failure.Systemf("cannot start the job's shell: %w", err)
	}
	return shell, err
}

// wait waits for the shell to end or to be stopped, and then sees to it that
// nothing of the job is left. What is known of the end then has the status, whether the
// shell came past its profiles, and the limits that these have left.
func (l Local) wait(shell *process.Process, w *wiring, stop process.Stop) (end ending) {
	end.limits = unlimited
	known := process.Known{}
	reached, late := w.started(), time.After(l.Profiles.WarnAfter)
	for {
		select {
		case <-reached:
			end.passed, reached, late = true, nil, nil
			if !l.Profiles.Hide {
				w.output.fold(l.Log)
			}
			end.limits = limitsBelow(shell.PID)
			known = l.Reaper.Snapshot(append(proctree.Children(shell.PID), shell.PID)...)
			w.open()
		case <-late:
			late = nil
			loginshell.NoteSlow(l.Log, l.Profiles.WarnAfter)
			w.output.show(l.Stdout)
		case end.status = <-shell.Done:
			l.tidy(known, stop)
			return end
		case <-stop.Terminate:
			defer noteRunsOn(l.Log, l.Grace)()
			if _, ended := l.Reaper.Sweep(l.Grace, stop.Abort); !ended {
				end.status = process.Status{Code: 128 + int(unix.SIGKILL), Signal: unix.SIGKILL}
				return end
			}
			end.status = <-shell.Done
			return end
		}
	}
}

// runsOnAfter is how long a script runs after SIGTERM before the job's log has a line about
// that.
const runsOnAfter = 5 * time.Second

// noteRunsOn begins the wait for the end of a script that has SIGTERM. The function that it
// returns is called at its end.
func noteRunsOn(log joblog.Writer, grace time.Duration) (ended func() bool) {
	return time.AfterFunc(runsOnAfter, func() {
		log.Note("the job was stopped, and its script has not ended (it has SIGTERM); what is left of it is killed after %v", grace.Round(time.Second))
	}).Stop
}

// tidy ends what an ended script left running. What the profiles started is not
// waited for: it would serve on.
func (l Local) tidy(known process.Known, stop process.Stop) {
	others, grace := l.Reaper.Await(exitGrace, stop.Terminate, known), leftoverGrace
	if others == 0 {
		grace = profileGrace
	}
	switch _, ended := l.Reaper.Sweep(grace, stop.Abort); {
	case !ended:
		l.Log.Warn("processes that the script left behind could not be ended")
	case others > 0:
		l.Log.Note("ended %d process(es) that the script left running", others)
	}
}
