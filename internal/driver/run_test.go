package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/monitor"
	"jacamar-ci/test/harness/testutil"
)

func newFile(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), name))
	testutil.Must(t, err)
	t.Cleanup(func() { file.Close() })
	return file
}

// TestRunFailedStart: the error of a start is that of the stage, with an explanation where
// no process could be made.
func TestRunFailedStart(t *testing.T) {
	refused := errors.New("refused")
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"refused": {refused, "refused"},
		"crowded": {fmt.Errorf("fork: %w", unix.EAGAIN), "no more processes or threads can be started as your account"},
	} {
		s := Session{Call: Call{Stage: job.Prepare}, Stdout: newFile(t, "stdout"), Stderr: newFile(t, "stderr")}
		_, err := s.Run(Order{Start: func(_, _ *os.File) (*monitor.Child, inherit.Start, error) { return nil, inherit.Start{}, tt.err }})
		if !errors.Is(err, tt.err) || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCrowded(t *testing.T) {
	for name, tt := range map[string]struct {
		tasks int
		limit uint64
		want  string
	}{
		"at the limit":       {5, 5, "it has 5, and its limit is 5"},
		"over it":            {6, 5, "it has 6, and its limit is 5"},
		"below it":           {4, 5, "it has 4, and the machine or the runner's service allows no more"},
		"none, and no limit": {0, 0, "can be started as your account"},
	} {
		line, _ := failure.ForUser(crowded(tt.tasks, tt.limit, unix.EAGAIN), false, "")
		if !strings.HasSuffix(strings.TrimSuffix(line, " (RLIMIT_NPROC, ulimit -u)"), tt.want) {
			t.Errorf("%s: %q", name, line)
		}
	}
}

// TestJobOutput: nothing but its answer is on the config stage's standard output.
func TestJobOutput(t *testing.T) {
	s := Session{Stdout: newFile(t, "stdout"), Stderr: newFile(t, "stderr")}
	for stage, want := range map[job.Stage]*os.File{job.Config: s.Stderr, job.Prepare: s.Stdout, job.Run: s.Stdout, job.Cleanup: s.Stdout} {
		s.Call.Stage = stage
		if got := s.jobOutput(); got != want {
			t.Errorf("%s: %s", stage, got.Name())
		}
	}
}
