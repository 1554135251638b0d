package jobrun

import (
	"io"
	"strings"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/workspace"
)

// Limits on operations on storage: a file server that is down can block a process
// indefinitely.
const (
	storageLimit = time.Minute
	cleanupLimit = 2 * time.Minute
	quickLimit   = 5 * time.Second
	// ghostLimit is how long the last stage of an abandoned job may take to end. It is
	// less than cleanupLimit by what the cleanup itself needs.
	ghostLimit = 30 * time.Second
)

// outcome is the result of an operation.
type outcome[T any] struct {
	value T
	err   error
}

// withLimit runs an operation on storage, and returns an error at the limit: the process
// then ends, and with it the operation.
func withLimit[T any](s stage, limit time.Duration, work func() (T, error)) (T, error) {
	done := make(chan outcome[T], 1)
	go func() {
		value, err := work()
		done <- outcome[T]{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-time.After(limit):
		var none T
		return none, failure.Systemf("the storage of %s has not responded for %v", s.baseDir(), limit).
			WithHint("it may be back when you retry the job; if not, tell its administrators")
	}
}

// baseDir is the base directory, for messages.
func (s stage) baseDir() string {
	if !s.request.Dirs.Base.IsZero() {
		return s.request.Dirs.Base.String()
	}
	return s.request.Settings.DataDir
}

// inWorkspace runs an operation in the job's workspace.
func inWorkspace[T any](s stage, limit time.Duration, variables map[string]string, work func(*workspace.Workspace) (T, error)) (T, error) {
	return withLimit(s, limit, func() (T, error) {
		w, err := workspace.Open(workspace.Options{Request: s.request, Variables: variables, HasOrphans: batch.HasOrphans})
		if err != nil {
			var none T
			return none, err
		}
		defer w.Close()
		return work(w)
	})
}

// entered is what a stage has of its build directory.
type entered struct {
	lock io.Closer
	// fault is why a script that fails has failed, nil where the directory is there and can
	// be written.
	fault error
}

// enterBuilds keeps other jobs out of the build directory during the stage, and creates it
// again where it is gone. Without a lock, because the storage does not respond, the
// script's own error will be clearer.
func (s stage) enterBuilds() entered {
	e, _ := withLimit(s, quickLimit, func() (e entered, err error) {
		e.fault = workspace.Restore(s.request)
		e.lock, _ = workspace.LockStage(s.request)
		return e, nil
	})
	return e
}

func (e entered) close() {
	if e.lock != nil {
		_ = e.lock.Close()
	}
}

// readOnly returns the error of a build directory whose file system cannot be written any more:
// the config stage has written there.
func (s stage) readOnly() error {
	point, err := withLimit(s, quickLimit, func() (string, error) { return diskspace.ReadOnly(s.request.Dirs.Builds.String()), nil })
	if err != nil || point == "" {
		return nil
	}
	return failure.Systemf("the file system %s of the job's build directory is mounted read-only", point).
		WithHint("retry the job, and tell the administrators if that fails too")
}

// blame is the error of a stage: the failure of a script that did not find what earlier
// stages had left, or could not write there, is not the script's.
func (e entered) blame(err error, stop process.Stop) error {
	if _, failed := failure.ScriptCode(err); failed && e.fault != nil && !stop.Terminating() {
		return e.fault
	}
	return err
}

// spaceWarning is a line when storage of the job is full or nearly full, otherwise "".
func (s stage) spaceWarning() string {
	line, _ := withLimit(s, quickLimit, func() (string, error) {
		return firstLine(storageOf(s.request.Dirs), diskspace.Warning), nil
	})
	return line
}

// storageOf are the directories of a job that may be on file systems of their own.
func storageOf(d ipc.Dirs) []string {
	builds, base := d.Builds.String(), d.Base.String()
	if strings.HasPrefix(builds, base+"/") {
		return []string{builds}
	}
	return []string{builds, base}
}

// firstLine is the first warning of a directory, "" where none has one.
func firstLine(dirs []string, warning func(dir string) string) string {
	for _, dir := range dirs {
		if line := warning(dir); line != "" {
			return line
		}
	}
	return ""
}
