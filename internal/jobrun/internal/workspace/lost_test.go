package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

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
