package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// age sets the times of files to so many days ago.
func age(t *testing.T, days int, paths ...string) {
	t.Helper()
	at := time.Now().Add(-time.Duration(days) * day)
	for _, p := range paths {
		testutil.Must(t, os.Chtimes(p, at, at))
	}
}

// TestSweep: old free build directories, old files of caches and old logs go; those that
// are live, touched or young stay, and a dry run removes nothing.
func TestSweep(t *testing.T) {
	a := testAccount(t)
	live := configure(t, options(t, a, 1))
	prepare(t, live)
	base := filepath.Join(a.Home.String(), hiddenName)
	pool := filepath.Dir(live.Request.Dirs.Builds.String())
	var ended []string
	for id := job.ID(2); id < 5; id++ {
		o := configure(t, options(t, a, id))
		ended = append(ended, o.Request.Dirs.Builds.String())
		writeFile(t, filepath.Join(ended[len(ended)-1], "group/project/README"), "x")
		prepare(t, o)
		defer cleanup(t, o)
	}
	for id := job.ID(2); id < 5; id++ {
		o := options(t, a, id)
		o.Request.Dirs.Base = live.Request.Dirs.Base
		cleanup(t, o)
	}
	oldCache, newCache := filepath.Join(base, "cache/g/p/old/cache.zip"), filepath.Join(base, "cache/g/p/new/cache.zip")
	oldLog, newLog, openLog := filepath.Join(base, "scripts/t0ken/90/x/log"), filepath.Join(base, "scripts/t0ken/91/x/log"), filepath.Join(base, "scripts/t0ken/92/x/log")
	for _, file := range []string{oldCache, newCache, oldLog, newLog, openLog} {
		writeFile(t, file, "x")
	}
	for _, id := range []string{"90", "91", "92"} {
		testutil.Must(t, os.Chmod(filepath.Join(base, "scripts/t0ken", id), 0o700))
	}
	age(t, 10, live.Request.Dirs.Builds.String(), ended[0], ended[1], oldCache, filepath.Dir(filepath.Dir(oldLog)), filepath.Dir(filepath.Dir(openLog)))
	o := options(t, a, 99)
	o.Request.Dirs.Base = live.Request.Dirs.Base
	o.HasOrphans = func(scripts job.AbsPath) bool { return strings.HasSuffix(scripts.String(), "/92") }
	w := openWorkspace(t, o)
	sweep := Sweep{Builds: 7 * day, Caches: 7 * day, Logs: 7 * day, DryRun: true, Project: "group/project"}
	var removed []string
	sweep.Removed = func(path string) { removed = append(removed, path) }
	root, err := w.base.Open("builds")
	testutil.Must(t, err)
	defer root.Close()
	before := files(t, base)
	w.Sweep(root, sweep, time.Now(), time.Now().Add(time.Minute))
	if files(t, base) != before {
		t.Error("a dry run changed something")
	}
	want := []string{ended[0], ended[1], oldCache, filepath.Dir(filepath.Dir(oldLog))}
	if strings.Join(removed, " ") != strings.Join(want, " ") {
		t.Errorf("%q, want %q", removed, want)
	}
	testutil.Must(t, os.Chtimes(ended[1], time.Now(), time.Now())) // touch(1) keeps it
	sweep.DryRun, removed = false, nil
	w.Sweep(root, sweep, time.Now(), time.Now().Add(time.Minute))
	for path, stays := range map[string]bool{
		live.Request.Dirs.Builds.String(): true, ended[0]: false, ended[1]: true, ended[2]: true, oldCache: false, newCache: true,
		oldLog: false, newLog: true, openLog: true, pool: true,
	} {
		if exists(path) != stays {
			t.Errorf("%s: %v, want %v", path, exists(path), stays)
		}
	}
	if len(w.Unremoved()) != 0 {
		t.Errorf("%+v", w.Unremoved())
	}
	sweep.Project = "group/other"
	age(t, 10, ended[2])
	w.Sweep(root, sweep, time.Now(), time.Now().Add(time.Minute))
	if !exists(ended[2]) {
		t.Error("a directory of another project was removed")
	}
	// A released slot can be taken again.
	again := configure(t, options(t, a, 7))
	if again.Request.Dirs.Builds.String() != ended[0] {
		t.Errorf("%s, want %s", again.Request.Dirs.Builds, ended[0])
	}
}

func TestTrim(t *testing.T) {
	for name, tt := range map[string]struct {
		keep  int
		uncap bool
		want  []string // what is left after the end of each job
	}{
		"no limit":      {0, false, []string{"000 001 002 003", "000 001 002 003", "000 001 002 003", "000 001 002 003"}},
		"one at a time": {1, false, []string{"000 001 002 003", "000 002 003", "000 002", "000"}},
		"within":        {4, false, []string{"000 001 002 003", "000 001 002 003", "000 001 002 003", "000 001 002 003"}},
		"all":           {0, true, []string{"000 001 002 003", "000 001 002 003", "000 001 002 003", "000 001 002 003"}},
	} {
		t.Run(name, func(t *testing.T) {
			jobs := limitedJobs(t, 4, tt.keep, tt.uncap)
			for i, n := range []int{0, 1, 3, 2} {
				cleanup(t, jobs[n])
				if got := list(t, filepath.Dir(jobs[n].Request.Dirs.Builds.String())); got != tt.want[i] {
					t.Errorf("after the end of job %d is left: %s, want %s", n, got, tt.want[i])
				}
			}
			if got := files(t, jobs[0].Request.Dirs.Base.String()); strings.Contains(got, ".trash/") {
				t.Errorf("in the trash is left: %s", got)
			}
		})
	}
}

// limitedJobs are running jobs of one project, each in its slot.
func limitedJobs(t *testing.T, count, keep int, uncap bool) (jobs []Options) {
	t.Helper()
	a := testAccount(t)
	for id := range count {
		o := options(t, a, job.ID(id+1))
		s := &o.Request.Settings
		s.LimitBuildDir, s.MaxBuildDir, s.UncapBuildDirCleanup = true, keep, uncap
		o = configure(t, o)
		writeFile(t, o.Request.Dirs.Builds.String()+"/group/project/README", "x")
		jobs = append(jobs, o)
	}
	return jobs
}

// TestTrimOfMany: there are ten directories, and two are allowed.
func TestTrimOfMany(t *testing.T) {
	for uncap, want := range map[bool]string{false: "000 001 002 003 004 005 006 007 008", true: "000 001"} {
		jobs := limitedJobs(t, 10, 0, uncap)
		for _, o := range jobs {
			cleanup(t, o)
		}
		last := jobs[0]
		last.Request.Dirs, last.Request.Job.ID, last.Request.Settings.MaxBuildDir = ipc.Dirs{}, 99, 2
		last = configure(t, last)
		cleanup(t, last)
		if got := list(t, filepath.Dir(last.Request.Dirs.Builds.String())); got != want {
			t.Errorf("uncap %v: left is %s", uncap, got)
		}
	}
}

func TestExcessSlots(t *testing.T) {
	live := sample(1)
	names := []string{"000", "001", "002", "003", "010", ".claims", "4", "0005", "x"}
	claims := []reservation{{}, live, {}, live}
	for name, tt := range map[string]struct {
		keep, most int
		want       []int
	}{
		"all free": {0, 99, []int{10, 2, 0}}, "one": {0, 1, []int{10}}, "keep some": {1, 99, []int{10, 2}}, "keep all": {11, 99, nil}, "none": {0, 0, nil},
	} {
		got := excessSlots(names, claims, tt.keep, tt.most)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: %v, want %v", name, got, tt.want)
			}
		}
	}
}
