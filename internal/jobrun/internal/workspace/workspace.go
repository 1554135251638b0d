package workspace

import (
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/proctree"
)

// Order is what a workspace is for.
type Order struct {
	Brief ipc.Request
	// Variables are those of the user's login shell that Variables asks for.
	Variables map[string]string
	// Unsettled reports whether a job's scripts directory has a record of a batch
	// job that may still be running.
	Unsettled func(scripts job.AbsPath) bool
}

// Workspace is the base directory of one account's jobs, opened for one of them.
type Workspace struct {
	brief     ipc.Request
	unsettled func(job.AbsPath) bool
	rules     safedir.Rules
	base      *safedir.Folder
	here      place
	self      proctree.Process
	left      []ipc.Leftover // what could not be removed
}

// Open opens the base directory, making it if need be: the one that the config
// stage settled, or in config itself the one that data_dir means.
func Open(o Order) (*Workspace, error) {
	base := o.Brief.Dirs.Base
	if base.IsZero() {
		var err error
		if base, err = locate(o.Brief, o.Variables); err != nil {
			return nil, err
		}
	}
	rules := safedir.Rules{Owner: o.Brief.Account.UID, Group: o.Brief.Settings.Storage.GroupPermissions}
	f, err := safedir.Base(base, rules)
	if err != nil {
		return nil, err
	}
	return &Workspace{brief: o.Brief, unsettled: o.Unsettled, rules: rules, base: f, here: thisPlace(), self: thisProcess()}, nil
}

// Close gives the base directory back.
func (w *Workspace) Close() { w.base.Close() }

// buildsRoot opens the directory that build directories are made in.
func (w *Workspace) buildsRoot() (*safedir.Folder, job.AbsPath, error) {
	own, err := customBuilds(w.brief)
	if err != nil {
		return nil, job.AbsPath{}, err
	}
	if !own.IsZero() {
		f, err := givenBuilds(own, w.rules)
		return f, own, err
	}
	f, err := w.base.Make("builds")
	return f, job.AbsPath{}, err
}

func (w *Workspace) scriptsName() []string {
	return []string{"scripts", w.brief.Job.Runner, w.brief.Job.ID.String()}
}

func (w *Workspace) journal() *journal {
	return newJournal(w.brief.Settings.Storage.FileLockDebug, w.brief.Job, w.brief.Stage, w.here)
}
