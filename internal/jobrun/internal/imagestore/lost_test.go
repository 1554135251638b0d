package imagestore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/test/harness/testutil"
)

// TestPruneLost: what killed fetches have left of names that no job fetches again goes, and
// the locks of names of which there is no image; what a fetch has stays.
func TestPruneLost(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	entries := cached(t, s, "kept")
	kept := entries[0].key()
	dir := s.Dir.Path().String()
	for _, name := range []string{"dead.r-9.new/layer", "busy.r-8.new/layer"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dead.lock", "busy.lock", "past.lock", "held.lock", "dead.json.new", kept + ".json.new"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"busy.lock", "held.lock"} {
		lock := reopened(t, s).tryLock(name)
		defer lock.Close()
	}
	for range 3 { // one large removal each
		prune(t, s, Limits{})
	}
	names, err := s.Dir.Names()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	want := []string{entries[0].Name, kept + ".json", kept + ".lock", "busy.lock", "busy.r-8.new", "held.lock", "prune.lock"}
	slices.Sort(want)
	if got := strings.Join(names, " "); got != strings.Join(want, " ") {
		t.Errorf("there are %s, want %s", got, strings.Join(want, " "))
	}
}

// TestPruneBehindUnremovable: an image that no job uses goes although something else that is to
// go cannot be removed.
func TestPruneBehindUnremovable(t *testing.T) {
	for _, name := range []string{"k.r-9" + newSuffix, "k-digest" + goneSuffix} {
		s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
		old := cached(t, s, "old")[0]
		stays := filepath.Join(s.Dir.Path().String(), name, "file")
		testutil.Must(t, os.Mkdir(filepath.Dir(stays), 0o700), os.WriteFile(stays, nil, 0o600))
		if err := setFlags(stays, 0x10); err != nil { // FS_IMMUTABLE_FL of linux/fs.h
			t.Skipf("this file system has no immutable files: %v", err)
		}
		t.Cleanup(func() { testutil.Must(t, setFlags(stays, 0)) })
		if err := s.Prune(Limits{Unused: time.Hour}, time.Now().Add(time.Minute)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if s.has(old) {
			t.Errorf("with %s, an old image stays", name)
		}
	}
}

// TestLockRemoved: a job that waits for a lock which is removed meanwhile takes the new one,
// and tryLock takes none that other jobs cannot find.
func TestLockRemoved(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	name := key(container.Store, busybox(t).Reference, "") + lockSuffix
	path := filepath.Join(s.Dir.Path().String(), name)
	other := reopened(t, s).tryLock(name)
	s.Log = joblog.NewWriter(onWrite(func(line string) {
		if strings.Contains(line, "waiting: ") {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			other.Close()
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lock, err := s.lock(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	held, err := lock.Stat()
	if named, nerr := os.Stat(path); err != nil || nerr != nil || !os.SameFile(held, named) {
		t.Errorf("the job has a lock that others do not find: %v, %v", err, nerr)
	}
	if again := reopened(t, s).tryLock(name); again != nil {
		t.Error("two jobs have the lock")
	}
}
