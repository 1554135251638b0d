package imagestore

import (
	"os"
	"path/filepath"
	"testing"
	"time"

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
