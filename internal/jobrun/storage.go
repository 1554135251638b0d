package jobrun

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/executor"
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
	// shellLimit bounds an evaluation in a login shell.
	shellLimit = 30 * time.Second
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

// lockStage keeps other jobs out of the build directory during the stage. It returns nil
// when that fails, because a job has removed its own directories or the storage does not
// respond: the script's own error will be clearer.
func (s stage) lockStage() io.Closer {
	lock, _ := withLimit(s, quickLimit, func() (io.Closer, error) { return workspace.LockStage(s.request) })
	return lock
}

// variables returns the variables in data_dir, from one run of the user's login shell.
func (s stage) variables() (map[string]string, error) {
	names := workspace.Variables(s.request)
	if len(names) == 0 {
		return nil, nil
	}
	expressions := make([]string, len(names))
	for i, name := range names {
		expressions[i] = fmt.Sprintf(`"${%s-}"`, name)
	}
	results, err := s.evalInShell(expressions...)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil, err
	case err != nil:
		return nil, failure.Systemf("cannot find the directory for your jobs, %s: %w", s.request.Settings.DataDir, err)
	}
	values := map[string]string{}
	for i, name := range names {
		values[name] = results[i]
	}
	return values, nil
}

// evalInShell evaluates expressions in the user's login shell.
func (s stage) evalInShell(expressions ...string) ([]string, error) {
	reaper, err := s.newReaper(true)
	if err != nil {
		return nil, err
	}
	return executor.Login{Reaper: reaper, Shell: executor.NewShell(s.request), Limit: shellLimit}.Ask(expressions...)
}

// missing reports whether the job's PATH lacks a program that the runner's scripts need.
// It returns false when that cannot be determined.
func (s stage) missing(program string) bool {
	if path := string(s.request.Job.Path); path != "" {
		found, err := withLimit(s, quickLimit, func() (bool, error) { return inPath(program, path), nil })
		return err == nil && !found
	}
	paths, err := s.evalInShell(`"$(type -P ` + program + `)"`)
	return err == nil && paths[0] == ""
}

func inPath(name, path string) bool {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return true
		}
	}
	return false
}

// spaceWarning is a line when storage of the job is full or nearly full, otherwise "".
func (s stage) spaceWarning() string {
	line, _ := withLimit(s, quickLimit, func() (string, error) {
		builds, base := s.request.Dirs.Builds.String(), s.request.Dirs.Base.String()
		dirs := []string{builds}
		if !strings.HasPrefix(builds, base+"/") {
			dirs = append(dirs, base)
		}
		for _, dir := range dirs {
			if dir == "" {
				continue
			}
			if line := diskspace.Warning(dir); line != "" {
				return line, nil
			}
		}
		return "", nil
	})
	return line
}

// customDirUnused reports whether the job chose a directory and the site does not allow
// that.
func customDirUnused(b ipc.Request) bool {
	return !b.Settings.CustomBuildDir && strings.TrimSpace(string(b.Job.CustomBuilds)) != ""
}
