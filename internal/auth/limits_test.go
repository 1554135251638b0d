package auth

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// TestWithinLimits: K24, only what a caller without the privileges of this process can cause
// ends a stage.
func TestWithinLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		of      service
		stage   job.Stage
		errno   error
		refuses bool
	}{
		"files":           {service{uid: 1, powers: true}, job.Run, unix.EMFILE, true},
		"size of files":   {service{uid: 1, powers: true}, job.Prepare, unix.EFBIG, true},
		"config":          {service{uid: 1, powers: true}, job.Config, unix.EFBIG, true},
		"cleanup":         {service{uid: 1, powers: true}, job.Cleanup, unix.EFBIG, false},
		"a full disk":     {service{uid: 1, powers: true}, job.Run, unix.ENOSPC, false},
		"root":            {service{uid: 0, powers: true}, job.Run, unix.EFBIG, false},
		"no capabilities": {service{uid: 1}, job.Run, unix.EFBIG, false},
	} {
		for how, note := range map[string]func(*authDriver, error){"log": (*authDriver).lost, "journal": (*authDriver).warnJournal} {
			d := &authDriver{service: tc.of}
			d.Call.Stage, d.Stderr = tc.stage, os.Stderr
			note(d, &os.PathError{Op: "write", Path: "/x", Err: tc.errno})
			d.warn(unix.ENOSPC)
			if err := d.withinLimits(); (err != nil) != tc.refuses {
				t.Errorf("%s, %s: %v", name, how, err)
			}
		}
	}
}

// TestLimitOnTheStateDirectory: K24, its errors, in words about the directory, are still those
// of the limit.
func TestLimitOnTheStateDirectory(t *testing.T) {
	dir, err := statedir.New(testutil.AbsPath(t, testutil.HomeDir(t)), nil)
	testutil.Must(t, err)
	var was unix.Rlimit
	testutil.Must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &was))
	testutil.Must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: was.Max}))
	failed := dir.Inside("journal", func(job.AbsPath) error { return nil })
	testutil.Must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &was))
	d := &authDriver{service: service{uid: 1, powers: true}}
	d.warnJournal(failed)
	if err := d.withinLimits(); err == nil {
		t.Errorf("%v does not count", failed)
	}
}
