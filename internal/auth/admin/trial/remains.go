package trial

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/job"
)

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
// are empty and were made since. A file system that does not know when (stat(1), %W) keeps
// them.
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
	if err == nil && (result.Code != 0 || result.Signal != 0) {
		err = errors.New(strings.TrimSpace(string(result.Stderr)))
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", r.own, err)
	}
	return nil
}

// String names what is removed with its contents.
func (r Remains) String() string { return r.own }
