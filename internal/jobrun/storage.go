package jobrun

import (
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

// Limits on waiting for storage: a file server that is away can keep a process
// waiting indefinitely.
const (
	storageLimit  = time.Minute
	cleanupLimit  = 2 * time.Minute
	pressureLimit = 5 * time.Second
	// profilesLimit is for a login shell that is asked something.
	profilesLimit = 30 * time.Second
)

// answered is what work with storage came to.
type answered[T any] struct {
	value T
	err   error
}

// within does work that needs storage, and gives up when that does not answer:
// the process then ends, and with it the work.
func within[T any](s stage, limit time.Duration, work func() (T, error)) (T, error) {
	done := make(chan answered[T], 1)
	go func() {
		value, err := work()
		done <- answered[T]{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-time.After(limit):
		var none T
		return none, failure.Systemf("the storage of %s has not responded for %v", s.place(), limit).
			WithHint("it may be back when you retry the job; if not, tell its administrators")
	}
}

// place is what the user knows his directories by.
func (s stage) place() string {
	if !s.brief.Dirs.Base.IsZero() {
		return s.brief.Dirs.Base.String()
	}
	return s.brief.Settings.DataDir
}

// inWorkspace does work in the job's workspace.
func inWorkspace[T any](s stage, limit time.Duration, variables map[string]string, work func(*workspace.Workspace) (T, error)) (T, error) {
	return within(s, limit, func() (T, error) {
		w, err := workspace.Open(workspace.Options{Brief: s.brief, Variables: variables, HasOrphans: batch.HasOrphans})
		if err != nil {
			var none T
			return none, err
		}
		defer w.Close()
		return work(w)
	})
}

// attend keeps other jobs out of the build directory during the stage. When it
// cannot, because a job has removed its own directories or the storage does not
// answer, the script will tell better why.
func (s stage) attend() io.Closer {
	presence, _ := inWorkspace(s, pressureLimit, nil, (*workspace.Workspace).LockStage)
	return presence
}

// variables asks the user's login shell for what data_dir needs of it, once for
// all of them.
func (s stage) variables() (map[string]string, error) {
	names := workspace.Variables(s.brief)
	if len(names) == 0 {
		return nil, nil
	}
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = fmt.Sprintf(`"${%s-}"`, name)
	}
	answers, err := s.ask(words...)
	if err != nil {
		return nil, failure.Systemf("cannot find the directory for your jobs, %s: %w", s.brief.Settings.DataDir, err)
	}
	values := map[string]string{}
	for i, name := range names {
		values[name] = answers[i]
	}
	return values, nil
}

func (s stage) ask(words ...string) ([]string, error) {
	family, err := s.family(true)
	if err != nil {
		return nil, err
	}
	return executor.Login{Family: family, Shell: executor.NewShell(s.brief), Limit: profilesLimit}.Ask(words...)
}

// missing reports whether the job's PATH lacks a program that the runner's scripts
// look for, as far as that can be found out.
func (s stage) missing(program string) bool {
	if path := string(s.brief.Job.Path); path != "" {
		found, err := within(s, pressureLimit, func() (bool, error) { return inPath(program, path), nil })
		return err == nil && !found
	}
	answer, err := s.ask(`"$(type -P ` + program + `)"`)
	return err == nil && answer[0] == ""
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

// pressure tells in a line when storage of the job is full or nearly so.
func (s stage) pressure() string {
	line, _ := within(s, pressureLimit, func() (string, error) {
		for _, dir := range []string{s.brief.Dirs.Builds.String(), s.brief.Dirs.Base.String()} {
			if line := diskspace.Warning(dir); dir != "" && line != "" {
				return line, nil
			}
		}
		return "", nil
	})
	return line
}

// unusedCustom reports whether the job asks for something that the site does not
// allow.
func unusedCustom(s ipc.Storage) bool {
	return !s.CustomBuildDir && strings.TrimSpace(string(s.CustomBuilds)) != ""
}
