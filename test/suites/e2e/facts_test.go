package e2e

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestAbortLeavesNoSecret aborts a job, after which the runner removes no file: the driver
// has to remove the file variable and the token for git.
func TestAbortLeavesNoSecret(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		job := s.Job(`cp "$SECRET_FILE" "$SECRET_FILE.more"`, "echo under way.", "sleep 1000")
		job.Variables = append(job.Variables, fakerunner.Variable{Key: "SECRET_FILE", Value: "s3cret-of-the-job", File: true})
		e := s.Runner().Start(job)
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		if err := e.AwaitOutput(ctx, "build_script", "\nunder way."); err != nil {
			t.Error(err)
		}
		e.Abort()
		r := e.Wait()
		for _, c := range r.Calls {
			if c.Stage == "cleanup" && c.Status != 0 {
				t.Errorf("cleanup ended with %d: %s", c.Status, c.Stderr)
			}
		}
		if r.TempProjectDir == "" {
			t.Fatal("the runner named no directory for secrets")
		}
		for _, name := range []string{"SECRET_FILE", "SECRET_FILE.more"} {
			if _, err := os.Lstat(filepath.Join(r.TempProjectDir, name)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s of an aborted job is still there: %v", name, err)
			}
		}
		s.NoProcess(t, 20*time.Second)
	}, quick)
}

// TestProjectsOfOneNameHaveSeparateBuilds runs jobs of two projects that had the
// same path one after the other, as after a rename at GitLab.
func TestProjectsOfOneNameHaveSeparateBuilds(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		builds := map[int64]string{}
		for _, project := range []int64{12, 13} {
			job := s.Job("echo builds in $CI_BUILDS_DIR.")
			job.Project.ID = project
			job = s.WithClaims(job, s.GitLab.Claims(job, s.User))
			r := s.Runner().Run(job)
			site.Want(t, r, fakerunner.Success, 0)
			_, after, _ := strings.Cut(r.Trace, "\nbuilds in ")
			builds[project], _, _ = strings.Cut(after, ".\n")
		}
		if builds[12] == "" || builds[12] == builds[13] {
			t.Errorf("the builds of two projects are in %q and %q", builds[12], builds[13])
		}
	}, quick, func(c site.Config) { c.Set("general", "limit_build_dir", true) })
}

// TestMissingHelperIsReported runs jobs with an artifact where the runner's own
// program is in no directory of the PATH: the job's own, or that of the login.
func TestMissingHelperIsReported(t *testing.T) {
	const warning = "gitlab-runner is not in your PATH on this machine"
	everywhere(t, func(t *testing.T, s *site.Site) {
		job := s.Job("true")
		job.Artifacts = []fakerunner.Artifact{{Name: "a", Paths: []string{"x"}}}
		for path, missing := range map[string]bool{"/nonexistent:/usr/bin:/bin": true, s.Helper + ":/usr/bin:/bin": false} {
			r := s.Runner().Run(site.WithVariable(job, "PATH", path))
			if strings.Contains(r.Trace, warning) != missing {
				t.Errorf("with PATH=%s:\n%s", path, r.Trace)
			}
		}
	}, quick)
}

// TestImageAndServices: what has no effect is reported once, in prepare, and the job
// runs on this machine.
func TestImageAndServices(t *testing.T) {
	warnings := []string{"image: has no effect on this resource", "services: has no effect on this resource"}
	everywhere(t, func(t *testing.T, s *site.Site) {
		plain := s.Job("true")
		named := s.Job("true")
		named.Image, named.Services = "python:3.12", []fakerunner.Service{{Name: "postgres:17"}}
		for _, tt := range []struct {
			job   fakerunner.Job
			times int
		}{{plain, 0}, {named, 1}} {
			r := s.Runner().Run(tt.job)
			site.Want(t, r, fakerunner.Success, 0)
			for _, w := range warnings {
				if got := strings.Count(r.Trace, w); got != tt.times {
					t.Errorf("%q occurs %d times, want %d, in:\n%s", w, got, tt.times, r.Trace)
				}
			}
		}
	})
}

// TestStepRunner runs a job that is written with "run:", as the runner passes it to a
// custom executor: as the script "step-runner ci".
func TestStepRunner(t *testing.T) {
	const warning = "step-runner is not in your PATH on this machine"
	everywhere(t, func(t *testing.T, s *site.Site) {
		bin := filepath.Join(s.Dir, "step-runner")
		if err := os.Mkdir(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bin, "step-runner"), []byte("#!/bin/sh\n[ \"$*\" = ci ] || exit 64\necho \"steps: $STEPS\"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		job := s.Job("step-runner ci")
		job.Run = []byte(`[{"name":"hello","script":"echo hello"}]`)
		job = site.WithVariable(job, "STEPS", string(job.Run))

		r := s.Runner().Run(job)
		site.Want(t, r, fakerunner.ScriptFailure, 127)
		if !strings.Contains(r.Trace, warning) {
			t.Errorf("there is no message about step-runner:\n%s", r.Trace)
		}
		r = s.Runner().Run(site.WithVariable(job, "PATH", bin+":/usr/bin:/bin"))
		site.Want(t, r, fakerunner.Success, 0)
		if strings.Contains(r.Trace, warning) || !strings.Contains(r.Trace, `steps: [{"name":"hello"`) {
			t.Errorf("step-runner was there:\n%s", r.Trace)
		}
	}, quick)
}
