package workspace

import (
	"errors"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Config creates the job's directories and reserves a build directory for it. A second
// call returns the same directories.
func (w *Workspace) Config() (ipc.Dirs, error) {
	dirs := ipc.Dirs{Base: w.base.Path()}
	cache, err := w.base.Make("cache")
	if err != nil {
		return ipc.Dirs{}, err
	}
	defer cache.Close()
	dirs.Cache = cache.Path()
	defer func() {
		if len(w.unremoved) > 0 {
			w.writeLeftovers()
		}
	}()
	// The cleanup of another job, also on another host, may remove a scripts directory that
	// has no record yet, as that of a job that died early, and the empty one of a runner.
	for range 10 {
		if err = w.allocate(&dirs); !safedir.IsRemoved(err) {
			break
		}
	}
	if err != nil {
		rerr := w.removeScripts(w.request.Job.Runner, w.request.Job.ID.String(), time.Now().Add(failedConfigTime))
		w.noteUnusable(w.base.PathOf("scripts"), rerr)
		return ipc.Dirs{}, err
	}
	return dirs, nil
}

func (w *Workspace) allocate(dirs *ipc.Dirs) error {
	scripts, err := w.base.Make(w.scriptsName()...)
	if err != nil {
		return err
	}
	defer scripts.Close()
	builds, err := w.allocateBuilds(scripts)
	if err != nil {
		return err
	}
	defer builds.Close()
	dirs.Scripts, dirs.Builds = scripts.Path(), builds.Path()
	return nil
}

// failedConfigTime bounds the removal of what a failed config stage has made.
const failedConfigTime = 5 * time.Second

// allocateBuilds chooses the build directory and writes the job's record.
func (w *Workspace) allocateBuilds(scripts *safedir.Dir) (*safedir.Dir, error) {
	root, custom, err := w.buildsRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	rec := jobRecord{reservation: newReservation(w.request.Job, w.host, time.Now()), Custom: custom}
	if w.request.Settings.StaticBuildsDir {
		rec.Static = true
		return w.makeStaticBuilds(rec, root, scripts)
	}
	rec.Pool = poolName(w.request)
	return w.allocateSlot(rec, root, scripts)
}

// allocateSlot reserves a slot of the pool. It writes the reservation last: a process
// that dies before that has reserved nothing, and a job's record without its
// reservation has no effect.
func (w *Workspace) allocateSlot(rec jobRecord, root, scripts *safedir.Dir) (_ *safedir.Dir, err error) {
	dir, err := root.Make(rec.Pool)
	if err != nil {
		return nil, err
	}
	p, err := lockPool(dir, w.newLockLog())
	if err != nil {
		return nil, err
	}
	defer p.closeInto(&err)
	all, err := p.reservations()
	if err != nil {
		return nil, err
	}
	if rec.Slot, err = chooseSlot(all, w.request.Job, func(slot int, r reservation) bool { return w.available(p, slot, r) }); err != nil {
		return nil, err
	}
	builds, err := w.makeSlot(root, dir, slotName(rec.Slot))
	if err != nil {
		return nil, err
	}
	if rec.Slot < len(all) {
		w.retirePredecessor(all[rec.Slot], rec, root)
	}
	if err = rec.write(scripts); err == nil {
		err = p.write(rec.Slot, rec.reservation, "reserved")
	}
	if err != nil {
		builds.Close()
		return nil, err
	}
	return builds, nil
}

// makeSlot opens or creates a build directory. It begins again with an empty one where a script
// has put something else there, or others may have changed what is in it.
func (w *Workspace) makeSlot(root, dir *safedir.Dir, name string) (*safedir.Dir, error) {
	builds, err := dir.MakeClosed(name)
	if !safedir.IsUnfit(err) {
		return builds, err
	}
	if derr := w.discard(root, dir, name); derr != nil {
		return nil, errors.Join(err, derr)
	}
	w.noteRepaired(dir.PathOf(name), "began with an empty build directory: %v", err)
	return dir.MakeClosed(name)
}

// available reports whether a job may take a slot: it is free or its job has ended, and
// no stage runs in it.
func (w *Workspace) available(p *pool, slot int, r reservation) bool {
	return (r.free() || w.holderEnded(r)) && !p.stageRunning(slot)
}

// holderEnded reports whether another job may take a reservation. A reservation whose
// batch job may still run is not available: that job writes to the build directory.
func (w *Workspace) holderEnded(r reservation) bool {
	if !r.expired(w.owners, time.Now()) {
		return false
	}
	scripts, err := w.base.Path().Join("scripts", r.Runner, r.Job.String())
	return err != nil || time.Now().After(r.Until) || !w.hasOrphans(scripts)
}

// predecessorTime bounds the removal of a dead predecessor's secrets.
const predecessorTime = 5 * time.Second

// retirePredecessor removes the secrets of the dead job that had the slot before, as
// afterwards nothing shows that they belong to it, and records that the job has ended: the
// owner of its reservation, which this job overwrites, may have been a killed cleanup.
func (w *Workspace) retirePredecessor(dead reservation, rec jobRecord, root *safedir.Dir) {
	if dead.free() || dead.belongsTo(w.request.Job) {
		return
	}
	scripts, err := w.base.Open("scripts", dead.Runner, dead.Job.String())
	if err != nil {
		return
	}
	defer scripts.Close()
	old, err := readJobRecord(scripts)
	if err == nil && !old.Static && old.Pool == rec.Pool && old.Slot == rec.Slot && old.Custom == rec.Custom {
		_ = w.removeSecrets(old, root, time.Now().Add(predecessorTime)) // it notes the error
		old.reservation = dead
		_ = old.write(scripts) // without it, the job's scripts stay until its time is over
	}
}

// poolName names the pool that a job shares with the other jobs of its runner, or with
// limit_build_dir with those of its project, also on other runners.
func poolName(b ipc.Request) string {
	if b.Settings.LimitBuildDir {
		return projectName(b.Job.Project) + "_" + b.Job.ProjectID.String()
	}
	return b.Job.Runner
}

// Prepare verifies that the build directory is still reserved for the job, and records
// where the runner will keep its secrets.
func (w *Workspace) Prepare() error {
	if err := clonesInPlace(w.request); err != nil {
		return err
	}
	own, err := w.openOwn()
	if errors.Is(err, unix.ENOENT) {
		return directoryMissing(w.request)
	}
	if err != nil {
		return err
	}
	defer own.close()
	return w.renew(own.rec, own.root, own.scripts)
}

// clonesInPlace refuses a project that is the build directory itself: the runner would keep
// its secrets next to that directory, where no cleanup looks, and make it again with the
// job's umask, so that later jobs could not use it.
func clonesInPlace(r ipc.Request) error {
	if r.Dirs.Builds.IsZero() || r.Job.Temp.String() != r.Dirs.Builds.String()+".tmp" {
		return nil
	}
	return failure.Buildf("cannot use GIT_CLONE_PATH: it is the build directory itself").
		WithHint("choose a directory in it, for example $CI_BUILDS_DIR/sources")
}

// renew updates the job's record and its reservation. The owner of a reservation is
// the process that called the driver in the config stage. If that process has ended and
// another one calls now, it was a wrapper of the site and not the runner: then the
// reservation has no owner, and only its time limit ends it.
func (w *Workspace) renew(rec jobRecord, root, scripts *safedir.Dir) error {
	if rec.Owner != w.request.Job.Owner && w.owners.gone(rec.Host, rec.Owner) {
		rec.Owner.PID = 0
	}
	rec.Temp = tempBelow(w.request.Job.Temp, w.request.Dirs.Builds)
	if !rec.Static {
		if err := w.confirmReservation(rec, root); err != nil {
			return err
		}
	}
	builds, err := root.Open(rec.buildPath()...)
	if errors.Is(err, unix.ENOENT) {
		return directoryMissing(w.request)
	}
	if err != nil {
		return err
	}
	defer builds.Close()
	if err := rec.write(scripts); err != nil {
		return err
	}
	if rec.Temp == "" {
		return nil
	}
	// The runner's scripts create it and the secrets in it with the job's umask.
	err = builds.Private(strings.Split(rec.Temp, "/")...)
	if errors.Is(err, safedir.ErrNotDirectory) {
		return nil // a job replaced a directory by a link, which is its user's decision
	}
	return err
}

// confirmReservation writes the reservation again if the slot is still the job's.
func (w *Workspace) confirmReservation(rec jobRecord, root *safedir.Dir) (err error) {
	p, err := w.lockPoolOf(rec, root)
	if errors.Is(err, unix.ENOENT) {
		return directoryMissing(w.request)
	}
	if err != nil {
		return err
	}
	defer p.closeInto(&err)
	r, err := p.reservation(rec.Slot)
	if err == nil && !r.belongsTo(w.request.Job) {
		err = failure.Systemf("cannot use %s: another job of yours has it now", w.request.Dirs.Builds).WithHint("retry the job")
	}
	if err != nil {
		return err
	}
	return p.write(rec.Slot, rec.reservation, "confirmed")
}

func directoryMissing(r ipc.Request) error {
	return failure.Systemf("cannot find the job's build directory %s", r.Dirs.Builds).
		WithHint("it existed in the job's first stage: check whether a script of yours removes it; if not, its file system may be away: retry the job, and tell the administrators if that fails too")
}

// projectName is the last part of a project's path, as the name of a directory.
func projectName(project string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", r) {
			return r
		}
		return '-'
	}, path.Base(project))
	return strings.TrimLeft(name[:min(len(name), projectLength)], ".-")
}

// projectLength in bytes leaves space for the project's number within NAME_MAX.
const projectLength = 100
