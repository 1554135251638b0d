package imagestore

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/container"
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

// TestLocksEndUnderFetches: a lock is one job's at a time, also while others remove it.
func TestLocksEndUnderFetches(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	name := key(container.Store, busybox(t).Reference, "") + lockSuffix
	var holders atomic.Int32
	var all, sweeps sync.WaitGroup
	done := make(chan struct{})
	sweeps.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = s.removeLocks([]string{name}, time.Now().Add(time.Minute))
			}
		}
	})
	for range 4 {
		all.Go(func() {
			for range 200 {
				lock := s.tryLock(name)
				if lock == nil {
					continue
				}
				if holders.Add(1) != 1 {
					t.Error("two jobs have the lock")
				}
				if !s.isNamed(lock, name) {
					t.Error("the lock of a job was removed")
				}
				holders.Add(-1)
				lock.Close()
			}
		})
	}
	all.Wait()
	close(done)
	sweeps.Wait()
}
