package driver

import (
	"fmt"
	"maps"
	"slices"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// The CI variables by which a job's author chooses something about its own job.
const (
	// noProfile leaves out the login profiles.
	noProfile = "JACAMAR_CI_NO_PROFILE"
	// customBuilds is where the job's builds are.
	customBuilds = "CUSTOM_CI_BUILDS_DIR"
	// authConfig has logins for registries.
	authConfig = "DOCKER_AUTH_CONFIG"
	// schedulerArguments has scheduler arguments on every site; [batch]
	// arguments_variable names more.
	schedulerArguments = "SCHEDULER_PARAMETERS"
)

// What is passed on of a variable, in bytes. It is more than jacamar accepts, so that
// jacamar can refuse a value that is too long.
const (
	longestText = 64 << 10
	longestPath = 8 << 10
)

// Request returns what jacamar receives about the stage, for the account that the job
// runs as. dirs are those that the config stage made, zero in config itself; matches
// reports whether a rule of [batch] is for the job.
func (s *Session) Request(account job.Account, dirs ipc.Dirs, matches Matches) (r ipc.Request, err error) {
	r = ipc.Request{Stage: s.Call.Stage, Account: account, Dirs: dirs, Settings: s.settings(), Job: s.job()}
	if r.Job.Owner, err = s.Owner(); err != nil && s.Call.Stage != job.Cleanup {
		return r, err
	}
	if r.SubStage, err = customexec.SubStage(s.Call.Stage, s.Call.SubStage); err != nil {
		return r, err
	}
	if r.Settings.Batch, err = s.batch(matches); err != nil {
		return r, err
	}
	r.Settings.Container, err = s.container(matches)
	return r, err
}

// Matches reports whether a rule is for the job.
type Matches func(config.Matcher) (bool, error)

// job are the facts of the job. What the job's author requests is only passed on: jacamar
// judges and uses it, as the job's user.
func (s *Session) job() ipc.Job {
	profile, _ := s.Env.Variable(noProfile)
	f := s.Facts
	return ipc.Job{
		ID: f.ID, Runner: s.Env.Runner(), Project: f.Project, ProjectID: f.ProjectID, Timeout: f.Timeout,
		Temp: s.Env.TempDir(), Helper: f.Helper, StepRunner: f.StepRunner, Image: f.Image, Services: f.Services,
		Login: s.Env.Login, NoProfile: profile == "true" || profile == "1",
		Path: s.variable("PATH", longestText), CustomBuilds: s.variable(customBuilds, longestPath),
		Misspelt: s.misspelt(),
	}
}

// maxMisspelt bounds what a job's log has of variables with wrong names.
const maxMisspelt = 3

// misspelt are variables of the job that nothing reads, with names that are nearly those
// of variables that an author sets.
func (s *Session) misspelt() (all []ipc.Misspelt) {
	names := []string{noProfile, customBuilds}
	if s.Site.General.Executor != settings.Shell {
		names = append(names, s.argumentsVariables()...)
	}
	if m := s.Site.General.RunMechanism; m != "" {
		names = append(names, modulesVariable, engineArguments[m])
	}
	found := s.Env.Misspelt(names)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, ipc.Misspelt{Name: job.Clip(name), Meant: found[name]})
	}
	return all[:min(len(all), maxMisspelt)]
}

// settings are those of the site, without [batch].
func (s *Session) settings() ipc.Settings {
	g, a := s.Site.General, s.Site.Auth
	return ipc.Settings{
		General: g.General, DataDir: g.DataDir.String(), Message: string(g.JobMessage), Downscope: a.Downscope, Confinement: a.Confinement,
	}
}

// variable returns the value of a CI variable, nil where it is empty or not set.
func (s *Session) variable(name string, limit int) []byte {
	text, _ := s.Env.Variable(name)
	if text == "" {
		return nil
	}
	return []byte(job.Cut(text, limit))
}

// batch is for the batch executors; nil for the others. Rules of other projects are
// not passed on: the job's user has no right to read them.
func (s *Session) batch(matches Matches) (*ipc.Batch, error) {
	if s.Site.General.Executor == settings.Shell {
		return nil, nil
	}
	b := s.Site.Batch
	out := &ipc.Batch{Batch: b.Batch, Arguments: s.arguments()}
	for i, rule := range b.Rules {
		ok, err := matches(rule.Matcher)
		if err != nil {
			return nil, err
		}
		if ok {
			out.Rules = append(out.Rules, ipc.BatchRule{Name: ruleName("batch", i, rule.Matcher), RuleArgs: rule.RuleArgs})
		}
	}
	return out, nil
}

// argumentsVariables are the variables with scheduler arguments, in the order of the
// site's list.
func (s *Session) argumentsVariables() []string {
	names := []string{schedulerArguments}
	for _, v := range s.Site.Batch.ArgumentsVariable {
		if string(v) != schedulerArguments {
			names = append(names, string(v))
		}
	}
	return names
}

// arguments are the job's own scheduler arguments.
func (s *Session) arguments() (all []ipc.BatchArguments) {
	for _, name := range s.argumentsVariables() {
		if text, ok := s.Env.Variable(name); ok {
			all = append(all, ipc.BatchArguments{Variable: name, Text: []byte(job.Cut(text, longestText))})
		}
	}
	return all
}

// ruleName is how error messages name a rule: by its position, and by what it is for.
func ruleName(table string, i int, r config.Matcher) string {
	name := fmt.Sprintf("[[%s.rule]] number %d", table, i+1)
	switch {
	case !r.Project.IsZero():
		name += fmt.Sprintf(" (project %q)", r.Project)
	case !r.Namespace.IsZero():
		name += fmt.Sprintf(" (namespace %q)", r.Namespace)
	}
	return name
}
