package workspace

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

func withStatic(o Options, days int) Options {
	o.Request.Settings.StaticBuildsDir, o.Request.Settings.StaticBuildsDays = true, days
	return o
}

func TestStaticDirectories(t *testing.T) {
	a := testAccount(t)
	first := configure(t, withStatic(options(t, a, 1), 3))
	second := configure(t, withStatic(options(t, a, 2), 3))
	base := a.Home.String() + "/.jacamar-ci/builds/static/t0ken/"
	if first.Request.Dirs.Builds.String() != base+"1" || second.Request.Dirs.Builds.String() != base+"2" {
		t.Errorf("%v and %v", first.Request.Dirs.Builds, second.Request.Dirs.Builds)
	}
	for _, o := range []Options{first, second} {
		prepare(t, o)
		writeJobFiles(t, o)
	}
	cleanup(t, first)
	if got, want := list(t, base+"1/group"), "project"; got != want || exists(first.Request.Dirs.Scripts.String()) {
		t.Errorf("left is %s", got)
	}
	if !exists(second.Request.Job.Temp.String() + "/SECRET") {
		t.Error("the running job lost its secrets")
	}
}

// TestStaticDirectoriesExpire by the end of each job, or its latest possible end.
func TestStaticDirectoriesExpire(t *testing.T) {
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		days int
		end  time.Duration // time of the end file, before now; 0 is no file
		dir  time.Duration
		gone bool
		text time.Duration // in the end file, before now; 0 is none
	}{
		"fresh":                      {3, time.Hour, time.Hour, false, 0},
		"two days of three":          {3, 2 * day, 9 * day, false, 0},
		"four days of three":         {3, 4 * day, time.Minute, true, 0},
		"still running":              {3, -2 * day, 9 * day, false, 0},
		"kept by touch":              {3, time.Second, 99 * day, false, 0},
		"none are kept":              {0, time.Second, time.Second, true, 0},
		"none are kept, but running": {0, -time.Hour, day, false, 0},
		"no end file, fresh":         {3, 0, day, false, 0},
		"no end file, old":           {3, 0, 4 * day, true, 0},
		"running, by the text":       {0, day, day, false, -time.Hour},
		"four days, by the text":     {3, 9 * day, 9 * day, true, 4 * day},
		"two days, by the text":      {3, 9 * day, 9 * day, false, 2 * day},
		"touched after the text":     {3, day, 9 * day, false, 8 * day},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			o := configure(t, withStatic(options(t, a, 9), tt.days))
			old := filepath.Join(filepath.Dir(o.Request.Dirs.Builds.String()), "1")
			writeFile(t, old+"/group/project/README", "x")
			if tt.end != 0 {
				at, text := time.Now().Add(-tt.end), ""
				if tt.text != 0 {
					text = time.Now().Add(-tt.text).UTC().Format(time.RFC3339)
				}
				writeFile(t, old+endsSuffix, text)
				testutil.Must(t, os.Chtimes(old+endsSuffix, at, at))
			}
			at := time.Now().Add(-tt.dir)
			testutil.Must(t, os.Chtimes(old, at, at))
			cleanup(t, o)
			if gone := !exists(old); gone != tt.gone || (gone && exists(old+endsSuffix)) {
				t.Errorf("gone: %v, end file gone: %v", gone, !exists(old+endsSuffix))
			}
		})
	}
}

// TestOtherRunnersStaticDirectoriesExpire, and other files stay.
func TestOtherRunnersStaticDirectoriesExpire(t *testing.T) {
	a := testAccount(t)
	o := configure(t, withStatic(options(t, a, 9), 3))
	all := filepath.Dir(filepath.Dir(o.Request.Dirs.Builds.String()))
	at := time.Now().Add(-100 * 24 * time.Hour)
	for _, name := range []string{"former/1", "former/notes", "t0ken/x.ends", "t0ken/007"} {
		writeFile(t, filepath.Join(all, name, "f"), "x")
		testutil.Must(t, os.Chtimes(filepath.Join(all, name), at, at))
	}
	cleanup(t, o)
	for name, want := range map[string]bool{"former/1": false, "former/notes": true, "t0ken/x.ends": true, "t0ken/007": true, "t0ken/9": true} {
		if got := exists(filepath.Join(all, name)); got != want {
			t.Errorf("%s is there: %v", name, got)
		}
	}
}

func TestDeadStaticJob(t *testing.T) {
	a := testAccount(t)
	o := withStatic(options(t, a, 1), 3)
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	prepareDead(t, o)
	writeJobFiles(t, o)
	next := configure(t, withStatic(options(t, a, 2), 3))
	cleanup(t, next)
	if exists(o.Request.Dirs.Scripts.String()) || exists(o.Request.Job.Temp.String()) || !exists(o.Request.Dirs.Builds.String()) {
		t.Errorf("left is %s", files(t, o.Request.Dirs.Base.String()))
	}
	if ended := time.Since(modified(t, o.Request.Dirs.Builds.String()+endsSuffix)); ended > time.Minute || ended < -time.Second {
		t.Errorf("the recorded end was %v ago", ended)
	}
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()
	info, err := os.Stat(path)
	testutil.Must(t, err)
	return info.ModTime()
}

// TestSameJobOnTwoInstances: two GitLab servers count their jobs from one.
func TestSameJobOnTwoInstances(t *testing.T) {
	a := testAccount(t)
	one := withStatic(options(t, a, 1), 3)
	two := withStatic(options(t, a, 1), 3)
	two.Request.Job.Runner = "another"
	if one, two = configure(t, one), configure(t, two); one.Request.Dirs.Builds == two.Request.Dirs.Builds {
		t.Errorf("both have %v", one.Request.Dirs.Builds)
	}
}
