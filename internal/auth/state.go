package auth

import (
	"context"
	"os"
	"syscall"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/state"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// resume parses the state that the config stage passed to the later stages. Config
// itself accepts none, even if its environment has one.
func (d *authDriver) resume() (err error) {
	if d.Call.Stage == job.Config || d.Env.State == "" {
		return nil
	}
	d.sealed, err = state.Parse(d.Env.State)
	d.Resumed = err == nil
	return stateRefused(err)
}

// unseal opens the state if it is this job's, as the config stage made it.
func (d *authDriver) unseal(ctx context.Context) error {
	if !d.Resumed {
		return nil
	}
	dir, err := d.stateDir(ctx)
	if err != nil {
		return err
	}
	key, err := state.LoadKey(dir)
	if err != nil {
		return stateRefused(err)
	}
	defer key.Clear()
	d.state, err = d.sealed.Open(key, d.owner())
	return stateRefused(err)
}

// seal returns the state for the later stages.
func (d *authDriver) seal(ctx context.Context, dirs ipc.Dirs) (string, error) {
	dir, err := d.stateDir(ctx)
	if err != nil {
		return "", err
	}
	key, err := state.LoadOrCreateKey(dir)
	if err != nil {
		return "", err
	}
	defer key.Clear()
	d.state.Job, d.state.Dirs, d.state.Facts = d.owner(), dirs, withoutGroups(d.state.Facts)
	return d.state.Seal(key, d.File)
}

// owner is what the state of this call belongs to.
func (d *authDriver) owner() state.Job {
	return state.Job{ID: d.Facts.ID, Project: d.Facts.ProjectID, Service: d.uid, Downscope: string(d.Site.Auth.Downscope)}
}

func stateRefused(err error) error {
	if err == nil {
		return nil
	}
	return &denial{rule: RuleState, err: err}
}

// stateDir is the directory of this program's own state. Its path is from the
// configuration only. A stage uses one, so that the way to it is judged once; with
// other ids it is another.
func (d *authDriver) stateDir(ctx context.Context) (statedir.Dir, error) {
	if d.kept != nil && d.kept.as == d.helper {
		return d.kept.dir, nil
	}
	dir, err := d.findStateDir(ctx)
	if err == nil && !d.administers {
		d.kept = &keptDir{dir, d.helper}
	}
	return dir, err
}

// keptDir is the state directory that a stage uses, and the helper account at that time.
type keptDir struct {
	dir statedir.Dir
	as  *thread.IDs
}

func (d *authDriver) findStateDir(ctx context.Context) (statedir.Dir, error) {
	path, err := d.Site.General.StateDirOf(d.uid == 0 || d.hasExtraPrivileges(), func() (job.AbsPath, error) { return d.ownHome(ctx) })
	if err != nil {
		return statedir.Dir{}, err
	}
	return statedir.New(path, d.stateIDs(path))
}

// stateIDs are the ids to work with there, nil for this process's own. An
// administrator who is root works as the account that has the directory: the helper
// account or the service, which could not use what is root's.
func (d *authDriver) stateIDs(path job.AbsPath) *thread.IDs {
	if d.uid != 0 || !d.administers {
		return d.helperIDs()
	}
	info, err := os.Lstat(path.String())
	if err != nil {
		return nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok && d.helper != nil && stat.Uid == d.helper.UID:
		return d.helper
	case ok && stat.Uid != 0 && d.Site.Auth.Downscope != settings.Setuid:
		return &thread.IDs{UID: stat.Uid, GID: stat.Gid} // the account of the service
	}
	return nil
}

// ownHome is the home of the account that this process itself runs as.
func (d *authDriver) ownHome(ctx context.Context) (job.AbsPath, error) {
	if a, err := account.LocalFiles().ByUID(d.uid); err == nil {
		return a.Home, nil
	}
	own, err := d.ownAccount(ctx)
	return own.Home, err
}
