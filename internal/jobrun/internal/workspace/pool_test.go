package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/test/harness/testutil"
)

// openPool opens a pool, in a new directory if there is none.
func openPool(t testing.TB, dir string) *pool {
	t.Helper()
	f, err := safedir.OpenBase(testutil.AbsPath(t, dir), safedir.Rules{Owner: job.UID(os.Geteuid())})
	testutil.Must(t, err)
	p, err := lockPool(f, nil)
	testutil.Must(t, err)
	return p
}

func TestReservationsAreStored(t *testing.T) {
	dir := filepath.Join(testAccount(t).Home.String(), "pool")
	p := openPool(t, dir)
	if all, err := p.reservations(); len(all) != 0 || err != nil {
		t.Errorf("a new one has %v, %v", all, err)
	}
	const count = 20 // more than are read at once
	for n := range count {
		testutil.Must(t, p.write(n, sample(job.ID(n+1)), ""))
	}
	testutil.Must(t, p.write(3, reservation{}, ""), p.close())
	p = openPool(t, dir)
	defer p.close()
	all, err := p.reservations()
	testutil.Must(t, err)
	if len(all) != count || !all[3].free() || all[count-1].Job != count {
		t.Errorf("%d reservations: %+v", len(all), all)
	}
	if c, err := p.reservation(5); c.Job != 6 || err != nil {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestLockExcludesOthers takes the lock again, by another open file.
func TestLockExcludesOthers(t *testing.T) {
	dir := filepath.Join(testAccount(t).Home.String(), "pool")
	p := openPool(t, dir)
	file, err := os.OpenFile(filepath.Join(dir, reservationsFile), os.O_RDWR, 0)
	testutil.Must(t, err)
	defer file.Close()
	err = acquireLock(file, time.Now().Add(-time.Second))
	if err == nil || !strings.Contains(err.Error(), "another job of yours has held the lock") {
		t.Errorf("got %v", err)
	}
	testutil.Must(t, p.close())
	testutil.Must(t, acquireLock(file, time.Now().Add(-time.Second)))
}

// TestRemovedReservationsFile: a user removes the directories with rm while a job waits
// for the lock.
func TestRemovedReservationsFile(t *testing.T) {
	dir := filepath.Join(testAccount(t).Home.String(), "pool")
	p := openPool(t, dir)
	testutil.Must(t, p.write(0, sample(1), ""), os.Remove(filepath.Join(dir, reservationsFile)))
	next := make(chan *pool)
	go func() { next <- openPool(t, dir) }()
	second := <-next // does not wait: it is a new file
	if all, err := second.reservations(); len(all) != 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	testutil.Must(t, second.close(), p.close())
}

func TestReservationsFileIsSparse(t *testing.T) {
	dir := filepath.Join(testAccount(t).Home.String(), "pool")
	p := openPool(t, dir)
	testutil.Must(t, p.write(0, sample(1), ""), p.close())
	var st unix.Stat_t
	testutil.Must(t, unix.Stat(filepath.Join(dir, reservationsFile), &st))
	if used := st.Blocks * 512; used > 16<<10 {
		t.Errorf("it takes %d bytes", used)
	}
}

func TestReservationsFileOfAnotherType(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"link":      func(p string) error { return os.Symlink("/etc/passwd", p) },
		"FIFO":      func(p string) error { return unix.Mkfifo(p, 0o600) },
	} {
		dir := filepath.Join(testAccount(t).Home.String(), "pool")
		testutil.Must(t, os.Mkdir(dir, 0o700), plant(filepath.Join(dir, reservationsFile)))
		f, err := safedir.OpenBase(testutil.AbsPath(t, dir), safedir.Rules{Owner: job.UID(os.Geteuid())})
		testutil.Must(t, err)
		if _, err := lockPool(f, nil); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLockLog(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 41)
	o.Request.Settings.FileLockDebug = true
	o = configure(t, o)
	prepare(t, o)
	cleanup(t, o)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(o.Request.Dirs.Builds.String()), lockLogFile))
	testutil.Must(t, err)
	var actions []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "job 41 of runner t0ken") {
			t.Errorf("the line %q", line)
		}
		actions = append(actions, strings.TrimSpace(line[strings.Index(line, ": ")+2:]))
	}
	if got := strings.Join(actions, ", "); got != "000 reserved, 000 confirmed, 000 cleanup started, 000 released" {
		t.Errorf("it contains %s", got)
	}
}

// TestSlotWithARunningStage: neither the death of a job's runner nor the job's own
// cleanup makes a slot available while a stage runs.
func TestSlotWithARunningStage(t *testing.T) {
	for name, end := range map[string]func(testing.TB, Options){
		"its runner is dead": func(testing.TB, Options) {},
		"it was cleaned up":  cleanup,
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			o := options(t, a, 1)
			o.Request.Job.Owner = dead(t)
			o = configure(t, o)
			stage, err := LockStage(o.Request)
			testutil.Must(t, err)
			again, err := LockStage(o.Request) // another stage of the job
			testutil.Must(t, err, again.Close())
			end(t, o)
			next := configure(t, options(t, a, 2))
			if slot(next) != "001" {
				t.Errorf("the next job has %s", slot(next))
			}
			cleanup(t, next)
			testutil.Must(t, stage.Close())
			if last := configure(t, options(t, a, 3)); slot(last) != "000" {
				t.Errorf("after the end of the stage a job has %s", slot(last))
			}
		})
	}
}

func TestLockStageWithoutDirectories(t *testing.T) {
	if _, err := LockStage(options(t, testAccount(t), 1).Request); !errors.Is(err, unix.ENOENT) {
		t.Errorf("got %v", err)
	}
	o := options(t, testAccount(t), 1)
	o.Request.Settings.StaticBuildsDir = true
	stage, err := LockStage(configure(t, o).Request)
	testutil.Must(t, err, stage.Close())
}

// TestLockStageReadsNoRecord: the path of the build directory has what a stage locks.
func TestLockStageReadsNoRecord(t *testing.T) {
	a := testAccount(t)
	o := options(t, a, 1)
	o.Request.Job.Owner = dead(t)
	o = configure(t, o)
	testutil.Must(t, os.RemoveAll(o.Request.Dirs.Scripts.String()))
	stage, err := LockStage(o.Request)
	testutil.Must(t, err)
	if next := configure(t, options(t, a, 2)); slot(next) != "001" {
		t.Errorf("the next job has %s", slot(next))
	}
	testutil.Must(t, stage.Close())
}
