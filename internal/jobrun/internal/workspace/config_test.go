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
)

func TestLayout(t *testing.T) {
	a := self(t)
	o := configure(t, order(t, a, 41))
	base := a.Home.String() + "/.jacamar-ci"
	for got, want := range map[string]string{
		o.Brief.Dirs.Base.String():    base,
		o.Brief.Dirs.Builds.String():  base + "/builds/t0ken/000",
		o.Brief.Dirs.Cache.String():   base + "/cache",
		o.Brief.Dirs.Scripts.String(): base + "/scripts/t0ken/41",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	must(t, filepath.WalkDir(base, func(path string, e os.DirEntry, err error) error {
		if info, ierr := e.Info(); err == nil && ierr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

func TestGroupPermissions(t *testing.T) {
	o := order(t, self(t), 41)
	o.Brief.Settings.Storage.GroupPermissions = true
	o = configure(t, o)
	for _, dir := range []string{o.Brief.Dirs.Base.String(), o.Brief.Dirs.Builds.String(), o.Brief.Dirs.Cache.String(), o.Brief.Dirs.Scripts.String()} {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestLimitedDirectoriesBelongToTheProject(t *testing.T) {
	a := self(t)
	limited := func(id job.ID, runner, project string, number job.ID) Order {
		o := order(t, a, id)
		o.Brief.Settings.Storage.LimitBuildDir = true
		o.Brief.Job.Runner, o.Brief.Job.Project, o.Brief.Job.ProjectID = runner, project, number
		return configure(t, o)
	}
	for _, tc := range []struct {
		order Order
		want  string
	}{
		{limited(1, "one", "group/ci-example", 123), "builds/ci-example_123/000"},
		{limited(2, "two", "group/ci-example", 123), "builds/ci-example_123/001"},
		{limited(1, "two", "group/ci-example", 123), "builds/ci-example_123/002"},
		{limited(3, "one", "group/other", 124), "builds/other_124/000"},
		{limited(4, "one", "group/other", 125), "builds/other_125/000"},
	} {
		if got := strings.TrimPrefix(tc.order.Brief.Dirs.Builds.String(), a.Home.String()+"/.jacamar-ci/"); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
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
	a := self(t)
	first := configure(t, order(t, a, 1))
	configure(t, order(t, a, 2))
	again := configure(t, order(t, a, 1))
	if first.Brief.Dirs != again.Brief.Dirs {
		t.Errorf("%v, then %v", first.Brief.Dirs, again.Brief.Dirs)
	}
}

func TestSlotsOfDeadJobsAreUsedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil     func(*Order)
		unsettled bool
		want      string
	}{
		"live":                          {func(*Order) {}, false, "001"},
		"runner died":                   {func(o *Order) { o.Brief.Job.Owner = dead(t) }, false, "000"},
		"runner died, batch job unseen": {func(o *Order) { o.Brief.Job.Owner = dead(t) }, true, "001"},
		"time over, batch job unseen":   {func(o *Order) { o.Brief.Job.Timeout = -int(2 * time.Hour / time.Second) }, true, "000"},
	} {
		t.Run(name, func(t *testing.T) {
			a := self(t)
			o := order(t, a, 1)
			tc.spoil(&o)
			configure(t, o)
			next := order(t, a, 2)
			next.Unsettled = func(scripts job.AbsPath) bool {
				return tc.unsettled && scripts.String() == a.Home.String()+"/.jacamar-ci/scripts/t0ken/1"
			}
			if next = configure(t, next); slot(next) != tc.want {
				t.Errorf("the next job has %s", slot(next))
			}
		})
	}
}

// TestInheritedSecretsAreCleared: a job that takes a dead one's directory begins
// without its secrets, and with its clone.
func TestInheritedSecretsAreCleared(t *testing.T) {
	a := self(t)
	o := order(t, a, 1)
	o.Brief.Job.Owner = dead(t)
	o = configure(t, o)
	prepareAs(t, o)
	play(t, o)
	next := order(t, a, 2)
	next.Brief.Job.Project = "group/elsewhere"
	next = configure(t, next)
	if got, want := files(t, next.Brief.Dirs.Builds.String()), "group group/project group/project/README"; got != want || slot(next) != "000" {
		t.Errorf("slot %s has %s", slot(next), got)
	}
}

// prepareAs is prepare for a job whose runner is dead in the test's world, but
// was alive then.
func prepareAs(t *testing.T, o Order) {
	t.Helper()
	w := workspace(t, o)
	scripts, err := w.base.Open(w.scriptsName()...)
	must(t, err)
	defer scripts.Close()
	l, err := readLease(scripts)
	must(t, err)
	l.Temp = tempBelow(o.Brief.Job.Temp, o.Brief.Dirs.Builds)
	must(t, l.write(scripts))
}

func TestPrepareNotesWhereSecretsAre(t *testing.T) {
	builds := abs(t, "/b/000")
	for temp, want := range map[string]string{
		"/b/000/group/project.tmp": "group/project.tmp", "/b/000/x.tmp": "x.tmp",
		"/b/000/group/project": "", "/b/001/x.tmp": "", "/b/000.tmp": "", "/etc/x.tmp": "", "/b/0001/x.tmp": "", "": "", "/b/000": "",
	} {
		p := job.AbsPath{}
		if temp != "" {
			p = abs(t, temp)
		}
		if got := tempBelow(p, builds); got != want {
			t.Errorf("%s: %q, want %q", temp, got, want)
		}
	}
	if got := tempBelow(abs(t, "/x.tmp"), job.AbsPath{}); got != "" {
		t.Errorf("without a build directory: %q", got)
	}
}

func TestPrepareFindsTheDirectoryLost(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, o Order)
		why   string
	}{
		"everything removed": {func(t *testing.T, o Order) { must(t, os.RemoveAll(o.Brief.Dirs.Base.String())) }, "cannot find the job's build directory"},
		"slot removed":       {func(t *testing.T, o Order) { must(t, os.RemoveAll(o.Brief.Dirs.Builds.String())) }, "cannot find the job's build directory"},
		"pool removed":       {func(t *testing.T, o Order) { must(t, os.RemoveAll(filepath.Dir(o.Brief.Dirs.Builds.String()))) }, "cannot find the job's build directory"},
		"lease removed":      {func(t *testing.T, o Order) { must(t, os.Remove(o.Brief.Dirs.Scripts.String()+"/lease")) }, "cannot find the job's build directory"},
		"claims removed":     {func(t *testing.T, o Order) { must(t, os.Remove(filepath.Dir(o.Brief.Dirs.Builds.String())+"/.claims")) }, "another job of yours has it now"},
		"taken by another": {func(t *testing.T, o Order) {
			next := order(t, o.Brief.Account, 2)
			next.Brief.Job.Timeout = 10
			must(t, os.Remove(filepath.Dir(o.Brief.Dirs.Builds.String())+"/.claims"))
			configure(t, next)
		}, "another job of yours has it now"},
		"open to others":      {func(t *testing.T, o Order) { must(t, os.Chmod(o.Brief.Dirs.Builds.String(), 0o755)) }, "others may enter it"},
		"a link in its place": {func(t *testing.T, o Order) { swap(t, o.Brief.Dirs.Builds.String()) }, "it is not a directory"},
		"a broken lease":      {func(t *testing.T, o Order) { put(t, o.Brief.Dirs.Scripts.String()+"/lease", "{") }, "cannot read the lease"},
		"a hostile lease": {func(t *testing.T, o Order) {
			put(t, o.Brief.Dirs.Scripts.String()+"/lease", `{"pool":"../../x","slot":0}`)
		}, "is not the name of a directory"},
		"a slot out of range": {func(t *testing.T, o Order) {
			put(t, o.Brief.Dirs.Scripts.String()+"/lease", `{"pool":"t0ken","slot":-1}`)
		}, "cannot read the lease"},
	} {
		t.Run(name, func(t *testing.T) {
			o := configure(t, order(t, self(t), 1))
			tc.spoil(t, o)
			err := workspace(t, o).Prepare()
			if err == nil || !strings.Contains(err.Error(), tc.why) || failure.KindOf(err) != failure.System {
				t.Errorf("got %v, want %q", err, tc.why)
			}
		})
	}
}

func swap(t *testing.T, path string) {
	must(t, os.Rename(path, path+".old"), os.Symlink(path+".old", path))
}

// TestWrapperIsNotTakenForTheRunner: where a site's wrapper calls the driver, the
// caller of the config stage is gone by the time of prepare. The claim must hold
// all the same.
func TestWrapperIsNotTakenForTheRunner(t *testing.T) {
	a := self(t)
	o := order(t, a, 1)
	o.Brief.Job.Owner = dead(t)
	o = configure(t, o)
	prepare(t, o)
	if next := configure(t, order(t, a, 2)); slot(next) != "001" {
		t.Errorf("the next job has %s too", slot(next))
	}
	cleanup(t, o)
	if next := configure(t, order(t, a, 3)); slot(next) != "000" {
		t.Errorf("after its end the next job has %s", slot(next))
	}
}

func TestJobsOfOtherHosts(t *testing.T) {
	a := self(t)
	elsewhere := func(host string, id job.ID, timeout int) Order {
		o := order(t, a, id)
		o.Brief.Job.Owner, o.Brief.Job.Timeout = dead(t), timeout
		w := workspace(t, o)
		w.here = place{Host: host, PIDs: w.here.PIDs}
		dirs, err := w.Config()
		must(t, err)
		o.Brief.Dirs = dirs
		return o
	}
	if got := slot(elsewhere("one", 1, 3600)); got != "000" {
		t.Fatalf("it has %s", got)
	}
	if got := slot(configure(t, order(t, a, 2))); got != "001" {
		t.Errorf("beside a live job of another host a job has %s", got)
	}
	if got := slot(elsewhere("two", 3, -7200)); got != "002" {
		t.Fatalf("it has %s", got)
	}
	if got := slot(configure(t, order(t, a, 4))); got != "002" {
		t.Errorf("after the time of a job of another host the next has %s", got)
	}
}

func TestFailedConfigLeavesNothing(t *testing.T) {
	a := self(t)
	o := order(t, a, 1)
	must(t, os.MkdirAll(a.Home.String()+"/.jacamar-ci/builds", 0o700), os.Chmod(a.Home.String()+"/.jacamar-ci", 0o700))
	must(t, os.Symlink("/tmp", a.Home.String()+"/.jacamar-ci/builds/t0ken"))
	if _, err := workspace(t, o).Config(); err == nil || !strings.Contains(err.Error(), "it is not a directory") {
		t.Errorf("got %v", err)
	}
	if exists(a.Home.String() + "/.jacamar-ci/scripts/t0ken/1") {
		t.Error("the scripts directory is left")
	}
}

func TestOwnerIsNoted(t *testing.T) {
	o := configure(t, order(t, self(t), 1))
	me, _ := proctree.Find(os.Getpid())
	p := opened(t, filepath.Dir(o.Brief.Dirs.Builds.String()))
	defer p.close()
	c, err := p.claim(0)
	must(t, err)
	if c.Owner != me || c.Place != thisPlace() || c.Job != 1 || c.Runner != "t0ken" {
		t.Errorf("%+v", c)
	}
}
