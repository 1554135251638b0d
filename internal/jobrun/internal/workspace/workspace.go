package workspace

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

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
	self       proctree.Process
	unremoved  []ipc.Leftover // what this stage could not remove
	// measured are what Measure has opened of the job, for Cleanup.
	measured *ownFiles
	// live are the paths below scripts of the jobs whose reservation in this job's pool
	// has not expired.
	live map[string]bool
}

// Open opens the base directory and creates it if necessary: the one that the config
// stage chose, or in the config stage the one that data_dir specifies.
func Open(o Options) (*Workspace, error) {
	base := o.Request.Dirs.Base
	if base.IsZero() {
		var err error
		if base, err = locate(o.Request, o.Variables); err != nil {
			return nil, err
		}
	}
	rules := safedir.Rules{Owner: o.Request.Account.UID, Group: o.Request.Settings.GroupPermissions}
	f, err := safedir.OpenBase(base, rules)
	if err != nil {
		return nil, err
	}
	return &Workspace{request: o.Request, hasOrphans: o.HasOrphans, rules: rules, base: f, host: currentHost(), self: currentProcess()}, nil
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

// ownFiles are the job's scripts directory, its record, and its root of builds.
type ownFiles struct {
	scripts, root *safedir.Dir
	rec           jobRecord
}

func (o *ownFiles) close() {
	if o != nil {
		o.scripts.Close()
		o.root.Close()
	}
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

func (w *Workspace) scriptsName() []string {
	return []string{"scripts", w.request.Job.Runner, w.request.Job.ID.String()}
}

func (w *Workspace) newLockLog() *lockLog {
	return openLockLog(w.request.Settings.FileLockDebug, w.request.Job, w.request.Stage, w.host)
}

// leftoversFile in the base directory lists what cleanups could not remove, for the
// logs of later jobs: the log of a cleanup stage is not shown to the user.
const leftoversFile = "leftovers"

const (
	maxLeftovers    = 20
	leftoversLimit  = 64 << 10 // bytes
	leftoverReasons = 600      // bytes of one reason
)

// noteLeftover adds the reason why path was not removed. It skips what only ran into
// the deadline: the next cleanup removes that.
func (w *Workspace) noteLeftover(path string, err error) {
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, safedir.ErrDeadline) || len(w.unremoved) == maxLeftovers {
		return
	}
	w.unremoved = append(w.unremoved, ipc.Leftover{Path: path, Reason: job.Cut(err.Error(), leftoverReasons)})
}

// noteStorageError is noteLeftover for a path that may be the user's own: it reports
// failing storage, but not a file of the user's where a directory of jobs could be.
func (w *Workspace) noteStorageError(path string, err error) {
	if number := unix.Errno(0); errors.As(err, &number) {
		w.noteLeftover(path, err)
	}
}

// writeLeftovers writes the list of leftovers, with those of earlier cleanups that
// still exist. If that fails, the operator's log still contains this stage's.
func (w *Workspace) writeLeftovers() {
	earlier, err := w.EarlierLeftovers()
	all := append(slices.Clone(w.unremoved), slices.DeleteFunc(earlier, func(l ipc.Leftover) bool {
		return slices.ContainsFunc(w.unremoved, func(now ipc.Leftover) bool { return now.Path == l.Path })
	})...)
	if len(all) == 0 {
		if err == nil {
			_ = w.base.Remove(leftoversFile, time.Now().Add(time.Second))
		}
		return
	}
	if text, err := json.MarshalIndent(all[:min(len(all), maxLeftovers)], "", "  "); err == nil {
		_ = w.base.Write(leftoversFile, text)
	}
}

// Unremoved lists what this stage could not remove.
func (w *Workspace) Unremoved() []ipc.Leftover { return w.unremoved }

// EarlierLeftovers lists what earlier cleanups could not remove and still exists. The
// error is unix.ENOENT when there is no list.
func (w *Workspace) EarlierLeftovers() (all []ipc.Leftover, err error) {
	text, err := w.base.Read(leftoversFile, leftoversLimit)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, nil // writeLeftovers replaces a corrupt list
	}
	return slices.DeleteFunc(all, func(l ipc.Leftover) bool {
		_, err := os.Lstat(l.Path)
		return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
	}), nil
}
