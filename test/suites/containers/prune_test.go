package containers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// images are the directories of fetched images.
func (r *rig) images(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(r.cacheDir() + "/*-*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(path string) bool { return strings.Contains(filepath.Base(path), ".") })
}

// age makes all images of the account unused for a month.
func (r *rig) age(t *testing.T) {
	t.Helper()
	month := time.Now().Add(-30 * 24 * time.Hour)
	for _, path := range r.images(t) {
		if err := os.Chtimes(path, month, month); err != nil {
			t.Fatal(err)
		}
	}
}

// An image that no job has used for long is removed at the end of a job, one at a time, and
// never while a job uses it; a later job fetches it again.
func TestUnusedImagesAreRemoved(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		play := func(image string) {
			j := r.job(image, "echo ran $((6*7))")
			j.Bare = true
			site.Want(t, r.runner.Run(j), fakerunner.Success, 0, "ran 42")
		}
		j := r.job("fork:1", lines("touch waiting-here; echo ready $((6*7))", "while [ ! -e end ]; do sleep 0.1; done", "head -n 1 /etc/passwd"))
		j.Bare = true
		running := r.begin(t, j, "ready 42")
		play("bb:1")
		r.age(t)
		play("entry:1") // removes bb:1 but not fork:1
		if n := len(r.images(t)); n != 2 {
			t.Errorf("%d images, want 2", n)
		}
		play("entry:1")
		if n := len(r.images(t)); n != 2 {
			t.Errorf("%d images, want 2", n)
		}
		waiting, err := filepath.Glob(r.site.Account.Home + "/.jacamar-ci/builds/*/*/group/project/waiting-here")
		if err != nil || len(waiting) != 1 {
			t.Fatalf("%v, %v", waiting, err)
		}
		if err := os.Rename(waiting[0], filepath.Join(filepath.Dir(waiting[0]), "end")); err != nil {
			t.Fatal(err)
		}
		site.Want(t, running.Wait(), fakerunner.Success, 0, "root:x:0:0")
		play("entry:1")
		if n := len(r.images(t)); n != 1 {
			t.Errorf("%d images, want 1", n)
		}
		play("bb:1")
		r.nothingLeft(t)
	})
}
