package jobrun

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// submitting is a request whose scripts are for a batch system, with the text of its sbatch.
func submitting(t *testing.T, r ipc.Request, sbatch string) ipc.Request {
	t.Helper()
	bin := t.TempDir()
	for name, text := range map[string]string{"sbatch": sbatch, "scancel": "", "squeue": "", "scontrol": ""} {
		testutil.Must(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	r.Settings.Executor = "slurm"
	r.Settings.Batch = &ipc.Batch{Batch: settings.Batch{SchedulerBin: testutil.AbsPath(t, bin), CommandDelay: time.Second, NFSTimeout: time.Second, CancelGrace: time.Second}}
	return r
}

const noteSubmission = "echo called >>~/called; grep NoNewPrivs /proc/self/status >>~/called; exit 1"

// called is what noteSubmission has written.
func called(t *testing.T, r ipc.Request) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Account.Home.String(), "called"))
	if !os.IsNotExist(err) {
		testutil.Must(t, err)
	}
	return string(text)
}

// TestSubmits: a script of the job's author is submitted, which is not confined, and runs
// nowhere else; one of the runner's own runs here, confined.
func TestSubmits(t *testing.T) {
	r := configured(t, newRequest(t))
	r.Settings.Confinement.NoNewPrivs = true
	r = submitting(t, r, noteSubmission)
	e := serve(t, ofStage(r, job.Run, job.BuildScript), "touch ~/ran")
	if _, err := os.Stat(filepath.Join(r.Account.Home.String(), "ran")); err == nil || e.result.Kind == "" || strings.Contains(e.log, "the script ended") {
		t.Errorf("%+v\n%s", e.result, e.log)
	}
	if got := called(t, r); got != "called\nNoNewPrivs:\t0\n" {
		t.Errorf("%q\n%s", got, e.log)
	}
	if e := succeeds(t, ofStage(r, job.Run, "upload_artifacts_on_success"), "grep NoNewPrivs /proc/self/status"); !strings.Contains(e.log, "NoNewPrivs:\t1\n") {
		t.Error(e.log)
	}
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
	testutil.Must(t, os.RemoveAll(r.Settings.Batch.SchedulerBin.String()))
	if e := serve(t, ofStage(r, job.Config, ""), ""); e.result.Kind != "system" || !strings.Contains(e.result.Reason, "cannot use the executor \"slurm\": ") {
		t.Errorf("%+v", e.result)
	}
	r.Dirs = ipc.Dirs{} // of a config stage that failed
	succeeds(t, ofStage(r, job.Cleanup, ""), "")
}

// TestCancels: cleanup cancels the batch job of a jacamar that was killed.
func TestCancels(t *testing.T) {
	r := configured(t, newRequest(t))
	queried := filepath.Join(r.Account.Home.String(), "queried")
	testutil.Must(t, syscall.Mkfifo(queried, 0o600))
	r = submitting(t, r, "echo 42")
	bin := r.Settings.Batch.SchedulerBin.String()
	testutil.Must(t, os.WriteFile(filepath.Join(bin, "squeue"), []byte("#!/bin/sh\n[ -e ~/cancelled ] && exit\necho >~/queried; echo 42 PENDING\n"), 0o755),
		os.WriteFile(filepath.Join(bin, "scancel"), []byte("#!/bin/sh\necho \"$@\" >>~/cancelled\n"), 0o755))
	c := begin(t, ofStage(r, job.Run, job.BuildScript), "true")
	_, err := os.ReadFile(queried)
	testutil.Must(t, err, syscall.Kill(c.pid, syscall.SIGKILL))
	c.end()
	testutil.Must(t, os.Remove(queried))
	e := serve(t, ofStage(r, job.Cleanup, ""), "")
	if text, err := os.ReadFile(filepath.Join(r.Account.Home.String(), "cancelled")); err != nil || e.result.Failed() {
		t.Errorf("%v, %q, %+v\n%s", err, text, e.result, e.log)
	}
}

// TestSubmittedContainer: a script for a container on a node is not submitted without what
// prepare has settled, or without the engine.
func TestSubmittedContainer(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil     func(ipc.Request) error
		submitted bool
	}{
		"as it should be": {func(ipc.Request) error { return nil }, true},
		"nothing is settled": {func(r ipc.Request) error {
			return os.Remove(filepath.Join(r.Dirs.Scripts.String(), container.SettledFile))
		}, false},
		"no engine": {func(r ipc.Request) error { return os.Remove(r.Settings.Container.Engine.ApplicationPath.String()) }, false},
	} {
		r, _ := prepared(t)
		testutil.Must(t, tt.spoil(r))
		r = submitting(t, r, noteSubmission)
		e := serve(t, ofStage(r, job.Run, job.BuildScript), "true")
		if e.result.Kind == "" || strings.HasPrefix(called(t, r), "called") != tt.submitted {
			t.Errorf("%s: %+v\n%s", name, e.result, e.log)
		}
	}
}
