package executor

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/logging"
)

// Local runs scripts on this host.
type Local struct {
	Family         *process.Family
	Shell          Shell
	Stdout, Stderr *os.File
	Voice          logging.Voice
	// NoProfile starts the script's shell without the login profiles.
	NoProfile bool
	// Grace is how long the job has between TERM and KILL when it is stopped.
	Grace time.Duration
}

const (
	// lastWords is how long processes that outlive their script may take to end
	// by themselves: a tee(1) at the end of a pipe still has output to write.
	lastWords = 500 * time.Millisecond
	// leftoverGrace is how long processes that outlive their script have
	// between TERM and KILL.
	leftoverGrace = time.Second
	// drainLimit is how long output may still come once no process of the job
	// is left.
	drainLimit = time.Second
)

// Run runs the script to its end, and whatever it started. Only the script's
// own exit code makes the result a build failure.
func (l Local) Run(script []byte, stop Stop) error {
	status, began, err := l.attempt(script, !l.NoProfile, stop)
	if err == nil && !began && !closed(stop.Asked) {
		l.Voice.Warn("a login profile of yours ended the shell (exit code %d) before the job's script; it runs without your profiles", status.Code)
		status, _, err = l.attempt(script, false, stop)
	}
	switch {
	case err != nil:
		return err
	case closed(stop.Asked):
		return stopped(status)
	default:
		return outcome(status)
	}
}

// attempt runs the script once. began is false when the login profiles ended
// the shell before it came to the script.
func (l Local) attempt(script []byte, profiles bool, stop Stop) (status process.Status, began bool, err error) {
	text, err := inMemory(script)
	if err != nil {
		return status, false, err
	}
	defer text.Close()
	var march [2]int
	if err := unix.Pipe2(march[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return status, false, fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer unix.Close(march[0])
	status, err = l.supervise(text, os.NewFile(uintptr(march[1]), "march"), profiles, stop)
	if err != nil || !profiles {
		return status, true, err
	}
	began, err = arrived(march[0])
	return status, began, err
}

// supervise starts the shell, waits for it and ends what it leaves behind.
func (l Local) supervise(text, signpost *os.File, profiles bool, stop Stop) (process.Status, error) {
	out, outEnd, err := process.NewPump(l.Stdout)
	if err != nil {
		return process.Status{}, err
	}
	errs, errEnd, err := process.NewPump(l.Stderr)
	if err != nil {
		return process.Status{}, err
	}
	shell, err := l.start(text, signpost, outEnd, errEnd, profiles)
	for _, end := range []*os.File{outEnd, errEnd, signpost} {
		end.Close()
	}
	if err != nil {
		return process.Status{}, err
	}
	status := l.wait(shell, stop)
	_ = out.Drain(drainLimit)
	_ = errs.Drain(drainLimit)
	return status, nil
}

func (l Local) start(text, signpost, out, errs *os.File, profiles bool) (*process.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{null, out, errs, text, signpost}
	if !profiles {
		files = []*os.File{text, out, errs}
	}
	shell, err := l.Family.Start(process.Command{
		Path: l.Shell.Path, Args: l.Shell.argv(profiles), Env: l.Shell.Env, Dir: workDir(l.Shell.Home), Files: files,
	})
	if err != nil {
		return nil, failure.Systemf("cannot start the job's shell: %w", err)
	}
	return shell, nil
}

// wait waits for the shell to end or to be stopped, and then sees to it that
// nothing of the job is left.
func (l Local) wait(shell *process.Process, stop Stop) process.Status {
	select {
	case status := <-shell.Done:
		l.tidy(stop)
		return status
	case <-stop.Asked:
	}
	if _, ended := l.Family.Sweep(l.Grace, stop.Lost); !ended {
		return process.Status{Code: 128 + int(unix.SIGKILL), Signal: unix.SIGKILL}
	}
	return <-shell.Done
}

// tidy ends what an ended script left running.
func (l Local) tidy(stop Stop) {
	l.Family.Await(lastWords, stop.Asked)
	switch found, ended := l.Family.Sweep(leftoverGrace, stop.Lost); {
	case !ended:
		l.Voice.Warn("processes that the script left behind could not be ended")
	case found > 0:
		l.Voice.Note("ended %d process(es) that the script left running", found)
	}
}

// arrived tells whether the login shell came past its profiles. Where that cannot
// be told the script must neither run again nor count as run.
func arrived(march int) (bool, error) {
	for {
		n, err := unix.Read(march, make([]byte, 1))
		switch {
		case err == unix.EINTR:
		case err != nil && err != unix.EAGAIN:
			return false, fmt.Errorf("cannot tell whether the script began: %w", err)
		default:
			return n == 1, nil
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// outcome turns the script's end into the stage's.
func outcome(s process.Status) error {
	switch {
	case s.Signal != 0:
		f := failure.Exit(s.Code)
		f.Public = fmt.Sprintf("the job's script was ended by signal %d (%s)", int(s.Signal), unix.SignalName(s.Signal))
		return f
	case s.Code != 0:
		return failure.Exit(s.Code)
	}
	return nil
}

// stopped is the outcome of a script that was told to end: never a success,
// whatever it made of it.
func stopped(s process.Status) error {
	if s.Code == 0 {
		s.Code = 128 + int(unix.SIGTERM)
	}
	f := failure.Exit(s.Code)
	f.Public = "the job was stopped"
	return f
}
