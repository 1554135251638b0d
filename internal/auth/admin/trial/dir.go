package trial

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/job"
)

// Dir is the directory of a trial: the configuration, the state of jacamar-auth, and the
// files that a runner makes for a job.
type Dir struct {
	parent *os.Root
	root   *os.Root
	path   string
	owners Owners
}

// Owners are the accounts of a trial.
type Owners struct {
	// Service runs jacamar-auth, and State has its state directory.
	Service, State job.Account
	// Give is set where this process is root and gives them their files.
	Give bool
}

// dirPrefix names the directories, so that one that a killed process left is known.
const dirPrefix = "jacamar-selftest-"

// NewDir makes a directory below parent. Only root, or the account of this process, may
// be able to write the parent: jacamar-auth judges the way to its configuration.
func NewDir(parent job.AbsPath, o Owners) (d Dir, err error) {
	d.owners = o
	if d.parent, err = os.OpenRoot(parent.String()); err != nil {
		return d, err
	}
	name := dirPrefix + rand.Text()[:8]
	d.path = path.Join(parent.String(), name)
	if err = d.parent.Mkdir(name, 0o700); err != nil {
		return d, errors.Join(err, d.parent.Close())
	}
	if d.root, err = d.parent.OpenRoot(name); err == nil {
		err = d.fill()
	}
	if err != nil {
		err = errors.Join(err, d.Remove())
	}
	return d, err
}

// Subdirectories: state is jacamar-auth's, jobDir the runner's.
const (
	stateDir = "state"
	jobDir   = "job"
	confName = "jacamar.toml"
)

func (d Dir) fill() error {
	return errors.Join(
		d.root.Chmod(".", 0o711), // the accounts of state and service pass
		d.directory(stateDir, d.owners.State), d.directory(jobDir, d.owners.Service),
	)
}

func (d Dir) directory(name string, owner job.Account) error {
	if err := d.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	return d.give(name, owner)
}

func (d Dir) give(name string, owner job.Account) error {
	if !d.owners.Give {
		return nil
	}
	return d.root.Chown(name, int(owner.UID), int(owner.GID))
}

// State is the state directory, and Configuration the file.
func (d Dir) State() string         { return path.Join(d.path, stateDir) }
func (d Dir) Configuration() string { return path.Join(d.path, confName) }

// file is a file of the job.
func (d Dir) file(name string) string { return path.Join(d.path, jobDir, name) }

// Configure writes the configuration. It stays root's where root makes it, and the
// service reads it by its group.
func (d Dir) Configure(text []byte) error {
	if err := d.root.WriteFile(confName, text, 0o600); err != nil {
		return err
	}
	if !d.owners.Give {
		return nil
	}
	return errors.Join(d.root.Chown(confName, os.Geteuid(), int(d.owners.Service.GID)), d.root.Chmod(confName, 0o640))
}

// write writes a file of the job, for the service alone. It is made again each time:
// a file of an earlier stage belongs to the service already.
func (d Dir) write(name string, text []byte) error {
	file := path.Join(jobDir, name)
	if err := d.root.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := d.root.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if d.owners.Give {
		err = errors.Join(err, f.Chown(int(d.owners.Service.UID), int(d.owners.Service.GID)))
	}
	return errors.Join(err, f.Close())
}

// Remove removes everything.
func (d Dir) Remove() error {
	var err error
	if d.root != nil {
		err = d.root.Close()
	}
	if removed := d.parent.RemoveAll(path.Base(d.path)); removed != nil {
		err = errors.Join(err, fmt.Errorf("cannot remove %s: %w", d.path, removed))
	}
	return errors.Join(err, d.parent.Close())
}

// Remains are the directories that every job leaves below the base directory of its
// account, for the next job of the same runner. No other job has the trial's runner.
type Remains struct {
	// own is removed with all that is in it; others are removed where they are empty and
	// not older than the trial: an administrator may have made the base directory.
	own    string
	others []string
	began  time.Time
}

// RemainsOf are those of a trial that began at a time, by its build directory.
func RemainsOf(builds job.AbsPath, began time.Time) (r Remains, ok bool) {
	const root = "/builds/"
	i := strings.LastIndex(builds.String(), root)
	if i < 0 {
		return r, false
	}
	base := builds.String()[:i]
	parts := strings.Split(builds.String()[i+len(root):], "/")
	pool := base + root + parts[0]
	if parts[0] == "static" && len(parts) > 1 {
		r.others, pool = append(r.others, pool), pool+"/"+parts[1]
	}
	name := path.Base(pool)
	if !strings.Contains(name, runnerPrefix) && !strings.HasPrefix(name, projectPool) {
		return Remains{}, false
	}
	r.own, r.began = pool, began
	if strings.HasPrefix(name, runnerPrefix) {
		r.others = append(r.others, path.Join(base, "scripts", name))
	}
	for _, name := range []string{"builds/.trash", "builds", "scripts/.trash", "scripts", "cache", ""} {
		r.others = append(r.others, path.Join(base, name))
	}
	return r, true
}

// projectPool begins the name of the directory that all trials of an account share with
// limit_build_dir.
const projectPool = "jacamar_selftest_"

// removal removes its first argument, and after the second, a time in seconds, all that
// are empty and were made since. They stay where the file system does not record when
// (stat(1), %W).
const removal = `rm -rf -- "$1" || exit; began=$2; shift 2
for d; do made=$(stat -c %W -- "$d" 2>/dev/null) && [ "$made" -ge "$began" ] && rmdir -- "$d" 2>/dev/null; done; exit 0`

// Remove removes them with the ids of the job's account: nothing with more rights works
// in directories of users.
func (r Remains) Remove(ctx context.Context, as *thread.IDs) error {
	// The clock of a file system can be a moment behind.
	began := strconv.FormatInt(r.began.Add(-time.Second).Unix(), 10)
	result, err := subprocess.Command{
		Path: "/bin/sh", Args: append([]string{"-c", removal, "sh", r.own, began}, r.others...), Env: []string{"PATH=/usr/bin:/bin"}, As: as, NoNewPrivs: true,
		Limit: time.Minute, MaxOutput: 4 << 10, MaxErrors: 4 << 10,
	}.Run(ctx)
	if err == nil && result.Code != 0 {
		err = errors.New(strings.TrimSpace(string(result.Stderr)))
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", r.own, err)
	}
	return nil
}

// String names what is removed with its contents.
func (r Remains) String() string { return r.own }
