package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// TestJobsAtOnce runs the jobs of one account at once, among them some whose runner dies, with
// every kind of build directory, while its user lists, measures and removes. No call fails, no
// live job loses its directory or shares it, and nothing is left. Locks belong to open files,
// so that goroutines exclude each other as processes do.
func TestJobsAtOnce(t *testing.T) {
	for name, set := range map[string]func(*Options){
		"pool of the runner":  func(*Options) {},
		"pool of the project": func(o *Options) { o.Request.Settings.LimitBuildDir, o.Request.Settings.MaxBuildDir = true, 2 },
		"static":              func(o *Options) { *o = withStatic(*o, 7) },
		"retained logs":       func(o *Options) { o.Request.Settings.RetainLogs = true },
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			var id atomic.Int64
			next := func() Options {
				o := options(t, a, job.ID(id.Add(1)))
				set(&o)
				return o
			}
			ended := dead(t)
			var jobs, user sync.WaitGroup
			var done atomic.Bool
			for range 4 {
				jobs.Go(func() {
					for n := range 8 {
						if o := next(); n%4 == 3 {
							abandonJob(t, o, ended)
						} else {
							runJob(t, o)
						}
					}
				})
			}
			user.Go(func() {
				for !done.Load() {
					overview(t, a)
				}
			})
			jobs.Wait()
			done.Store(true)
			user.Wait()
			last := runJob(t, next())
			if left, err := openWorkspace(t, last).EarlierLeftovers(); !errors.Is(err, unix.ENOENT) {
				t.Errorf("listed as left: %+v, %v", left, err)
			}
			for _, never := range []string{"SECRET", jobRecordFile, trashDir + "/"} {
				if left := files(t, last.Request.Dirs.Base.String()); strings.Contains(left, never) {
					t.Errorf("%s is left: %s", never, left)
				}
			}
		})
	}
}

// stage opens the workspace of a job as one of its stages does.
func stage(t *testing.T, o Options, do func(w *Workspace) error) bool {
	w, err := Open(o)
	if err == nil {
		err = do(w)
		if left := w.Unremoved(); len(left) > 0 {
			err = errors.Join(err, fmt.Errorf("left: %+v", left))
		}
		w.Close()
	}
	if err != nil {
		t.Errorf("job %s: %v", o.Request.Job.ID, err)
	}
	return err == nil
}

// begin is the config stage.
func begin(t *testing.T, o Options) (Options, bool) {
	ok := stage(t, o, func(w *Workspace) (err error) { o.Request.Dirs, err = w.Config(); return err })
	if ok {
		o.Request.Job.Temp = testutil.AbsPath(t, filepath.Join(o.Request.Dirs.Builds.String(), o.Request.Job.Project+".tmp"))
	}
	return o, ok
}

// abandonJob is a job whose runner dies in its config stage.
func abandonJob(t *testing.T, o Options, owner proctree.Process) {
	o.Request.Job.Owner = owner
	begin(t, o)
}

// runJob runs all stages of a job, and returns the options of the last one.
func runJob(t *testing.T, o Options) Options {
	o, ok := begin(t, o)
	if !ok || !stage(t, o, (*Workspace).Prepare) {
		return o
	}
	lock, err := LockStage(o.Request)
	if err != nil {
		t.Error(err)
		return o
	}
	writeJobFiles(t, o)
	mark := filepath.Join(o.Request.Dirs.Builds.String(), "mine")
	if err := os.Symlink("one job", mark); err != nil {
		t.Errorf("job %s has not its own directory: %v", o.Request.Job.ID, err)
	}
	if err := errors.Join(Restore(o.Request), os.Remove(mark), lock.Close()); err != nil {
		t.Errorf("job %s has lost its directory: %v", o.Request.Job.ID, err)
	}
	stage(t, o, func(w *Workspace) error { w.Measure(time.Minute); return w.Cleanup() })
	return o
}

// overview is what the account's user calls: jobs, du and clean.
func overview(t *testing.T, a job.Account) {
	base, err := a.Home.Join(hiddenName)
	testutil.Must(t, err)
	w, err := OpenExisting(base, a, func(job.AbsPath) bool { return false })
	if errors.Is(err, unix.ENOENT) {
		return // no job has begun
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer w.Close()
	if _, err := w.Jobs(); err != nil {
		t.Error(err)
	}
	for _, p := range w.Parts() {
		if p.Size.Partial {
			t.Errorf("%s is measured in part", p.Path)
		}
	}
	if left := w.Clean(Sweep{Builds: time.Nanosecond, Logs: time.Hour}, time.Now(), time.Now().Add(time.Minute)); len(left) > 0 {
		t.Errorf("clean leaves %+v", left)
	}
}

// TestLeftoversAtOnce: cleanups that end at the same moment list what each could not remove.
func TestLeftoversAtOnce(t *testing.T) {
	a, cleanups := testAccount(t), 10
	for round := range 20 {
		var all sync.WaitGroup
		for n := range cleanups {
			w := openWorkspace(t, options(t, a, 1))
			path := w.base.PathOf(fmt.Sprintf("%d-%d", round, n))
			writeFile(t, path, "x")
			all.Go(func() {
				w.noteLeftover(path, errors.New("it stays"))
				w.writeLeftovers()
			})
		}
		all.Wait()
		w := openWorkspace(t, options(t, a, 1))
		left, err := w.EarlierLeftovers()
		if err != nil || len(left) != cleanups {
			t.Fatalf("listed are %d of %d: %v", len(left), cleanups, err)
		}
		for _, l := range left {
			testutil.Must(t, os.Remove(l.Path))
		}
	}
}
