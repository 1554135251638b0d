package auth

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/test/harness/testutil"
)

// beginning is a config stage that writes the journal in a state directory.
func beginning(t *testing.T, dir statedir.Dir, id job.ID) *authDriver {
	d := &authDriver{kept: &keptDir{dir: dir}}
	d.Site.Auth.Journal.Enabled = true
	d.Started, d.Call.Stage, d.Facts.ID, d.id.JobID, d.id.Project.ID = time.Now(), job.Config, id, id, 3
	d.state.Facts.Account = job.Account{Name: testutil.Username(t, "alice"), UID: 1000}
	return d
}

// TestDrainDuringConfigs: where no job is live after a drain was set, as `drain --wait` finds,
// none begins until it is removed.
func TestDrainDuringConfigs(t *testing.T) {
	path := testutil.AbsPath(t, filepath.Join(testutil.HomeDir(t), "state"))
	testutil.Must(t, os.Mkdir(path.String(), 0o700))
	dir, err := statedir.New(path, nil)
	testutil.Must(t, err)
	host, err := os.Hostname()
	testutil.Must(t, err)
	var idle, done atomic.Bool // no job is live, and none may begin
	var jobs sync.WaitGroup
	for n := range 2 {
		jobs.Go(func() {
			for id := job.ID(n + 1); !done.Load(); id += 2 {
				d := beginning(t, dir, id)
				err := d.enter(context.Background(), policy.Decision{})
				if err == nil && idle.Load() {
					t.Error("a job began while the host was idle and drained")
				}
				d.leave(context.Background(), context.Canceled)
			}
		})
	}
	found := 0
	testutil.Must(t, dir.Inside(journalName, func(at job.AbsPath) error {
		for until := time.Now().Add(20 * time.Second); found < 30 && time.Now().Before(until); {
			testutil.Must(t, journal.SetMark(at, journal.Drain, journal.Mark{Message: "disks"}))
			lives, err := journal.LiveJobs(at, host)
			if idle.Store(err == nil && len(lives) == 0); idle.Load() {
				found++
				testutil.Must(t, journal.SetMark(at, journal.Drain, journal.Mark{Message: "still"})) // takes a while
			}
			idle.Store(false)
			testutil.Must(t, journal.RemoveMark(at, journal.Drain))
		}
		return nil
	}))
	done.Store(true)
	jobs.Wait()
	if found == 0 {
		t.Error("the host was never idle")
	}
}
