package jobrun

import (
	"os"
	"slices"
	"testing"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// TestStorageOf: the base directory is looked at where the build directory is elsewhere.
func TestStorageOf(t *testing.T) {
	base := testutil.AbsPath(t, "/home/alice/.jacamar-ci")
	for builds, want := range map[string][]string{
		"/home/alice/.jacamar-ci/builds": {"/home/alice/.jacamar-ci/builds"},
		"/home/alice/.jacamar-ci-2":      {"/home/alice/.jacamar-ci-2", "/home/alice/.jacamar-ci"},
	} {
		if got := storageOf(ipc.Dirs{Base: base, Builds: testutil.AbsPath(t, builds)}); !slices.Equal(got, want) {
			t.Errorf("%s: %q", builds, got)
		}
	}
	full := func(dir string) string { return map[string]string{"b": "b is full", "c": "c is full"}[dir] }
	if got := firstLine([]string{"a", "b", "c"}, full) + firstLine([]string{"a"}, full); got != "b is full" {
		t.Error(got)
	}
}

type closer struct{ closed bool }

func (c *closer) Close() error { c.closed = true; return nil }

// TestEnteredClose: the lock of a build directory is given up where there is one.
func TestEnteredClose(t *testing.T) {
	lock := &closer{}
	entered{lock: lock}.close()
	entered{}.close()
	if !lock.closed {
		t.Error("the lock is kept")
	}
}

// TestBaseDir: a message names the directory that config has found, or else the site's text.
func TestBaseDir(t *testing.T) {
	r := ipc.Request{Settings: ipc.Settings{DataDir: "$HOME"}}
	if got := (stage{request: r}).baseDir(); got != "$HOME" {
		t.Error(got)
	}
	r.Dirs.Base = testutil.AbsPath(t, "/home/alice/.jacamar-ci")
	if got := (stage{request: r}).baseDir(); got != "/home/alice/.jacamar-ci" {
		t.Error(got)
	}
}

// TestLostDirectory: a script that fails where the build directory is gone has not failed itself.
func TestLostDirectory(t *testing.T) {
	r := configured(t, newRequest(t))
	for _, script := range []string{"exit 3", "true"} {
		testutil.Must(t, os.RemoveAll(r.Dirs.Builds.String()))
		e := serve(t, ofStage(r, job.Run, job.BuildScript), script)
		if failed := script != "true"; e.result.Failed() != failed || failed && (e.result.Code != 0 || e.result.Kind != "system") {
			t.Errorf("%s: %+v", script, e.result)
		}
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}
