package workspace

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func TestCleanup(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	prepare(t, o)
	writeJobFiles(t, o)
	writeFile(t, o.Request.Dirs.Scripts.String()+"/ci-t0ken-1/script", "echo $SECRET")
	writeFile(t, o.Request.Dirs.Cache.String()+"/group/project/key/cache.zip", "x")
	cleanup(t, o)
	if got, want := files(t, o.Request.Dirs.Base.String()), "builds builds/t0ken builds/t0ken/000 builds/t0ken/000/group builds/t0ken/000/group/project "+
		"builds/t0ken/000/group/project/README cache cache/group cache/group/project cache/group/project/key cache/group/project/key/cache.zip "+
		"scripts scripts/t0ken"; got != want {
		t.Errorf("left is %s\nwant %s", got, want)
	}
	cleanup(t, o) // a second one finds nothing to do
	if next := configure(t, options(t, a, 2)); slot(next) != "000" {
		t.Errorf("the next job has %s", slot(next))
	}
}

// TestCleanupOfAMovedProject: GIT_CLONE_PATH moves the project, and its secrets
// with it.
func TestCleanupOfAMovedProject(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	builds := o.Request.Dirs.Builds.String()
	o.Request.Job.Temp = testutil.AbsPath(t, builds+"/go/src/x.tmp")
	prepare(t, o)
	writeFile(t, builds+"/go/src/x.tmp/SECRET", "hush")
	cleanup(t, o)
	if got := files(t, builds); got != "go go/src" {
		t.Errorf("left is %s", got)
	}
}

// TestCleanupFollowsNothingOutside has links in every place that cleanup goes to.
func TestCleanupFollowsNothingOutside(t *testing.T) {
	for name, plant := range map[string]func(o Options, outside string) string{
		"build directory": func(o Options, _ string) string { return o.Request.Dirs.Builds.String() },
		"pool":            func(o Options, _ string) string { return filepath.Dir(o.Request.Dirs.Builds.String()) },
		"all builds":      func(o Options, _ string) string { return o.Request.Dirs.Base.String() + "/builds" },
		"group":           func(o Options, _ string) string { return o.Request.Dirs.Builds.String() + "/group" },
		"temp":            func(o Options, _ string) string { return o.Request.Dirs.Builds.String() + "/group/project.tmp" },
		"scripts":         func(o Options, _ string) string { return o.Request.Dirs.Scripts.String() },
		"all scripts":     func(o Options, _ string) string { return filepath.Dir(o.Request.Dirs.Scripts.String()) },
		"in the scripts":  func(o Options, _ string) string { return o.Request.Dirs.Scripts.String() + "/ci-t0ken-1" },
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			o := configure(t, options(t, a, 1))
			prepare(t, o)
			writeJobFiles(t, o)
			writeFile(t, o.Request.Dirs.Scripts.String()+"/ci-t0ken-1/script", "x")
			outside := filepath.Join(a.Home.String(), "precious")
			target := plant(o, outside)
			// The target of the link looks like the directory that it replaces.
			testutil.Must(t, os.Rename(target, outside), os.Symlink(outside, target))
			before := files(t, outside)
			_ = openWorkspace(t, o).Cleanup()
			if after := files(t, outside); after != before {
				t.Errorf("outside was %s\nand is %s", before, after)
			}
		})
	}
}

func TestRetainLogs(t *testing.T) {
	o := options(t, testAccount(t), 1)
	o.Request.Settings.RetainLogs = true
	o = configure(t, o)
	writeFile(t, o.Request.Dirs.Scripts.String()+"/ci-t0ken-1/log", "x")
	cleanup(t, o)
	if got := files(t, o.Request.Dirs.Scripts.String()); got != "ci-t0ken-1 ci-t0ken-1/log" {
		t.Errorf("left is %s", got)
	}
	again := options(t, o.Request.Account, 2)
	again.Request.Settings.RetainLogs = true
	again = configure(t, again)
	cleanup(t, again)
	if got := files(t, filepath.Dir(o.Request.Dirs.Scripts.String())); got != "1 1/ci-t0ken-1 1/ci-t0ken-1/log" {
		t.Errorf("after a job without logs is left: %s", got)
	}
}

// TestNextCleanupRemovesDeadJobs: the cleanup of jobs whose runner was killed did not
// run.
func TestNextCleanupRemovesDeadJobs(t *testing.T) {
	a := testAccount(t)
	var deadJobs []Options
	for id := range 3 {
		o := options(t, a, job.ID(id+1))
		o.Request.Job.Owner = dead(t)
		o.Request.Job.Runner = []string{"t0ken", "t0ken", "another"}[id]
		if id == 1 { // next to the first, not instead of it
			o.HasOrphans = func(job.AbsPath) bool { return true }
		}
		o = configure(t, o)
		prepareDead(t, o)
		writeJobFiles(t, o)
		writeFile(t, o.Request.Dirs.Scripts.String()+"/x/script", "hush")
		deadJobs = append(deadJobs, o)
	}
	live := configure(t, options(t, a, 10))
	prepare(t, live)
	writeJobFiles(t, live)
	last := configure(t, options(t, a, 11))
	cleanup(t, last)
	left := files(t, live.Request.Dirs.Base.String())
	for _, o := range deadJobs {
		if exists(o.Request.Dirs.Scripts.String()) {
			t.Errorf("the scripts of job %s are left", o.Request.Job.ID)
		}
	}
	if n := strings.Count(left, "SECRET"); n != 1 || !exists(live.Request.Job.Temp.String()+"/SECRET") {
		t.Errorf("%d secrets are left, and the live job's must be: %s", n, left)
	}
	if !exists(live.Request.Dirs.Scripts.String() + "/lease") {
		t.Error("the live job lost its record")
	}
}

// TestLiveJobsCostNothing: a cleanup does not examine the files of the other jobs that run,
// but those of the ones that have ended, and those of one job for each other pool. Retained
// logs are not examined either.
func TestLiveJobsCostNothing(t *testing.T) {
	a := testAccount(t)
	ofRunner := func(runner string, id job.ID) Options {
		o := options(t, a, id)
		o.Request.Job.Runner = runner
		return o
	}
	for id := range job.ID(5) {
		configure(t, ofRunner("t0ken", 10+id))
		configure(t, ofRunner("second", 20+id))
		configure(t, ofRunner("third", 30+id))
	}
	for id, runner := range map[job.ID]string{19: "t0ken", 29: "second"} {
		ended := ofRunner(runner, id)
		ended.Request.Job.Owner = dead(t)
		configure(t, ended)
	}
	own := configure(t, options(t, a, 40))
	writeFile(t, filepath.Join(filepath.Dir(own.Request.Dirs.Scripts.String()), "1", "ci-t0ken-1", "log"), "retained")
	examined := map[string]map[string]bool{"t0ken": {}, "second": {}, "third": {}}
	own.HasOrphans = func(scripts job.AbsPath) bool {
		dir, id := filepath.Split(scripts.String())
		examined[filepath.Base(dir)][id] = true
		return false
	}
	cleanup(t, own)
	if !examined["t0ken"]["19"] || len(examined["t0ken"]) != 1 || !examined["second"]["29"] || len(examined["second"]) > 2 || len(examined["third"]) != 1 {
		t.Errorf("examined the jobs %v, not 19, 29 and at most one live job of each other pool", examined)
	}
}

// TestOwnersAreExaminedOnce: a workspace that has seen an owner alive examines it no more,
// whatever it does and however many jobs it owns.
func TestOwnersAreExaminedOnce(t *testing.T) {
	a, gone := testAccount(t), dead(t)
	for id := range job.ID(3) {
		o := options(t, a, 10+id)
		o.Request.Job.Owner = gone
		o.HasOrphans = func(job.AbsPath) bool { return true } // each in its own slot
		configure(t, o)
	}
	o := options(t, a, 30)
	w := openWorkspace(t, o)
	w.owners.ended[owner{w.host, gone}] = false
	dirs, err := w.Config()
	testutil.Must(t, err)
	if got := filepath.Base(dirs.Builds.String()); got != "003" {
		t.Errorf("has slot %s, and the others are owned", got)
	}
	o.Request.Dirs = dirs
	last := openWorkspace(t, o)
	last.owners.ended[owner{w.host, gone}] = false
	testutil.Must(t, last.Cleanup())
	list, err := last.Jobs()
	testutil.Must(t, err)
	if len(list) != 3 || slices.ContainsFunc(list, func(j JobInfo) bool { return j.Ended }) {
		t.Errorf("left are %+v", list)
	}
}

// TestJobsWithOrphansStay until the batch engine has cancelled the orphans.
func TestJobsWithOrphansStay(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	writeFile(t, o.Request.Dirs.Scripts.String()+"/ci-t0ken-1/record", "{}")
	other := options(t, a, 2)
	orphans := true
	other.HasOrphans = func(scripts job.AbsPath) bool { return orphans && scripts == o.Request.Dirs.Scripts }
	other = configure(t, other)
	cleanup(t, other)
	if !exists(o.Request.Dirs.Scripts.String() + "/ci-t0ken-1/record") {
		t.Error("the record is gone")
	}
	orphans = false
	other = configure(t, other)
	cleanup(t, other)
	if exists(o.Request.Dirs.Scripts.String()) {
		t.Error("the scripts of the job without orphans are left")
	}
}

// list names what is in a directory, but for the hidden.
func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	testutil.Must(t, err)
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// TestTrashIsEmptiedNextTime: one cleanup has not enough time.
func TestTrashIsEmptiedNextTime(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	trash := o.Request.Dirs.Base.String() + "/builds/.trash"
	for _, dir := range []string{"000-1-1", "001-2-2"} {
		writeFile(t, filepath.Join(trash, dir, "a/b/c"), "x")
	}
	w := openWorkspace(t, o)
	root, err := w.base.Open("builds")
	testutil.Must(t, err)
	defer root.Close()
	testutil.Must(t, w.emptyTrash(root, "000", time.Now().Add(-time.Second)))
	// Both have been there since 1970.
	if left := w.Unremoved(); len(left) != 1 || !strings.Contains(left[0].Reason, "000-1-1 within the time limit of a cleanup: it has been there since 1970-01-01") {
		t.Errorf("noted are %+v", left)
	}
	if got := len(strings.Fields(files(t, trash))); got != 8 {
		t.Errorf("%d entries are left", got)
	}
	cleanup(t, o)
	if got := files(t, trash); got != "" {
		t.Errorf("left is %s", got)
	}
}

// TestPrepareMakesTheSecretsPrivate, also where the group may read everything else.
func TestPrepareMakesTheSecretsPrivate(t *testing.T) {
	modes := func(o Options) (group, temp os.FileMode) {
		stat := func(path string) os.FileMode {
			info, err := os.Lstat(path)
			testutil.Must(t, err)
			return info.Mode()
		}
		return stat(filepath.Dir(o.Request.Job.Temp.String())), stat(o.Request.Job.Temp.String())
	}
	for shared, want := range map[bool]os.FileMode{false: 0o700, true: 0o750} {
		o := options(t, testAccount(t), 1)
		o.Request.Settings.GroupPermissions = shared
		o = configure(t, o)
		prepare(t, o)
		if group, temp := modes(o); group.Perm() != want || temp != os.ModeDir|0o700 {
			t.Errorf("%v: modes are %v and %v", shared, group, temp)
		}
		testutil.Must(t, os.Chmod(o.Request.Job.Temp.String(), 0o755))
		prepare(t, o) // a second time, and it is repaired
		if _, temp := modes(o); temp != os.ModeDir|0o700 {
			t.Errorf("%v: the mode is %v", shared, temp)
		}
		cleanup(t, o)
		if exists(o.Request.Job.Temp.String()) {
			t.Error("it is left")
		}
	}
	o := configure(t, options(t, testAccount(t), 1))
	testutil.Must(t, os.Symlink("/tmp", filepath.Dir(o.Request.Job.Temp.String())))
	prepare(t, o)
}

// TestLiveJobStays: the cleanup of another job removes nothing of a job whose owner lives,
// whatever has happened to the list of reservations or to the job's record.
func TestLiveJobStays(t *testing.T) {
	list := func(live Options) string {
		return filepath.Join(filepath.Dir(live.Request.Dirs.Builds.String()), reservationsFile)
	}
	for name, damage := range map[string]func(t *testing.T, live Options){
		"the list of reservations is emptied": func(t *testing.T, live Options) {
			testutil.Must(t, os.Truncate(list(live), 0))
		},
		"the list of reservations is garbage": func(t *testing.T, live Options) {
			testutil.Must(t, os.WriteFile(list(live), bytes.Repeat([]byte("x"), maxSlots*reservationSize), 0o600))
		},
		"its slot is another job's": func(t *testing.T, live Options) {
			text, err := os.ReadFile(list(live))
			testutil.Must(t, err)
			runner := []byte(`"runner":"` + live.Request.Job.Runner)
			if !bytes.Contains(text, runner) {
				t.Fatalf("it has no reservation: %.300q", text)
			}
			text = bytes.Replace(text, runner, []byte(`"runner":"`+strings.Repeat("z", len(live.Request.Job.Runner))), 1)
			testutil.Must(t, os.WriteFile(list(live), text, 0o600))
		},
		"the list of reservations is gone": func(t *testing.T, live Options) { testutil.Must(t, os.Remove(list(live))) },
		"its pool is away": func(t *testing.T, live Options) {
			pool := filepath.Dir(live.Request.Dirs.Builds.String())
			testutil.Must(t, os.Rename(pool, pool+".away"))
		},
		"the directory of builds is away": func(t *testing.T, live Options) {
			builds := filepath.Dir(filepath.Dir(live.Request.Dirs.Builds.String()))
			testutil.Must(t, os.Rename(builds, builds+".away"))
		},
		"the list is emptied, and its record cannot be read": func(t *testing.T, live Options) {
			record := filepath.Join(live.Request.Dirs.Scripts.String(), jobRecordFile)
			testutil.Must(t, os.Truncate(list(live), 0), os.Remove(record), os.Mkdir(record, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			live := configure(t, options(t, a, 1))
			prepare(t, live)
			writeJobFiles(t, live)
			other := configure(t, options(t, a, 2))
			damage(t, live)
			secrets := exists(live.Request.Job.Temp.String())
			_ = openWorkspace(t, other).Cleanup() // it may report the damage
			if !exists(live.Request.Dirs.Scripts.String()) || exists(live.Request.Job.Temp.String()) != secrets {
				t.Error("scripts or secrets of the live job are gone")
			}
		})
	}
}
