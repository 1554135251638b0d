package workspace

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

func TestLayout(t *testing.T) {
	a := testAccount(t)
	o := configure(t, options(t, a, 41))
	base := a.Home.String() + "/.jacamar-ci"
	for got, want := range map[string]string{
		o.Request.Dirs.Base.String():    base,
		o.Request.Dirs.Builds.String():  base + "/builds/t0ken/000",
		o.Request.Dirs.Cache.String():   base + "/cache",
		o.Request.Dirs.Scripts.String(): base + "/scripts/t0ken/41",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	testutil.Must(t, filepath.WalkDir(base, func(path string, e os.DirEntry, err error) error {
		if info, ierr := e.Info(); err == nil && ierr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

func TestGroupPermissions(t *testing.T) {
	o := options(t, testAccount(t), 41)
	o.Request.Settings.GroupPermissions = true
	o = configure(t, o)
	for _, dir := range []string{o.Request.Dirs.Base.String(), o.Request.Dirs.Builds.String(), o.Request.Dirs.Cache.String(), o.Request.Dirs.Scripts.String()} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestLimitedDirectoriesBelongToTheProject(t *testing.T) {
	a := testAccount(t)
	limited := func(id job.ID, runner, project string, number job.ID) Options {
		o := options(t, a, id)
		o.Request.Settings.LimitBuildDir = true
		o.Request.Job.Runner, o.Request.Job.Project, o.Request.Job.ProjectID = runner, project, number
		return configure(t, o)
	}
	for _, tt := range []struct {
		order Options
		want  string
	}{
		{limited(1, "one", "group/ci-example", 123), "builds/ci-example_123/000"},
		{limited(2, "two", "group/ci-example", 123), "builds/ci-example_123/001"},
		{limited(1, "two", "group/ci-example", 123), "builds/ci-example_123/002"},
		{limited(3, "one", "group/other", 124), "builds/other_124/000"},
		{limited(4, "one", "group/other", 125), "builds/other_125/000"},
	} {
		if got := strings.TrimPrefix(tt.order.Request.Dirs.Builds.String(), a.Home.String()+"/.jacamar-ci/"); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestProjectName(t *testing.T) {
	for project, want := range map[string]string{
		"group/sub/ci-example": "ci-example", "project-12": "project-12", "g/a b/c d": "c-d", "g/..": "", "g/.hidden": "hidden",
		"g/-rf": "rf", "g/ä": "", "g/" + strings.Repeat("x", 300): strings.Repeat("x", projectLength), "": "",
	} {
		if got := projectName(project); got != want {
			t.Errorf("%q: %q, want %q", project, got, want)
		}
	}
}

func TestConfigAgainGivesTheSame(t *testing.T) {
	a := testAccount(t)
	first := configure(t, options(t, a, 1))
	configure(t, options(t, a, 2))
	again := configure(t, options(t, a, 1))
	if first.Request.Dirs != again.Request.Dirs {
		t.Errorf("%v, then %v", first.Request.Dirs, again.Request.Dirs)
	}
}

func TestSlotsOfDeadJobsAreUsedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil   func(*Options)
		orphans bool
		want    string
	}{
		"live":                        {func(*Options) {}, false, "001"},
		"runner died":                 {func(o *Options) { o.Request.Job.Owner = dead(t) }, false, "000"},
		"runner died, batch job left": {func(o *Options) { o.Request.Job.Owner = dead(t) }, true, "001"},
		"time over, batch job left":   {func(o *Options) { o.Request.Job.Timeout = -int(2 * time.Hour / time.Second) }, true, "000"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			o := options(t, a, 1)
			tt.spoil(&o)
			configure(t, o)
			next := options(t, a, 2)
			next.HasOrphans = func(scripts job.AbsPath) bool {
				return tt.orphans && scripts.String() == a.Home.String()+"/.jacamar-ci/scripts/t0ken/1"
			}
			if next = configure(t, next); slot(next) != tt.want {
				t.Errorf("the next job has %s", slot(next))
			}
		})
	}
}

// TestPredecessorSecretsAreRemoved: a job that takes the directory of a dead one gets
// its clone but not its secrets.
func TestPredecessorSecretsAreRemoved(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	prepareDead(t, o)
	writeJobFiles(t, o)
	next := options(t, a, 2)
	next.Request.Job.Project = "group/elsewhere"
	next = configure(t, next)
	if got, want := files(t, next.Request.Dirs.Builds.String()), "group group/project group/project/README"; got != want || slot(next) != "000" {
		t.Errorf("slot %s has %s", slot(next), got)
	}
}

// prepareDead is prepare for a job whose runner is dead in the test, as if it had been
// alive then.
func prepareDead(t *testing.T, o Options) {
	t.Helper()
	w := openWorkspace(t, o)
	scripts, err := w.base.Open(w.scriptsName()...)
	testutil.Must(t, err)
	defer scripts.Close()
	l, err := readJobRecord(scripts)
	testutil.Must(t, err)
	l.Temp = tempBelow(o.Request.Job.Temp, o.Request.Dirs.Builds)
	testutil.Must(t, l.write(scripts))
}

func TestTempBelow(t *testing.T) {
	builds := testutil.AbsPath(t, "/b/000")
	for temp, want := range map[string]string{
		"/b/000/group/project.tmp": "group/project.tmp", "/b/000/x.tmp": "x.tmp",
		"/b/000/group/project": "", "/b/001/x.tmp": "", "/b/000.tmp": "", "/etc/x.tmp": "", "/b/0001/x.tmp": "", "": "", "/b/000": "",
	} {
		p := job.AbsPath{}
		if temp != "" {
			p = testutil.AbsPath(t, temp)
		}
		if got := tempBelow(p, builds); got != want {
			t.Errorf("%s: %q, want %q", temp, got, want)
		}
	}
	if got := tempBelow(testutil.AbsPath(t, "/x.tmp"), job.AbsPath{}); got != "" {
		t.Errorf("without a build directory: %q", got)
	}
}

func TestPrepareWithoutTheDirectory(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, o Options)
		why   string
	}{
		"everything removed": {func(t *testing.T, o Options) { testutil.Must(t, os.RemoveAll(o.Request.Dirs.Base.String())) }, "cannot find the job's build directory"},
		"slot removed":       {func(t *testing.T, o Options) { testutil.Must(t, os.RemoveAll(o.Request.Dirs.Builds.String())) }, "cannot find the job's build directory"},
		"pool removed": {func(t *testing.T, o Options) {
			testutil.Must(t, os.RemoveAll(filepath.Dir(o.Request.Dirs.Builds.String())))
		}, "cannot find the job's build directory"},
		"record removed": {func(t *testing.T, o Options) { testutil.Must(t, os.Remove(o.Request.Dirs.Scripts.String()+"/lease")) }, "cannot find the job's build directory"},
		"reservations removed": {func(t *testing.T, o Options) {
			testutil.Must(t, os.Remove(filepath.Dir(o.Request.Dirs.Builds.String())+"/.claims"))
		}, "another job of yours has it now"},
		"taken by another": {func(t *testing.T, o Options) {
			next := options(t, o.Request.Account, 2)
			next.Request.Job.Timeout = 10
			testutil.Must(t, os.Remove(filepath.Dir(o.Request.Dirs.Builds.String())+"/.claims"))
			configure(t, next)
		}, "another job of yours has it now"},
		"open to others":      {func(t *testing.T, o Options) { testutil.Must(t, os.Chmod(o.Request.Dirs.Builds.String(), 0o777)) }, "others may enter it"},
		"a link in its place": {func(t *testing.T, o Options) { replaceByLink(t, o.Request.Dirs.Builds.String()) }, "it is not a directory"},
		"a corrupt record":    {func(t *testing.T, o Options) { writeFile(t, o.Request.Dirs.Scripts.String()+"/lease", "{") }, "cannot read the job's record"},
		"a hostile record": {func(t *testing.T, o Options) {
			writeFile(t, o.Request.Dirs.Scripts.String()+"/lease", `{"pool":"../../x","slot":0}`)
		}, "is not the name of a directory"},
		"a slot out of range": {func(t *testing.T, o Options) {
			writeFile(t, o.Request.Dirs.Scripts.String()+"/lease", `{"pool":"t0ken","slot":-1}`)
		}, "cannot read the job's record"},
	} {
		t.Run(name, func(t *testing.T) {
			o := configure(t, options(t, testAccount(t), 1))
			tt.spoil(t, o)
			err := openWorkspace(t, o).Prepare()
			if err == nil || !strings.Contains(err.Error(), tt.why) || failure.KindOf(err) != failure.System {
				t.Errorf("got %v, want %q", err, tt.why)
			}
		})
	}
}

func replaceByLink(t *testing.T, path string) {
	testutil.Must(t, os.Rename(path, path+".old"), os.Symlink(path+".old", path))
}

// TestWrapperIsNotTakenForTheRunner: where a site's wrapper calls the driver, the
// caller of the config stage has ended before prepare. The reservation must hold
// nevertheless.
func TestWrapperIsNotTakenForTheRunner(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	caller := o.Request.Job.Owner
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	o.Request.Job.Owner = caller
	prepare(t, o)
	if next := configure(t, options(t, a, 2)); slot(next) != "001" {
		t.Errorf("the next job has %s too", slot(next))
	}
	cleanup(t, o)
	if next := configure(t, options(t, a, 3)); slot(next) != "000" {
		t.Errorf("after its end the next job has %s", slot(next))
	}
}

// TestRunnerEndsDuringPrepare: the caller of prepare is that of config, and has ended. The
// reservation ends with it, and the next cleanup removes the job's files.
func TestRunnerEndsDuringPrepare(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	prepare(t, o)
	next := configure(t, options(t, a, 2))
	if slot(next) != "000" {
		t.Errorf("the next job has %s", slot(next))
	}
	prepare(t, next)
	cleanup(t, next)
	if _, err := os.Stat(o.Request.Dirs.Scripts.String()); !os.IsNotExist(err) {
		t.Errorf("the scripts directory of the job is left: %v", err)
	}
}

func TestJobsOfOtherHosts(t *testing.T) {
	a := testAccount(t)
	elsewhere := func(host string, id job.ID, timeout int) Options {
		o := options(t, a, id)
		o.Request.Job.Owner, o.Request.Job.Timeout = dead(t), timeout
		w := openWorkspace(t, o)
		w.host = hostID{Host: host, PIDNamespace: w.host.PIDNamespace}
		dirs, err := w.Config()
		testutil.Must(t, err)
		o.Request.Dirs = dirs
		return o
	}
	if got := slot(elsewhere("one", 1, 3600)); got != "000" {
		t.Fatalf("it has %s", got)
	}
	if got := slot(configure(t, options(t, a, 2))); got != "001" {
		t.Errorf("next to a live job of another host a job has %s", got)
	}
	if got := slot(elsewhere("two", 3, -7200)); got != "002" {
		t.Fatalf("it has %s", got)
	}
	if got := slot(configure(t, options(t, a, 4))); got != "002" {
		t.Errorf("after the time of a job of another host the next has %s", got)
	}
}

func TestFailedConfigLeavesNothing(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	testutil.Must(t, os.MkdirAll(a.Home.String()+"/.jacamar-ci/builds", 0o700), os.Chmod(a.Home.String()+"/.jacamar-ci", 0o700))
	testutil.Must(t, os.Symlink("/tmp", a.Home.String()+"/.jacamar-ci/builds/t0ken"))
	if _, err := openWorkspace(t, o).Config(); err == nil || !strings.Contains(err.Error(), "it is not a directory") {
		t.Errorf("got %v", err)
	}
	if exists(a.Home.String() + "/.jacamar-ci/scripts/t0ken/1") {
		t.Error("the scripts directory is left")
	}
}

func TestOwnerIsRecorded(t *testing.T) {
	o := configure(t, options(t, testAccount(t), 1))
	me, _ := proctree.Find(os.Getpid())
	p := openPool(t, filepath.Dir(o.Request.Dirs.Builds.String()))
	defer p.close()
	c, err := p.reservation(0)
	testutil.Must(t, err)
	if c.Owner != me || c.Host != currentHost() || c.Job != 1 || c.Runner != "t0ken" {
		t.Errorf("%+v", c)
	}
}

// TestSlotIsMadeAgain: what a script has put in the place of its build directory, and a
// directory that others may enter, where scripts make files that all may write, is not the next
// job's: it begins with an empty one, and its log has why.
func TestSlotIsMadeAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, builds string)
		kept  bool
		line  string
	}{
		"others may write": {func(t *testing.T, b string) { testutil.Must(t, os.Chmod(b, 0o777)) }, false, "began with an empty build directory: cannot use "},
		"a file":           {func(t *testing.T, b string) { testutil.Must(t, os.RemoveAll(b)); writeFile(t, b, "x") }, false, "it is not a directory"},
		"a link":           {replaceByLink, false, "it is not a directory"},
		"others may enter": {func(t *testing.T, b string) { testutil.Must(t, os.Chmod(b, 0o755)) }, false, "began with an empty build directory: cannot use "},
		"closed":           {func(t *testing.T, b string) { testutil.Must(t, os.Chmod(b, 0)) }, true, "which was 0000: what is for jobs is private"},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			first := configure(t, options(t, a, 1))
			prepare(t, first)
			writeJobFiles(t, first)
			tt.spoil(t, first.Request.Dirs.Builds.String())
			ends := openWorkspace(t, first)
			ends.Measure(time.Minute)
			testutil.Must(t, ends.Cleanup())
			o := options(t, a, 2)
			w := openWorkspace(t, o)
			dirs, err := w.Config()
			testutil.Must(t, err)
			o.Request.Dirs = dirs
			if left := files(t, dirs.Builds.String()) != ""; slot(o) != "000" || left != tt.kept || len(w.Repaired()) != 1 || !strings.Contains(w.Repaired()[0], tt.line) {
				t.Errorf("%s, left %v; %q", dirs.Builds, left, w.Repaired())
			}
			cleanup(t, o)
			if again := openWorkspace(t, options(t, a, 3)); len(again.Repaired()) != 0 {
				t.Errorf("a later job reads %q", again.Repaired())
			}
		})
	}
}
