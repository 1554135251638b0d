package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
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

// TestKilledCleanupIsContinued: the process that was removing a job's files is dead,
// and the job's runner lives.
func TestKilledCleanupIsContinued(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	prepare(t, o)
	writeJobFiles(t, o)
	w := openWorkspace(t, o)
	w.self = dead(t)
	scripts, err := w.base.Open(w.scriptsName()...)
	testutil.Must(t, err)
	defer scripts.Close()
	l, err := readJobRecord(scripts)
	testutil.Must(t, err)
	root, err := w.rootOf(l)
	testutil.Must(t, err)
	defer root.Close()
	if held, err := w.takeOver(l, root, true); held != owned || err != nil {
		t.Fatalf("%v, %v", held, err)
	}
	other := configure(t, options(t, a, 2))
	cleanup(t, other)
	if exists(o.Request.Dirs.Scripts.String()) || exists(o.Request.Job.Temp.String()) {
		t.Error("its scripts or secrets are left")
	}
	if next := configure(t, options(t, a, 3)); slot(next) != "000" {
		t.Errorf("the next job has %s", slot(next))
	}
}

// TestReservationWithoutScriptsIsReleased: the cleanup was killed just before its end.
func TestReservationWithoutScriptsIsReleased(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	testutil.Must(t, os.RemoveAll(o.Request.Dirs.Scripts.String()))
	live := options(t, a, 2)
	live.HasOrphans = func(job.AbsPath) bool { return true } // not in the slot of the dead one
	live = configure(t, live)
	other := options(t, a, 3)
	other.HasOrphans = live.HasOrphans
	other = configure(t, other)
	other.HasOrphans = options(t, a, 3).HasOrphans
	cleanup(t, other)
	p := openPool(t, filepath.Dir(o.Request.Dirs.Builds.String()))
	defer p.close()
	all, err := p.reservations()
	testutil.Must(t, err)
	if len(all) != 3 || !all[0].free() || all[1].free() || !all[2].free() {
		t.Errorf("%+v", all)
	}
}

// TestKilledCleanupIsRepeated (LORRY/REMOVE-GHOST-JOBS): the cleanup of the job itself was killed after it had
// moved the scripts directory to the trash, and is called again, as by reap.
func TestKilledCleanupIsRepeated(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	other := configure(t, options(t, a, 2))
	scripts := o.Request.Dirs.Base.String() + "/scripts"
	testutil.Must(t, os.Mkdir(scripts+"/.trash", 0o700))
	testutil.Must(t, os.Rename(o.Request.Dirs.Scripts.String(), scripts+"/.trash/1-1-1"))
	o.Request.Job.Owner = dead(t)
	cleanup(t, o)
	if left := files(t, scripts+"/.trash"); left != "" {
		t.Errorf("left is %s", left)
	}
	p := openPool(t, filepath.Dir(o.Request.Dirs.Builds.String()))
	defer p.close()
	all, err := p.reservations()
	testutil.Must(t, err)
	if len(all) != 2 || !all[0].free() || !all[1].belongsTo(other.Request.Job) {
		t.Errorf("%+v", all)
	}
}

// TestCleanupWithoutRecord: a job that has removed its own files leaves no secrets, and no
// reservation.
func TestCleanupWithoutRecord(t *testing.T) {
	for name, remove := range map[string]func(o Options) error{
		"all scripts": func(o Options) error { return os.RemoveAll(o.Request.Dirs.Base.String() + "/scripts") },
		"its scripts": func(o Options) error { return os.RemoveAll(o.Request.Dirs.Scripts.String()) },
		"its record":  func(o Options) error { return os.Remove(o.Request.Dirs.Scripts.String() + "/" + jobRecordFile) },
		"its record's text": func(o Options) error {
			return os.Truncate(o.Request.Dirs.Scripts.String()+"/"+jobRecordFile, 1)
		},
		"a link in its place": func(o Options) error {
			record := o.Request.Dirs.Scripts.String() + "/" + jobRecordFile
			return errors.Join(os.Remove(record), os.Symlink("/etc/passwd", record))
		},
		"a directory in its place": func(o Options) error {
			record := o.Request.Dirs.Scripts.String() + "/" + jobRecordFile
			return errors.Join(os.Remove(record), os.Mkdir(record, 0o700))
		},
	} {
		for _, static := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, static %v", name, static), func(t *testing.T) {
				a := testAccount(t)
				o := options(t, a, 1)
				o.Request.Settings.StaticBuildsDir = static
				o = configure(t, o)
				prepare(t, o)
				writeJobFiles(t, o)
				testutil.Must(t, remove(o))
				cleanup(t, o) // all of it is done, so that the job's record in the journal ends
				if exists(o.Request.Job.Temp.String()) || exists(o.Request.Dirs.Scripts.String()) {
					t.Error("its secrets or its scripts are left")
				}
				if next := configure(t, options(t, a, 2)); !static && slot(next) != "000" {
					t.Errorf("the next job has %s", slot(next))
				}
			})
		}
	}
}

// TestCleanupOfALostReservation: another job has the directory, so nothing in it is
// changed.
func TestCleanupOfALostReservation(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	prepare(t, o)
	testutil.Must(t, os.Remove(filepath.Dir(o.Request.Dirs.Builds.String())+"/.claims"))
	next := configure(t, options(t, a, 2))
	prepare(t, next)
	writeJobFiles(t, next)
	cleanup(t, o)
	if !exists(next.Request.Job.Temp.String()+"/SECRET") || exists(o.Request.Dirs.Scripts.String()) {
		t.Errorf("left is %s", files(t, o.Request.Dirs.Base.String()))
	}
	if third := configure(t, options(t, a, 3)); slot(third) != "001" {
		t.Errorf("the reservation of the other job was released: a third has %s", slot(third))
	}
}

func TestCleanupWithoutAnything(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 1))
	testutil.Must(t, os.RemoveAll(o.Request.Dirs.Base.String()))
	cleanup(t, o)
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
