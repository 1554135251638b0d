package storage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestLeftBehind (C9): a job leaves a file that even root cannot remove. The cleanup
// succeeds; the next job's user and the operator read what remains.
func TestLeftBehind(t *testing.T) {
	for _, name := range []string{"root", "capabilities", "sudo"} {
		for _, d := range site.Deployments() {
			if d.Name == name {
				t.Run(name, func(t *testing.T) { leftBehind(t, d.Open(t)) })
			}
		}
	}
}

func leftBehind(t *testing.T, s *site.Site) {
	log := filepath.Join(s.StateDir, "operator.log")
	base := dataDir(t, s, func(c site.Config) {
		c.Set("general", "static_builds_dir", true)
		c.Set("general", "static_builds_days", 0)
		c.Set("auth", "logging", site.Table{"enabled": true, "location": log})
	})
	r := s.Runner()
	r.Judge = nil // a file is left here
	silent := func(job fakerunner.Result) {
		t.Helper()
		if c, ok := job.Call("cleanup"); !ok || c.Status != 0 || len(c.Stdout)+len(c.Stderr) > 0 {
			t.Errorf("cleanup ended with status %d and wrote %q%q", c.Status, c.Stdout, c.Stderr)
		}
	}
	var file string
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == "build_script" && file == "" {
			found, _ := filepath.Glob(base + "/builds/static/*/*/keep")
			if len(found) == 1 && exec.Command("/usr/bin/chattr", "+i", found[0]).Run() == nil {
				file = found[0]
			}
		}
	}
	first := r.Run(s.Job(`touch "$CI_BUILDS_DIR/keep"`))
	site.Want(t, first, fakerunner.Success, 0)
	if file == "" {
		t.Skip("this file system has no immutable files")
	}
	silent(first)
	kept, err := filepath.Glob(base + "/builds/.trash/*/keep")
	if err != nil || len(kept) != 1 {
		t.Fatalf("in the trash are %v, %v", kept, err)
	}
	free := func() { testutil.Must(t, exec.Command("/usr/bin/chattr", "-i", kept[0]).Run()) }
	t.Cleanup(func() {
		if _, err := os.Lstat(kept[0]); err == nil {
			free()
		}
	})
	reason := "cannot remove " + filepath.Dir(kept[0]) + ": operation not permitted"
	next := r.Run(s.Job("true"))
	site.Want(t, next, fakerunner.Success, 0)
	silent(next)
	if c, _ := next.Call("prepare"); !strings.Contains(string(c.Stdout), "WARNING: left behind by an earlier job of yours: "+reason) {
		t.Errorf("prepare wrote %q", c.Stdout)
	}
	text, err := os.ReadFile(log)
	testutil.Must(t, err)
	warnings := 0
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"event":"warning"`) && strings.Contains(line, `"stage":"cleanup"`) && strings.Contains(line, reason) {
			warnings++
		}
	}
	if warnings != 2 {
		t.Errorf("%d cleanups are recorded with it:\n%s", warnings, text)
	}
	free()
	site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
	last := s.Runner().Run(s.Job("true"))
	site.Want(t, last, fakerunner.Success, 0)
	if c, _ := last.Call("prepare"); strings.Contains(string(c.Stdout), "left behind") {
		t.Errorf("prepare wrote %q", c.Stdout)
	}
}
