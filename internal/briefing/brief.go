package briefing

import (
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
)

// Source is what a brief is made of, whichever program authorized the job.
type Source struct {
	Stage job.Stage
	// SubStage is the runner's name of a run stage's script.
	SubStage string
	Site     config.Config
	Env      customexec.Environ
	Facts    customexec.Response
	Account  job.Account
	// Dirs are what the config stage settled, zero in config itself.
	Dirs ipc.Dirs
	// Owner is the runner's process.
	Owner proctree.Process
	// Matches reports whether a rule of [batch] is for the job.
	Matches func(config.Rule) (bool, error)
}

// Brief returns all that jacamar is told of a stage.
func (s Source) Brief() (b ipc.Request, err error) {
	b = ipc.Request{Stage: s.Stage, Account: s.Account, Dirs: s.Dirs, Settings: Settings(s.Site, s.Env), Job: s.job()}
	if b.SubStage, err = customexec.SubStage(s.Stage, s.SubStage); err != nil {
		return b, err
	}
	b.Settings.Batch, err = Batch(s.Site, s.Env, s.Matches)
	return b, err
}

// job is the job that the runner's process owns.
func (s Source) job() ipc.Job {
	r := s.Facts
	return ipc.Job{
		ID: r.ID, Runner: s.Env.Runner(), Project: r.Project, ProjectID: r.ProjectID, Timeout: r.Timeout, Owner: s.Owner,
		Temp: s.Env.TempDir(), Helper: r.Helper, StepRunner: r.StepRunner, Image: r.Image, Services: r.Services, Path: carried(s.Env, "PATH", longestArguments),
	}
}
