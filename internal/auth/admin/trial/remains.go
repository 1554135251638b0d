package trial

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/job"
)

// Remains are the directories that every job leaves below the base directory of its
// account, for the next job of the same runner. No other job has the trial's runner.
type Remains struct {
	// own is removed with all that is in it; others are removed where they are empty.
	own    string
	others []string
	base   string
}

// homeBase is the base directory in a home, which the next job makes again.
const homeBase = ".jacamar-ci"

// RemainsOf are those of a job by its build directory. The base directory is among them
// where it is new, or in a home.
func RemainsOf(builds job.AbsPath, newBase bool) (r Remains, ok bool) {
	const root = "/builds/"
	i := strings.LastIndex(builds.String(), root)
	if i < 0 {
		return r, false
	}
	r.base = builds.String()[:i]
	parts := strings.Split(builds.String()[i+len(root):], "/")
	pool := r.base + root + parts[0]
	if parts[0] == "static" && len(parts) > 1 {
		r.others, pool = append(r.others, pool), pool+"/"+parts[1]
	}
	if !strings.Contains(path.Base(pool), runnerName) {
		return Remains{}, false
	}
	r.own = pool
	for _, name := range []string{"builds/.trash", "builds", "scripts/" + runnerName, "scripts/.trash", "scripts", "cache"} {
		r.others = append(r.others, path.Join(r.base, name))
	}
	if newBase || path.Base(r.base) == homeBase {
		r.others = append(r.others, r.base)
	}
	return r, true
}

// removal removes its first argument, and the others where they are empty.
const removal = `rm -rf -- "$1" || exit; shift; for d; do rmdir -- "$d" 2>/dev/null; done; exit 0`

// Remove removes them with the ids of the job's account: nothing with more rights works
// in directories of users.
func (r Remains) Remove(ctx context.Context, as *thread.IDs) error {
	result, err := subprocess.Command{
		Path: "/bin/sh", Args: append([]string{"-c", removal, "sh", r.own}, r.others...), Env: []string{"PATH=/usr/bin:/bin"}, As: as, NoNewPrivs: true,
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
