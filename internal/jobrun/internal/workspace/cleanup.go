package workspace

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Limits on a cleanup, for which the runner and GitLab wait and in which nobody
// can be told anything.
const (
	// ownTime is for what the job itself leaves: little, unless storage is slow.
	ownTime = time.Minute
	// spareTime is for what earlier jobs left, and for directories that are too
	// many or too old. What is not done is done by the next cleanup.
	spareTime = 20 * time.Second
)

// Cleanup gives up what the job held, and takes away its scripts and secrets and
// something of what earlier jobs left.
func (w *Workspace) Cleanup() error {
	err := w.end(w.brief.Job.Runner, w.brief.Job.ID, time.Now().Add(ownTime), true)
	if len(w.left) == 0 {
		w.note(w.brief.Dirs.Scripts.String(), err)
	}
	spare := time.Now().Add(spareTime)
	w.sweep(spare)
	root, rerr := w.knownRoot()
	if rerr == nil {
		w.sweepStatic(root, time.Now())
		rerr = w.emptyTrash(root, "", spare)
		root.Close()
	}
	w.note(w.base.Path().String(), rerr)
	w.record()
	return err
}

// knownRoot is the root of builds of this job, where there is one.
func (w *Workspace) knownRoot() (*safedir.Folder, error) {
	own, err := customBuilds(w.brief)
	if err != nil {
		return nil, unix.ENOENT // then the config stage has made none
	}
	return w.root(jobRecord{Custom: own})
}

// end clears away a job: this one, or an earlier one that is over and whose own
// cleanup never came. Its claim goes last, so that whoever dies before leaves
// something by which the next one finds the rest.
func (w *Workspace) end(runner string, id job.ID, until time.Time, own bool) error {
	scripts, err := w.base.Open("scripts", runner, id.String())
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer scripts.Close()
	if !own && w.unsettled(scripts.Path()) {
		return nil
	}
	l, err := readLease(scripts)
	if errors.Is(err, unix.ENOENT) && !own {
		return w.removeUnleased(runner, id.String(), until)
	}
	if err != nil || l.Runner != runner || l.Job != id {
		return errors.Join(err, w.removeScripts(runner, id.String(), until))
	}
	root, err := w.root(l)
	if errors.Is(err, unix.ENOENT) {
		return w.removeScripts(runner, id.String(), until)
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if l.Static {
		return w.endStatic(l, root, scripts, until, own)
	}
	return w.endSlot(l, root, until, own)
}

func (w *Workspace) endSlot(l jobRecord, root *safedir.Folder, until time.Time, own bool) error {
	held, err := w.takeOver(l, root, own)
	if err != nil || held == alive {
		return err
	}
	if held == ours {
		err = w.removeSecrets(l, root, until)
	}
	err = errors.Join(err, w.removeScripts(l.Runner, l.Job.String(), until))
	if held == ours {
		err = errors.Join(err, w.release(l, root))
	}
	return err
}

// holding is what is found of a lease's claim.
type holding int

const (
	nobodys holding = iota // the slot is free or another job's
	alive                  // the job may still be running
	ours                   // the job is over and this process clears it away
)

// takeOver makes this process the owner of a claim, so that the claim is over
// should this process be killed.
func (w *Workspace) takeOver(l jobRecord, root *safedir.Folder, own bool) (held holding, err error) {
	dir, err := root.Open(l.Pool)
	if errors.Is(err, unix.ENOENT) {
		return nobodys, nil
	}
	if err != nil {
		return alive, err
	}
	p, err := lock(dir, w.journal())
	if err != nil {
		return alive, err
	}
	defer p.closing(&err)
	c, err := p.claim(l.Slot)
	switch {
	case err != nil:
		return alive, err
	case c.Runner != l.Runner || c.Job != l.Job:
		return nobodys, nil
	case !own && !w.open(p, l.Slot, c):
		return alive, nil
	}
	c.Owner, c.Place = w.self, w.here
	return ours, p.put(l.Slot, c, "is being cleared")
}

// release gives a slot up, and takes away what there is too much of.
func (w *Workspace) release(l jobRecord, root *safedir.Folder) (err error) {
	dir, err := root.Open(l.Pool)
	if err != nil {
		return err
	}
	p, err := lock(dir, w.journal())
	if err != nil {
		return err
	}
	defer p.closing(&err)
	c, err := p.claim(l.Slot)
	if err == nil && c.Runner == l.Runner && c.Job == l.Job {
		err = p.put(l.Slot, reservation{}, "released")
	}
	claims, cerr := p.claims()
	if cerr != nil {
		return errors.Join(err, cerr)
	}
	w.forget(p, claims)
	w.trim(p, root, claims)
	return err
}

// forget gives up the claims of dead jobs of which nothing else is left: their
// cleanup was killed in its last moment.
func (w *Workspace) forget(p *pool, claims []reservation) {
	for n, c := range claims {
		if c.free() || !w.open(p, n, c) {
			continue
		}
		scripts, err := w.base.Open("scripts", c.Runner, c.Job.String())
		switch {
		case err == nil:
			scripts.Close()
		case errors.Is(err, unix.ENOENT):
			if err = p.put(n, reservation{}, "forgotten"); err == nil {
				claims[n] = reservation{}
			}
			w.note(p.file.Name(), err)
		default:
			w.note(w.base.Path().String()+"/scripts/"+c.Runner+"/"+c.Job.String(), err)
		}
	}
}

func (w *Workspace) endStatic(l jobRecord, root, scripts *safedir.Folder, until time.Time, own bool) error {
	if !own && !w.over(l.reservation) {
		return nil
	}
	l.Owner, l.Place = w.self, w.here
	err := l.write(scripts)
	if beside, oerr := root.Open(staticDir, l.Runner); oerr == nil {
		err = errors.Join(err, setEnd(beside, l.Job, time.Now()))
		beside.Close()
	}
	return errors.Join(err, w.removeSecrets(l, root, until), w.removeScripts(l.Runner, l.Job.String(), until))
}
