package workspace

import (
	"os"
	"path"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/internal/proctree"
)

// Options describe the job of a workspace.
type Options struct {
	Request ipc.Request
	// Variables are the values, from the user's login shell, of the names that the
	// function Variables returns.
	Variables map[string]string
	// HasOrphans reports whether a job's scripts directory has a record of a batch
	// job that may still be running.
	HasOrphans func(scripts job.AbsPath) bool
}

// Workspace is the base directory of one account's jobs, opened for one of them.
type Workspace struct {
	request    ipc.Request
	hasOrphans func(job.AbsPath) bool
	rules      safedir.Rules
	base       *safedir.Dir
	host       hostID
	owners     owners
	self       proctree.Process
	unremoved  []leftover // what this stage could not remove
	repaired   []leftover // what this stage has put right
	// measured are what Measure has opened of the job, for Cleanup.
	measured *ownFiles
	// live are the paths below scripts of the jobs that were found to have a reservation.
	live map[string]bool
}

// Open opens the base directory and creates it if necessary: the one that the config
// stage chose, or in the config stage the one that data_dir specifies.
func Open(o Options) (*Workspace, error) {
	base, chosen := o.Request.Dirs.Base, !o.Request.Dirs.Base.IsZero()
	var err error
	if !chosen {
		if base, err = locate(o.Request, o.Variables); err != nil {
			return nil, err
		}
	}
	here := currentHost()
	w := &Workspace{
		request: o.Request, hasOrphans: o.HasOrphans,
		host: here, owners: newOwners(here), self: currentProcess(), live: map[string]bool{},
	}
	w.rules = safedir.Rules{Owner: o.Request.Account.UID, Group: o.Request.Settings.GroupPermissions, Restored: w.noteRestored}
	if !chosen {
		if err := makeInHome(o.Request, w.rules); err != nil {
			return nil, err
		}
	}
	open := safedir.OpenBase
	if chosen || path.Base(base.String()) == hiddenName {
		open = safedir.OpenOwnBase
	}
	if w.base, err = open(base, w.rules); err != nil {
		return nil, err
	}
	return w, nil
}

// OpenExisting opens a base directory of the account for an overview, without a job. The
// error is fs.ErrNotExist when it does not exist.
func OpenExisting(base job.AbsPath, account job.Account, hasOrphans func(job.AbsPath) bool) (*Workspace, error) {
	info, err := os.Stat(base.String())
	if err != nil {
		return nil, err
	}
	r := ipc.Request{Account: account, Dirs: ipc.Dirs{Base: base}}
	r.Settings.GroupPermissions = info.Mode().Perm()&0o070 != 0
	r.Settings.RetainLogs = true // the site may have set it
	return Open(Options{Request: r, HasOrphans: hasOrphans})
}

// Close closes the base directory.
func (w *Workspace) Close() {
	w.measured.close()
	w.base.Close()
}

// buildsRoot opens the directory that contains the build directories; custom is its
// path if the job chose it.
func (w *Workspace) buildsRoot() (root *safedir.Dir, custom job.AbsPath, err error) {
	custom, err = customBuildsPath(w.request)
	if err != nil {
		return nil, job.AbsPath{}, err
	}
	if !custom.IsZero() {
		root, err = openCustomBuilds(custom, w.request.Account.Name, w.rules)
		return root, custom, err
	}
	root, err = w.base.Make("builds")
	return root, job.AbsPath{}, err
}

func (w *Workspace) newLockLog() *lockLog {
	return openLockLog(w.request.Settings.FileLockDebug, w.request.Job, w.request.Stage, w.host)
}
