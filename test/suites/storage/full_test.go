package storage

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestFullStorage (C8) fills a data_dir of 1 MiB right before a stage, each in turn:
// the log names the full storage with its figures, and the cleanup succeeds.
func TestFullStorage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	s := site.New(t)
	base := dataDir(t, s)
	dir := filepath.Dir(base)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=1777"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { testutil.Must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	repo, err := s.GitLab.AddRepository("group/project", repository(t, map[string]string{"README": strings.Repeat("read me\n", 10000)}))
	testutil.Must(t, err)
	lines := []string{"o space left on device", "the file system " + dir + " is full: 1.0 of 1 MiB"}
	for _, tc := range []struct {
		stage   string
		outcome fakerunner.Outcome
		code    int
		shows   []string
	}{
		{"config", fakerunner.SystemFailure, 0, lines},
		{"prepare", fakerunner.SystemFailure, 0, lines},
		{"get_sources", fakerunner.ScriptFailure, 1, lines},
		{"restore_cache", fakerunner.ScriptFailure, 1, lines},
		{"build_script", fakerunner.ScriptFailure, 1, lines},
		// A failure of the user's own words behind the script is not the job's, but one
		// of the runner's script, which writes a file for its helper, is.
		{"after_script", fakerunner.ScriptFailure, 1, lines},
		{"archive_cache", fakerunner.ScriptFailure, 1, lines},
		{"cleanup_file_variables", fakerunner.Success, 0, nil},
		{"cleanup", fakerunner.Success, 0, nil},
	} {
		t.Run(tc.stage, func(t *testing.T) {
			job := site.WithSources(s.Job("head -c 5000 /dev/zero >made"), repo)
			job = site.WithVariable(job, "PATH", s.Helper+":/usr/local/bin:/usr/bin:/bin")
			job.Variables = append(job.Variables, fakerunner.Variable{Key: "SECRET", Value: strings.Repeat("x", 5000), File: true})
			job.AfterScript = []string{"head -c 5000 /dev/zero >more"}
			job.Cache = []fakerunner.Cache{{Key: "k", Paths: []string{"made"}}}
			job = s.WithClaims(job, s.GitLab.Claims(job, s.User))
			ballast := filepath.Join(dir, "ballast")
			r := s.Runner()
			before(r, tc.stage, func() { testutil.Must(t, fill(ballast)) })
			res := r.Run(job)
			site.Want(t, res, tc.outcome, tc.code)
			site.Shows(t, res, tc.shows...)
			call, _ := res.Call("cleanup")
			if call.Status != 0 || len(call.Stdout)+len(call.Stderr) > 0 {
				t.Errorf("cleanup ended with status %d and printed %q%q", call.Status, call.Stdout, call.Stderr)
			}
			for _, path := range below(t, dir) {
				if strings.Contains(path, "/scripts/t0kenXyz1/") || filepath.Base(path) == "SECRET" {
					t.Errorf("%s is left", path)
				}
			}
			testutil.Must(t, os.Remove(ballast), os.RemoveAll(base))
		})
	}
}

// before calls f right before the driver is called for a stage.
func before(r *fakerunner.Runner, stage string, work func()) {
	way := []string{
		"config", "prepare", "prepare_script", "get_sources", "restore_cache", "build_script", "after_script", "archive_cache",
		"cleanup_file_variables", "cleanup",
	}
	if stage == way[0] {
		r.Hooks.TempDir = func(string) { work() }
		return
	}
	r.Hooks.Ended = func(c fakerunner.Call) {
		for i, s := range way[1:] {
			if s == stage && c.Stage == way[i] {
				work()
			}
		}
	}
}

// fill uses all free space of a file system.
func fill(ballast string) error {
	file, err := os.OpenFile(ballast, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil && !errors.Is(err, unix.ENOSPC) {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, zeros{}); !errors.Is(err, unix.ENOSPC) {
		return err
	}
	return nil
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
