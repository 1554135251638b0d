package auth

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

const thisHost = "login1"

// inStage is a driver in a stage of job 7, with the job's file in a journal of its own.
func inStage(t *testing.T, stage job.Stage) (*authDriver, job.AbsPath) {
	t.Helper()
	path := testutil.AbsPath(t, filepath.Join(testutil.HomeDir(t), "state"))
	testutil.Must(t, os.Mkdir(path.String(), 0o700))
	dir, err := statedir.New(path, nil)
	testutil.Must(t, err)
	d := &authDriver{kept: &keptDir{dir: dir}}
	d.Started, d.Call.Stage, d.Facts.ID, d.id.JobID, d.id.Project.ID = time.Now(), stage, 7, 7, 3
	d.state.Facts.Account = job.Account{Name: testutil.Username(t, "alice"), UID: 1000}
	var at job.AbsPath
	testutil.Must(t, dir.Inside(journalName, func(dir job.AbsPath) error {
		at = dir
		j, err := journal.Open(dir, thisHost)
		if err != nil {
			return err
		}
		d.record.live, err = j.Create(d.key(), journal.At(d.Started, journal.Granted, journal.Context{Job: 7, Rule: "default"}))
		return err
	}))
	return d, at
}

// TestLeave: a job's record ends with its cleanup, or with a config stage that failed and made
// nothing. Until then it stays, and another stage or reap can take it.
func TestLeave(t *testing.T) {
	failed := failure.Buildf("no")
	for name, tt := range map[string]struct {
		stage     job.Stage
		err       error
		unsettled bool
		ends      bool
	}{
		"config":                             {job.Config, nil, false, false},
		"config, with directories":           {job.Config, nil, true, false},
		"config failed":                      {job.Config, failed, false, true},
		"config failed and made something":   {job.Config, failed, true, false},
		"prepare failed":                     {job.Prepare, failed, false, false},
		"run":                                {job.Run, nil, false, false},
		"run failed":                         {job.Run, failed, false, false},
		"cleanup":                            {job.Cleanup, nil, false, true},
		"cleanup, after it started jacamar":  {job.Cleanup, nil, true, true},
		"cleanup failed, so something stays": {job.Cleanup, failed, false, false},
	} {
		d, dir := inStage(t, tt.stage)
		d.record.unsettled = tt.unsettled
		d.leave(context.Background(), tt.err)
		lives, err := journal.LiveJobs(dir, thisHost)
		if err != nil || (len(lives) == 0) != tt.ends {
			t.Errorf("%s: %d live jobs (%v)", name, len(lives), err)
		}
		if (d.record.result.Stages == 1) != (tt.stage == job.Cleanup) {
			t.Errorf("%s: the result has %d stages", name, d.record.result.Stages)
		}
		if !tt.ends {
			j, err := journal.Open(dir, thisHost)
			testutil.Must(t, err)
			if live, err := j.Resume(d.key(), journal.At(time.Now(), journal.Stage, journal.Context{})); err != nil {
				t.Errorf("%s: the next stage cannot take the record: %v", name, err)
			} else {
				testutil.Must(t, live.Close())
			}
			j.Close()
		}
	}
	(&authDriver{}).leave(context.Background(), failed) // without a record it does nothing
}

// TestLeaveRemovesTheStopMark: the mark by which a job was stopped ends with its cleanup; a
// config stage that was stopped may be called again.
func TestLeaveRemovesTheStopMark(t *testing.T) {
	for stage, want := range map[job.Stage]bool{job.Cleanup: false, job.Config: true} {
		d, dir := inStage(t, stage)
		testutil.Must(t, journal.SetMark(dir, journal.StopJob(7), journal.Mark{Made: 1}))
		var err error
		if stage == job.Config {
			err = failure.Buildf("stopped")
		}
		d.leave(context.Background(), err)
		if _, ok, err := journal.GetMark(dir, journal.StopJob(7)); ok != want || err != nil {
			t.Errorf("after %s: the mark is there: %v (%v)", stage, ok, err)
		}
	}
}

// TestLastEvents: a stage ends with how it ended. A config stage that succeeded records the
// directories before that.
func TestLastEvents(t *testing.T) {
	type event struct {
		Name        journal.Name
		Stage, Exit string
		Code        int
		Builds      string
	}
	for name, tt := range map[string]struct {
		stage job.Stage
		err   error
		want  []event
	}{
		"config":         {job.Config, nil, []event{{Name: journal.Settled, Builds: "/b/builds"}, {Name: journal.StageEnd, Stage: "config", Exit: "ok"}}},
		"config failed":  {job.Config, failure.Configf("no"), []event{{Name: journal.StageEnd, Stage: "config", Exit: failure.Config.String()}}},
		"a script":       {job.Run, nil, []event{{Name: journal.StageEnd, Stage: "build_script", Exit: "ok"}}},
		"a script fails": {job.Run, failure.Exit(3), []event{{Name: journal.StageEnd, Stage: "build_script", Exit: failure.Build.String(), Code: 3}}},
		"cleanup":        {job.Cleanup, nil, []event{{Name: journal.StageEnd, Stage: "cleanup", Exit: "ok"}}},
	} {
		d := &authDriver{}
		d.Call.Stage, d.Call.SubStage = tt.stage, "build_script"
		d.state.Dirs = ipc.Dirs{Builds: testutil.AbsPath(t, "/b/builds")}
		var got []event
		for _, e := range d.lastEvents(time.Now(), tt.err) {
			got = append(got, event{e.Name, e.Context.Stage, e.Context.Exit, e.Context.Code, e.Context.Builds})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestJobEnd: a job ends with its cleanup, or with a config stage that failed. Its result is
// that of its stages, not of the cleanup.
func TestJobEnd(t *testing.T) {
	refused := &denial{rule: RuleDrain, err: failure.Deniedf("drained")}
	for name, tt := range map[string]struct {
		stage   job.Stage
		resumed bool
		id      job.ID
		err     error
		ends    bool
		want    auditlog.JobEnd
	}{
		"config":                         {job.Config, false, 7, nil, false, auditlog.JobEnd{}},
		"config refused":                 {job.Config, false, 7, refused, true, auditlog.JobEnd{Rule: RuleDrain, Failed: "config", Stages: 1}},
		"config failed":                  {job.Config, false, 0, errors.New("no"), true, auditlog.JobEnd{Failed: "config", Stages: 1}},
		"prepare failed":                 {job.Prepare, true, 7, refused, false, auditlog.JobEnd{}},
		"cleanup":                        {job.Cleanup, true, 7, nil, true, auditlog.JobEnd{End: auditlog.End{Exit: "build", Code: 3}, Rule: "default", Failed: "build_script", Stages: 5, CPU: 1500 * time.Millisecond}},
		"cleanup failed":                 {job.Cleanup, true, 7, refused, true, auditlog.JobEnd{End: auditlog.End{Exit: "build", Code: 3}, Rule: "default", Failed: "build_script", Stages: 5, CPU: 1500 * time.Millisecond}},
		"cleanup without a state":        {job.Cleanup, false, 7, nil, false, auditlog.JobEnd{}},
		"cleanup of an unidentified job": {job.Cleanup, true, 0, nil, false, auditlog.JobEnd{}},
	} {
		d := &authDriver{}
		d.Call.Stage, d.Resumed, d.id.JobID = tt.stage, tt.resumed, tt.id
		d.record.result = journal.Result{Rule: "default", Exit: "build", Code: 3, Stage: "build_script", Stages: 5, CPU: 1.5}
		got, ok := d.jobEnd(auditlog.End{}, tt.err)
		if diff := cmp.Diff(tt.want, got); ok != tt.ends || diff != "" {
			t.Errorf("%s: %v, %s", name, ok, diff)
		}
	}
	d := &authDriver{}
	d.Call.Stage, d.Resumed, d.id.JobID = job.Cleanup, true, 7
	d.record.result.Began = time.Now().Add(-time.Hour)
	if got, _ := d.jobEnd(auditlog.End{}, nil); got.Duration.Round(time.Minute) != time.Hour {
		t.Errorf("it took %v since its first stage began, want an hour", got.Duration)
	}
}

// TestWhatIsKnownOfAJob: the facts of the token replace those of the job response; without a
// token there are only these, and without an account none is named.
func TestWhatIsKnownOfAJob(t *testing.T) {
	d := &authDriver{}
	d.Facts = customexec.Response{ID: 7, PipelineID: 70, ProjectID: 3, UserID: 9}
	if c, s := d.journalContext(), d.about(); c.Job != 7 || c.Pipeline != 70 || c.ProjectID != 3 || c.UID != nil || c.Account != "" || s.Pipeline != 70 || s.ProjectID != 3 || s.UserID != 9 || s.Account != nil {
		t.Errorf("from the response: %+v, %+v", c, s)
	}
	d.id.JobID, d.id.Pipeline.ID, d.id.Project.ID, d.id.Project.Path, d.id.User.Login, d.id.User.ID = 7, 71, 4, "g/p", "alice", 10
	d.state.Facts = policy.Facts{Account: job.Account{Name: testutil.Username(t, "al"), UID: 1000}}
	if c, s := d.journalContext(), d.about(); c.Pipeline != 71 || c.ProjectID != 4 || c.Project != "g/p" || c.Login != "alice" || c.Account != "al" || c.UID == nil || *c.UID != 1000 || s.Pipeline != 71 || s.Project != "g/p" || s.UserID != 10 || s.Account == nil || s.Account.UID != 1000 {
		t.Errorf("from the token: %+v, %+v", c, s)
	}
}

// TestGrantedContext: the journal has until when a job may run, where it has a timeout.
func TestGrantedContext(t *testing.T) {
	d := &authDriver{}
	d.Started = time.Unix(1_000_000, 0)
	if c := d.grantedContext("h", policy.Decision{Rule: policy.NoMatch}); c.Until != 0 || c.Host != "h" || c.Rule != string(policy.NoMatch) || c.Owner == nil {
		t.Errorf("without a timeout: %+v", c)
	}
	d.Facts.Timeout = 600
	if c := d.grantedContext("h", policy.Decision{}); c.Until != 1_000_600+int64(endGrace.Seconds()) {
		t.Errorf("with one: until %d", c.Until)
	}
}

// TestRecall: a job that is cleaned up without its runner has the directories that the journal
// has, below its base directory and nowhere else.
func TestRecall(t *testing.T) {
	record := func(base, runner string) (journal.Context, journal.Record) {
		c := journal.Context{Job: 7, Runner: runner, Timeout: 60}
		r := journal.Record{Key: journal.Key{UID: 1000, Project: 3, Job: 7}}
		if base != "" {
			r.Events = []journal.Event{journal.At(time.Now(), journal.Settled, journal.Context{Base: base})}
		}
		return c, r
	}
	for name, tt := range map[string]struct {
		base, runner string
		scripts      string
		fails        bool
	}{
		"settled":               {"/home/alice/.jacamar-ci", "abc", "/home/alice/.jacamar-ci/scripts/abc/7", false},
		"not settled":           {"", "abc", "", false},
		"shortened":             {"/home/alice/very/lo…", "abc", "", false},
		"relative":              {"home", "abc", "", true},
		"a runner that is none": {"/home/alice", "../../..", "", true},
	} {
		d := &authDriver{}
		c, r := record(tt.base, tt.runner)
		err := d.recall(c, r)
		if (err != nil) != tt.fails || d.state.Dirs.Scripts.String() != tt.scripts || d.Facts.ID != 7 || d.Facts.Timeout != 60 {
			t.Errorf("%s: %v, scripts in %q", name, err, d.state.Dirs.Scripts)
		}
	}
}

// TestNote: what jacamar reports is in the journal under its kind; without a record nothing is.
func TestNote(t *testing.T) {
	d, dir := inStage(t, job.Run)
	d.record.note(ipc.Note{Batch: &ipc.BatchNote{ID: "9", Phase: "running"}})
	d.record.note(ipc.Note{Disk: &ipc.DiskNote{Bytes: 5}})
	lives, err := journal.LiveJobs(dir, thisHost)
	testutil.Must(t, err)
	batch, hasBatch := lives[0].Find(journal.Batch)
	disk, hasDisk := lives[0].Find(journal.Disk)
	if !hasBatch || batch.Context.BatchID != "9" || !hasDisk || disk.Context.Bytes != 5 || d.record.noteFailed != nil {
		t.Errorf("%+v, %+v, %v", batch, disk, d.record.noteFailed)
	}
	testutil.Must(t, d.record.live.Close())
	if d.record.note(ipc.Note{Disk: &ipc.DiskNote{}}); d.record.noteFailed == nil {
		t.Error("a note that cannot be written is lost")
	}
	(&record{}).note(ipc.Note{Disk: &ipc.DiskNote{}})
}

// TestTakeOverOfAnother: of a job that another runner began, neither a cleanup nor reap takes
// the record or adds to it.
func TestTakeOverOfAnother(t *testing.T) {
	for began, want := range map[proctree.Process]error{{}: nil, {PID: 1, Start: 5}: errOthers} {
		d, dir := inStage(t, job.Cleanup)
		d.Site.Auth.Journal.Enabled = true
		testutil.Must(t, d.record.live.Append(journal.At(d.Started, journal.Granted, journal.Context{Owner: &began})), d.record.live.Close())
		d.record.live = nil
		testutil.Must(t, os.Rename(filepath.Join(dir.String(), thisHost), filepath.Join(dir.String(), hostName(t))))
		_, err := d.takeOver(t.Context(), d.key(), d.isOwn)
		if !errors.Is(err, want) || (d.record.live == nil) != (want != nil) {
			t.Errorf("of %+v: %v", began, err)
		}
		if err == nil {
			testutil.Must(t, d.record.live.Close())
			continue
		}
		d.settle(t.Context(), err)
		if lives, err := journal.LiveJobs(dir, hostName(t)); err != nil || len(lives) != 1 || len(lives[0].Events) != 2 {
			t.Errorf("%+v, %v", lives, err)
		}
	}
}

func hostName(t *testing.T) string {
	host, err := os.Hostname()
	testutil.Must(t, err)
	return host
}

// TestSettle: the record of an abandoned job ends with its cleanup. Where that fails the job
// stays listed with the reason, which is written once.
func TestSettle(t *testing.T) {
	for name, tt := range map[string]struct {
		before, failed error
		ends           bool
		reasons        int
	}{
		"it succeeds":        {nil, nil, true, 0},
		"it fails":           {nil, failure.Systemf("the disk is away"), false, 1},
		"it fails again":     {failure.Systemf("the disk is away"), failure.Systemf("the disk is away"), false, 1},
		"for another reason": {failure.Systemf("the disk is away"), failure.Systemf("the host is away"), false, 2},
	} {
		d, dir := inStage(t, job.Cleanup)
		if tt.before != nil {
			testutil.Must(t, d.record.live.Append(journal.Unreaped(time.Now(), "system", tt.before)))
		}
		lives, err := journal.LiveJobs(dir, thisHost)
		testutil.Must(t, err)
		d.record.past = lives[0]
		d.settle(context.Background(), tt.failed)
		lives, err = journal.LiveJobs(dir, thisHost)
		if err != nil || (len(lives) == 0) != tt.ends {
			t.Errorf("%s: %d live jobs (%v)", name, len(lives), err)
		}
		if tt.ends {
			continue
		}
		reasons := 0
		for _, e := range lives[0].Events {
			if e.Name == journal.Unreaped(time.Now(), "", errors.New("x")).Name {
				reasons++
			}
		}
		if reasons != tt.reasons || lives[0].Running {
			t.Errorf("%s: %d reasons, want %d; in use: %v", name, reasons, tt.reasons, lives[0].Running)
		}
	}
	(&authDriver{}).settle(context.Background(), nil) // without a record it does nothing
}
