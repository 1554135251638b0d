package jobrun

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/workspace"
	"jacamar-ci/internal/settings"
)

// shellLimit bounds an evaluation in a login shell.
const shellLimit = 30 * time.Second

// evalInShell evaluates expressions in the user's login shell.
func (s stage) evalInShell(expressions ...string) ([]string, error) {
	reaper, err := s.newReaper(true)
	if err != nil {
		return nil, err
	}
	return executor.Login{Reaper: reaper, Shell: executor.NewShell(s.request), Limit: shellLimit}.Eval(expressions...)
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

// passedEnv returns the variables of the account's login shell that containers have.
func (s stage) passedEnv(names []settings.Names) (env []string, err error) {
	if len(names) == 0 {
		return nil, nil
	}
	lists := make([]string, len(names))
	for i, n := range names {
		if lists[i] = `"${` + string(n) + `+` + string(n) + `}"`; strings.HasSuffix(string(n), "*") {
			lists[i] = `"${!` + string(n) + `}"` // all names with this beginning
		}
	}
	results, err := s.evalInShell(lists...)
	if err != nil {
		return nil, failure.Systemf("cannot read the variables of container.pass_env: %w", err)
	}
	var found, words []string
	for _, name := range strings.Fields(strings.Join(results, " ")) {
		if !slices.Contains(container.OwnVariables(), name) && !slices.Contains(found, name) {
			found, words = append(found, name), append(words, `"${`+name+`}"`)
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	if results, err = s.evalInShell(words...); err != nil {
		return nil, failure.Systemf("cannot read the variables of container.pass_env: %w", err)
	}
	for i, name := range found {
		env = append(env, name+"="+results[i])
	}
	return env, nil
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
