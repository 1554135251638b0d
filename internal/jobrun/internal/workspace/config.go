package workspace

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Config makes the job's directories and gives it a build directory that no other
// job has. Calling it again gives the same.
func (w *Workspace) Config() (ipc.Dirs, error) {
	dirs := ipc.Dirs{Base: w.base.Path()}
	cache, err := w.base.Make("cache")
	if err != nil {
		return ipc.Dirs{}, err
	}
	defer cache.Close()
	dirs.Cache = cache.Path()
	defer func() {
		if len(w.left) > 0 {
			w.record()
		}
	}()
	// Another job's cleanup may take the scripts directory away before it has its
	// lease, for one whose job died young.
	for range 10 {
		if err = w.claimAll(&dirs); !errors.Is(err, unix.ENOENT) {
			break
		}
	}
	if err != nil {
		rerr := w.removeScripts(w.brief.Job.Runner, w.brief.Job.ID.String(), time.Now().Add(failedConfigTime))
		w.note(w.base.Path().String()+"/scripts", rerr)
		return ipc.Dirs{}, err
	}
	return dirs, nil
}

func (w *Workspace) claimAll(dirs *ipc.Dirs) error {
	scripts, err := w.base.Make(w.scriptsName()...)
	if err != nil {
		return err
	}
	defer scripts.Close()
	builds, err := w.claimBuilds(scripts)
	if err != nil {
		return err
	}
	defer builds.Close()
	dirs.Scripts, dirs.Builds = scripts.Path(), builds.Path()
	return nil
}

// failedConfigTime bounds the removal of what a failed config stage has made.
const failedConfigTime = 5 * time.Second

// claimBuilds gives the job its build directory and writes its lease.
func (w *Workspace) claimBuilds(scripts *safedir.Folder) (*safedir.Folder, error) {
	root, custom, err := w.buildsRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	l := jobRecord{reservation: newClaim(w.brief.Job, w.here, time.Now()), Custom: custom}
	if w.brief.Settings.Storage.StaticBuildsDir {
		l.Static = true
		return w.makeStatic(l, root, scripts)
	}
	l.Pool = poolName(w.brief)
	return w.claimSlot(l, root, scripts)
}

// claimSlot takes a slot of the pool. The claim is written last: whoever dies
// before has taken nothing, and a lease without its claim is nobody's.
func (w *Workspace) claimSlot(l jobRecord, root, scripts *safedir.Folder) (_ *safedir.Folder, err error) {
	dir, err := root.Make(l.Pool)
	if err != nil {
		return nil, err
	}
	p, err := lock(dir, w.journal())
	if err != nil {
		return nil, err
	}
	defer p.closing(&err)
	claims, err := p.claims()
	if err != nil {
		return nil, err
	}
	if l.Slot, err = choose(claims, w.brief.Job, func(slot int, c reservation) bool { return w.open(p, slot, c) }); err != nil {
		return nil, err
	}
	builds, err := dir.Make(slotName(l.Slot))
	if err != nil {
		return nil, err
	}
	if l.Slot < len(claims) {
		w.inherit(claims[l.Slot], l, root)
	}
	if err = l.write(scripts); err == nil {
		err = p.put(l.Slot, l.reservation, "claimed")
	}
	if err != nil {
		builds.Close()
		return nil, err
	}
	return builds, nil
}

// open reports whether a job may take a slot: nobody has it, or whoever had it is
// over, and no stage of either goes on.
func (w *Workspace) open(p *pool, slot int, c reservation) bool {
	return (c.free() || w.over(c)) && !p.attended(slot)
}

// over reports whether a claim may be taken by another job. One whose batch job may
// still be running may not: that job writes to the build directory.
func (w *Workspace) over(c reservation) bool {
	if !c.over(w.here, time.Now()) {
		return false
	}
	scripts, err := w.base.Path().Join("scripts", c.Runner, c.Job.String())
	return err != nil || time.Now().After(c.Until) || !w.unsettled(scripts)
}

// inheritTime bounds what a job clears of its dead predecessor.
const inheritTime = 5 * time.Second

// inherit clears the secrets of the dead job that had the slot before: from now
// on nobody can tell whose they are.
func (w *Workspace) inherit(dead reservation, l jobRecord, root *safedir.Folder) {
	if dead.free() || dead.of(w.brief.Job) {
		return
	}
	scripts, err := w.base.Open("scripts", dead.Runner, dead.Job.String())
	if err != nil {
		return
	}
	defer scripts.Close()
	old, err := readLease(scripts)
	if err == nil && !old.Static && old.Pool == l.Pool && old.Slot == l.Slot && old.Custom == l.Custom {
		_ = w.removeSecrets(old, root, time.Now().Add(inheritTime)) // which notes what stays
	}
}

// poolName is what jobs share build directories with: the jobs of their runner,
// or with limit_build_dir those of their project, also on other runners.
func poolName(b ipc.Request) string {
	if b.Settings.Storage.LimitBuildDir {
		return projectName(b.Job.Project) + "_" + b.Job.ProjectID.String()
	}
	return b.Job.Runner
}
