package imagestore

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// privateDir is a directory that meets the rules for those of jobs.
func privateDir(t *testing.T) job.AbsPath {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return testutil.AbsPath(t, dir)
}

func uid() job.UID { return job.UID(os.Getuid()) }

func left(t *testing.T, dir job.AbsPath) []string {
	t.Helper()
	all, err := filepath.Glob(dir.String() + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestState(t *testing.T) {
	temp := privateDir(t)
	s, err := NewState(temp, uid())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Link("image", testutil.AbsPath(t, "/x")); err != nil {
		t.Fatal(err)
	}
	closed := s.Path().String() + "/closed/work"
	if err := os.MkdirAll(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{closed, filepath.Dir(closed)} { // as overlayfs leaves them
		if err := os.Chmod(dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(temp, uid(), time.Now().Add(time.Second)); err != nil || len(left(t, temp)) != 1 {
		t.Errorf("a sweep of a living owner: %v, %v", err, left(t, temp))
	}
	if err := s.Remove(); err != nil || len(left(t, temp)) != 0 {
		t.Errorf("%v, %v", err, left(t, temp))
	}
}

// What a killed process leaves behind has no lock.
func TestSweep(t *testing.T) {
	temp := privateDir(t)
	for range 3 {
		s, err := NewState(temp, uid())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s.Path().String()+"/file", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		s.lock.Close()
		s.dir.Close()
	}
	for _, other := range []string{"jc.link", "other"} {
		if err := os.Symlink("/", filepath.Join(temp.String(), other)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(temp.String()+"/jc.file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(temp, uid()+1, time.Now().Add(time.Second)); err != nil || len(left(t, temp)) != 6 {
		t.Errorf("a sweep for another account: %v, %v", err, left(t, temp))
	}
	if err := Sweep(temp, uid(), time.Now().Add(time.Second)); err != nil || len(left(t, temp)) != 3 {
		t.Errorf("%v, %v", err, left(t, temp))
	}
	if err := Sweep(testutil.AbsPath(t, "/no/such/directory"), uid(), time.Now()); err != nil {
		t.Error(err)
	}
}

// TestNewStateDuringSweeps: sweeps of other jobs remove a new directory at any moment until
// it is locked.
func TestNewStateDuringSweeps(t *testing.T) {
	temp := privateDir(t)
	done := make(chan struct{})
	var sweeps sync.WaitGroup
	for range 2 {
		sweeps.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if err := Sweep(temp, uid(), time.Now().Add(time.Minute)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 300 {
		s, err := NewState(temp, uid())
		if err != nil {
			t.Error(err)
			break
		}
		testutil.Must(t, s.Write("file", []byte("text")), s.Remove())
	}
	close(done)
	sweeps.Wait()
	if all := left(t, temp); len(all) != 0 {
		t.Errorf("left: %v", all)
	}
}

// TestNewStateNowhere: a missing parent directory is no work of sweeps.
func TestNewStateNowhere(t *testing.T) {
	temp := testutil.AbsPath(t, "/no/such/directory")
	if _, err := NewState(temp, uid()); !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v", err)
	}
}

// TestSweepKeeps what has another name, what is no directory, and everything after its time.
func TestSweepKeeps(t *testing.T) {
	temp := privateDir(t)
	for _, name := range []string{"jc.old", "other"} {
		testutil.Must(t, os.Mkdir(filepath.Join(temp.String(), name), 0o700))
	}
	if err := Sweep(temp, uid(), time.Now().Add(-time.Second)); err != nil || len(left(t, temp)) != 2 {
		t.Errorf("after its time: %v, %v", err, left(t, temp))
	}
	if err := Sweep(temp, uid(), time.Now().Add(time.Minute)); err != nil || len(left(t, temp)) != 1 {
		t.Errorf("%v, %v", err, left(t, temp))
	}
	for name, age := range map[string]time.Duration{".jc.new": 0, ".jc.stale": 2 * time.Minute, ".other": time.Hour} {
		path := filepath.Join(temp.String(), name)
		testutil.Must(t, os.Mkdir(path, 0o700), os.Chtimes(path, time.Now(), time.Now().Add(-age)))
	}
	if err := Sweep(temp, uid(), time.Now().Add(time.Minute)); err != nil || slices.Contains(left(t, temp), temp.String()+"/.jc.stale") || len(left(t, temp)) != 3 {
		t.Errorf("what a shell makes: %v, %v", err, left(t, temp))
	}
}

// TestSweepReportsTheFirstError, and continues with the rest.
func TestSweepReportsTheFirstError(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a file immutable")
	}
	temp := privateDir(t)
	for _, name := range []string{"jc.a", "jc.b", "jc.c"} {
		testutil.Must(t, os.Mkdir(filepath.Join(temp.String(), name), 0o700), os.WriteFile(filepath.Join(temp.String(), name, "file"), nil, 0o600))
	}
	for _, name := range []string{"jc.a", "jc.b"} {
		fixed := filepath.Join(temp.String(), name, "file")
		if err := setFlags(fixed, 0x10); err != nil { // FS_IMMUTABLE_FL of linux/fs.h
			t.Skipf("this file system has no immutable files: %v", err)
		}
		t.Cleanup(func() { testutil.Must(t, setFlags(fixed, 0)) })
	}
	err := Sweep(temp, uid(), time.Now().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "jc.a/file: operation not permitted") || len(left(t, temp)) != 2 {
		t.Errorf("%v, %v", err, left(t, temp))
	}
}

// setFlags sets the flags of chattr(1).
func setFlags(path string, flags int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, flags)
}

// TestRemoveTwice: a directory that is gone already is no error.
func TestRemoveTwice(t *testing.T) {
	temp := privateDir(t)
	s, err := NewState(temp, uid())
	testutil.Must(t, err)
	testutil.Must(t, os.RemoveAll(s.Path().String()))
	if err := s.Remove(); err != nil {
		t.Error(err)
	}
}
