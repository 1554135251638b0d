package workspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/test/harness/testutil"
)

// swept sweeps everything that was not used for a week, until a time.
func swept(t *testing.T, w *Workspace, dryRun bool, until time.Time) {
	t.Helper()
	root, err := w.base.Open("builds")
	testutil.Must(t, err)
	defer root.Close()
	w.Sweep(root, Sweep{Builds: 7 * day, Caches: 7 * day, Logs: 7 * day, DryRun: dryRun}, time.Now(), until)
	if left := w.Unremoved(); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

// TestEmptyDirectoriesEnd: what projects, branches and runners that no longer exist have left
// empty goes with time; what a job has or may take again stays.
func TestEmptyDirectoriesEnd(t *testing.T) {
	a := testAccount(t)
	live := configure(t, options(t, a, 1))
	base := live.Request.Dirs.Base.String()
	pool := filepath.Dir(live.Request.Dirs.Builds.String())
	dirs := []struct {
		path       string
		file       string // in it, "" for none
		days       int
		stays      bool
		afterSweep bool // it is removed by a sweep, not by every cleanup
	}{
		{path: "builds/old_12", file: ".claims", days: 10, afterSweep: true},
		{path: "builds/young_13", file: ".claims", days: 1, stays: true},
		{path: "builds/logged_14", file: ".claims.log", days: 10, stays: true}, // no pool without its list
		{path: "builds/users_own", file: "README", days: 10, stays: true},
		{path: "builds/static/former", days: 10, afterSweep: true},
		{path: "builds/static/t0ken", days: 10, stays: true},
		{path: "cache/group/project/branch", days: 10, afterSweep: true},
		{path: "cache/group/project/new-branch", days: 1, stays: true},
		{path: "cache/group/project/kept", file: "cache.zip", days: 1, stays: true},
		{path: "scripts/former", days: 10},
		{path: "scripts/yesterday", days: 0, stays: true},
	}
	for _, d := range dirs {
		testutil.Must(t, os.MkdirAll(filepath.Join(base, d.path), 0o700))
		if d.file != "" {
			writeFile(t, filepath.Join(base, d.path, d.file), "")
			testutil.Must(t, os.Truncate(filepath.Join(base, d.path, d.file), maxSlots*reservationSize))
			age(t, d.days, filepath.Join(base, d.path, d.file))
		}
		age(t, d.days, filepath.Join(base, d.path))
	}
	before := files(t, base)
	w := openWorkspace(t, live)
	swept(t, w, true, time.Now().Add(time.Minute))
	if after := files(t, base); after != before {
		t.Errorf("a dry run has changed %s to %s", before, after)
	}
	w.removeEndedJobs(time.Now().Add(time.Minute))
	for _, d := range dirs {
		if want := d.stays || d.afterSweep; exists(filepath.Join(base, d.path)) != want {
			t.Errorf("after a cleanup: %s: %v, want %v", d.path, !want, want)
		}
	}
	swept(t, w, false, time.Now().Add(time.Minute))
	for _, d := range dirs {
		if exists(filepath.Join(base, d.path)) != d.stays {
			t.Errorf("after a sweep: %s: %v, want %v", d.path, !d.stays, d.stays)
		}
	}
	if !exists(filepath.Join(pool, "000")) || !exists(filepath.Join(pool, reservationsFile)) {
		t.Error("the pool of a live job was removed")
	}
	prepare(t, live)
	cleanup(t, live)
}

// TestSweepDeadline: a sweep whose time is over looks at no further directory.
func TestSweepDeadline(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	cleanup(t, o)
	static := filepath.Join(o.Request.Dirs.Base.String(), "builds/static/former/7")
	testutil.Must(t, os.MkdirAll(static, 0o700))
	age(t, 10, o.Request.Dirs.Builds.String(), static)
	w := openWorkspace(t, o)
	for _, tt := range []struct {
		until time.Time
		stays bool
	}{{time.Now().Add(-time.Second), true}, {time.Now().Add(time.Minute), false}} {
		swept(t, w, false, tt.until)
		for _, path := range []string{o.Request.Dirs.Builds.String(), static} {
			if exists(path) != tt.stays {
				t.Errorf("%s: %v, want %v", path, !tt.stays, tt.stays)
			}
		}
	}
}

// TestSweepLate: a sweep that began long ago removes its last pools and end files as its first.
func TestSweepLate(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	builds := filepath.Join(o.Request.Dirs.Base.String(), "builds")
	pool, static := filepath.Join(builds, "former_12"), filepath.Join(builds, "static/former/7")
	writeFile(t, filepath.Join(pool, reservationsFile), "")
	writeFile(t, static+endsSuffix, "")
	testutil.Must(t, os.MkdirAll(static, 0o700), os.Truncate(filepath.Join(pool, reservationsFile), maxSlots*reservationSize))
	age(t, 10, filepath.Join(pool, reservationsFile), static+endsSuffix, static)
	w := openWorkspace(t, o)
	root, err := w.base.Open("builds")
	testutil.Must(t, err)
	defer root.Close()
	w.Sweep(root, Sweep{Builds: 7 * day}, time.Now().Add(-otherCleanupTime), time.Now().Add(time.Minute))
	for _, path := range []string{pool, static, static + endsSuffix} {
		if exists(path) {
			t.Errorf("%s is left", path)
		}
	}
}

// TestSweepPause: the sweep that follows a long one is left to a job an hour later, whatever
// the clock was meanwhile.
func TestSweepPause(t *testing.T) {
	for _, tt := range []struct {
		ago   time.Duration // 0 for no long sweep
		sweep bool
	}{{0, true}, {time.Second, false}, {59 * time.Minute, false}, {2 * time.Hour, true}, {-59 * time.Minute, false}, {-10 * 365 * day, true}} {
		a := testAccount(t)
		o := configure(t, options(t, a, 1))
		o.Request.Settings.CacheDays = 7
		base := o.Request.Dirs.Base.String()
		old := filepath.Join(base, "cache/g/p/cache.zip")
		writeFile(t, old, "x")
		age(t, 10, old)
		if tt.ago != 0 {
			at := time.Now().Add(-tt.ago)
			writeFile(t, filepath.Join(base, sweptFile), "")
			testutil.Must(t, os.Chtimes(filepath.Join(base, sweptFile), at, at))
		}
		cleanup(t, o)
		if exists(old) == tt.sweep {
			t.Errorf("a long sweep %v ago: swept %v, want %v", tt.ago, !tt.sweep, tt.sweep)
		}
		if exists(filepath.Join(base, sweptFile)) != (tt.ago != 0) {
			t.Error("a short sweep was noted")
		}
	}
}

// TestSweepPauseStatic: the directory of a job that is not to stay goes with the job, also in
// the pause after a long sweep; those that are to stay for days wait.
func TestSweepPauseStatic(t *testing.T) {
	for days, stays := range map[int]bool{0: false, 7: true} {
		o := configure(t, withStatic(options(t, testAccount(t), 1), days))
		writeFile(t, filepath.Join(o.Request.Dirs.Base.String(), sweptFile), "")
		former := filepath.Join(o.Request.Dirs.Base.String(), "builds/static/former/7")
		testutil.Must(t, os.MkdirAll(former, 0o700))
		age(t, 10, former)
		cleanup(t, o)
		for _, path := range []string{o.Request.Dirs.Builds.String(), former} {
			if exists(path) != stays {
				t.Errorf("%d days: %s stays: %v", days, path, !stays)
			}
		}
	}
}

// TestRunnersEndUnderJobs: jobs get their directories while others remove those of their runner
// as soon as they are empty, a few times during each job: a directory that was made again is
// not old.
func TestRunnersEndUnderJobs(t *testing.T) {
	a := testAccount(t)
	first := configure(t, options(t, a, 1))
	base := first.Request.Dirs.Base.String()
	w := openWorkspace(t, first)
	var removed, removals atomic.Int32 // in all, and those that are left during this job
	done := make(chan struct{})
	var sweeps, all sync.WaitGroup
	sweeps.Go(func() {
		for old, more := time.Now().Add(-10*day), true; more; {
			select {
			case <-done:
				more = false // the last look finds what the last job has left
			default:
			}
			for _, path := range []string{"builds/static", "scripts"} {
				runner := filepath.Join(base, path, "runner")
				if removals.Load() == 0 || os.Chtimes(runner, old, old) != nil {
					continue
				}
				if dir, err := w.base.Open(strings.Split(path, "/")...); err == nil {
					w.removeEmptyRunner(dir, "runner")
					dir.Close()
				}
				if !exists(runner) {
					removed.Add(1)
					removals.Add(-1)
				}
			}
		}
	})
	all.Go(func() {
		for i := range 100 {
			o := withStatic(options(t, a, job.ID(100+i)), 0)
			o.Request.Job.Runner = "runner"
			removals.Store(5)
			if err := live(o); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	close(done)
	sweeps.Wait()
	if removed.Load() == 0 {
		t.Error("no directory was removed")
	}
}

// TestPoolsEndUnderJobs: jobs get their directories while others remove each pool as soon as
// it is empty.
func TestPoolsEndUnderJobs(t *testing.T) {
	a := testAccount(t)
	first := configure(t, options(t, a, 1))
	const jobs = 40
	done := make(chan struct{})
	var sweeps, all sync.WaitGroup
	sweeps.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			w, err := Open(first)
			if err != nil {
				t.Error(err)
				return
			}
			if root, err := w.base.Open("builds"); err == nil {
				w.sweepBuilds(root, Sweep{Builds: 1}, time.Now(), time.Now().Add(time.Minute))
				_ = w.emptyTrash(root, "", time.Now().Add(time.Minute))
				root.Close()
			}
			w.Close()
		}
	})
	for n := range 2 {
		all.Go(func() {
			for i := range jobs {
				o := options(t, a, job.ID(100+n*jobs+i))
				o.Request.Job.Runner = fmt.Sprintf("runner%d", n)
				if err := live(o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(done)
	sweeps.Wait()
}

// live runs the stages of a job.
func live(o Options) error {
	w, err := Open(o)
	if err != nil {
		return err
	}
	defer w.Close()
	if w.request.Dirs, err = w.Config(); err != nil {
		return err
	}
	if err := w.Prepare(); err != nil {
		return err
	}
	if _, err := os.Stat(w.request.Dirs.Builds.String()); err != nil {
		return err
	}
	return w.Cleanup()
}

// TestLockLogBounded: the log of reservations begins again before it fills a quota.
func TestLockLogBounded(t *testing.T) {
	path, err := filepath.EvalSymlinks(t.TempDir())
	testutil.Must(t, err, os.Chmod(path, 0o700))
	dir, err := safedir.OpenExisting(testutil.AbsPath(t, path), safedir.Rules{Owner: job.UID(os.Geteuid())})
	testutil.Must(t, err)
	defer dir.Close()
	log := &lockLog{strings.Repeat("x", 1000)}
	for range 3 * maxLockLog / 1000 {
		log.add(dir, 0, "reserved")
	}
	info, err := os.Stat(filepath.Join(path, lockLogFile))
	if err != nil || info.Size() > maxLockLog+2000 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
}
