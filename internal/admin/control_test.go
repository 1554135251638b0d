package admin

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

func TestDrainAndResume(t *testing.T) {
	dir := fill(t)[0]
	var out bytes.Buffer
	o := DrainOptions{Journal: dir, Name: journal.Drain, Message: "maintenance until 14:00", Until: time.Hour, Hold: time.Minute}
	if err := SetDrain(&out, o, now); err != nil {
		t.Fatal(err)
	}
	m, ok, err := journal.KeptOut(dir, journal.Key{UID: 5, Project: 6, Job: 7}, now)
	if err != nil || !ok || m.Message != o.Message || m.Hold != 60 {
		t.Errorf("%+v, %v, %v", m, ok, err)
	}
	for _, want := range []string{"drain is removed", "nothing to do"} {
		out.Reset()
		if err := Resume(&out, dir, journal.Drain); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%q, %v, want %q", out.String(), err, want)
		}
	}
	for want, bad := range map[string]DrainOptions{
		"--message": {Journal: dir, Name: journal.Drain, Until: time.Hour},
		"--until":   {Journal: dir, Name: journal.Drain, Message: "x", Until: 15 * 24 * time.Hour},
	} {
		if err := SetDrain(&out, bad, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// sleeping is a journal with a job whose stage is a process that sleeps.
func sleeping(t *testing.T) (job.AbsPath, *exec.Cmd, proctree.Process) {
	t.Helper()
	dir := fill(t)[0]
	sleep := exec.Command("sleep", "300")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = sleep.Process.Kill(), sleep.Wait() })
	p, ok := proctree.Find(sleep.Process.Pid)
	if !ok {
		t.Fatal("the process cannot be found")
	}
	j, err := journal.Open(dir, "login1")
	if err != nil {
		t.Fatal(err)
	}
	live, err := j.Create(journal.Key{UID: 1001, Project: 2, Job: 9}, journal.At(now, journal.Stage, journal.Context{Stage: "build_script", Process: &p}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { live.Close(); j.Close() })
	return dir, sleep, p
}

func TestStopSignalsTheStage(t *testing.T) {
	dir, sleep, _ := sleeping(t)
	var out bytes.Buffer
	if err := Stop(&out, stopping(t, dir, sleep.Process.Pid, 9), now); err != nil || !strings.Contains(out.String(), "job 9") {
		t.Fatalf("%q, %v", out.String(), err)
	}
	if err := sleep.Wait(); err == nil || sleep.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("%v", sleep.ProcessState)
	}
	if m, ok, err := journal.Stopped(dir, journal.Key{UID: 1001, Job: 9}, now, func() time.Time { return now }); err != nil || !ok || m.Message != "too loud" {
		t.Errorf("%+v, %v, %v", m, ok, err)
	}
	out.Reset()
	if err := Stop(&out, stopping(t, dir, os.Getpid(), 1234), now); err != nil || !strings.Contains(out.String(), "nothing to do") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestStopLeavesTheCleanup: what ends the job anyway is not interrupted, unless it is
// overdue.
func TestStopLeavesTheCleanup(t *testing.T) {
	dir, sleep, p := sleeping(t)
	j, err := journal.Open(dir, "login1")
	testutil.Must(t, err)
	defer j.Close()
	l, err := j.Create(journal.Key{UID: 1001, Project: 12, Job: 7}, journal.At(now, journal.Granted, journal.Context{}), journal.At(now, journal.Stage, journal.Context{Stage: "cleanup", Process: &p}))
	testutil.Must(t, err)
	defer l.Close()
	o := stopping(t, dir, sleep.Process.Pid, 7)
	var out bytes.Buffer
	if err := Stop(&out, o, now); err != nil || !strings.Contains(out.String(), "its cleanup runs") || p.Gone() {
		t.Errorf("%q, %v", out.String(), err)
	}
	o.Overdue = true
	if err := Stop(&out, o, now); err != nil {
		t.Error(err)
	}
	if err := sleep.Wait(); err == nil {
		t.Error("the overdue cleanup goes on")
	}
}

// stopping are the options for a job whose stage may run the program of a process.
func stopping(t *testing.T, dir job.AbsPath, pid int, id job.ID) StopOptions {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	program, err := job.ParseAbsPath(exe)
	if err != nil {
		t.Fatal(err)
	}
	return StopOptions{Journal: dir, Program: program, Jobs: []job.ID{id}, Message: "too loud", AsOwner: func(f func() error) error { return f() }}
}

// TestStopSignalsNoOtherProgram: the journal of a service account may name any process.
func TestStopSignalsNoOtherProgram(t *testing.T) {
	dir, _, p := sleeping(t)
	if err := Stop(io.Discard, stopping(t, dir, os.Getpid(), 9), now); err == nil || !strings.Contains(err.Error(), "is no ") {
		t.Errorf("%v", err)
	}
	if p.Gone() {
		t.Error("the process was ended")
	}
}

// TestUnreadJob: no command takes a live job whose file cannot be read for one that has ended,
// and each that can do nothing for it names the file. The other jobs are not affected.
func TestUnreadJob(t *testing.T) {
	dir, sleep, _ := sleeping(t)
	file := filepath.Join(dir.String(), "login1", "live", "1.2.1")
	testutil.Must(t, os.Chmod(file, 0o666))
	js := Journals{dir}
	alice, err := job.ParseUsername("alice")
	testutil.Must(t, err)
	if got := jobs(t, JobsOptions{Journals: js, Filter: Filter{State: "unread"}}); !strings.Contains(got, "\n1 ") {
		t.Errorf("it is not listed:\n%s", got)
	}
	s, err := Status(StatusOptions{Journals: js, Since: time.Hour}, now)
	testutil.Must(t, err)
	var out bytes.Buffer
	if status, err := Attention(&out, s); err != nil || status == 0 || !strings.Contains(out.String(), "unread: 1 whose file") {
		t.Errorf("%d, %v: %s", status, err, &out)
	}
	stop := stopping(t, dir, sleep.Process.Pid, 1)
	stop.Jobs = append(stop.Jobs, 9)
	out.Reset()
	for name, err := range map[string]error{
		"show": Show(&out, js, 1, time.Hour, true, now), "stop": Stop(&out, stop, now), "forget": Forget(&out, dir, alice),
	} {
		if err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(out.String(), "job 9: sent SIGTERM") {
		t.Fatalf("the other job was not stopped: %s", &out)
	}
	_ = sleep.Wait()
	if m, ok, err := journal.GetMark(dir, journal.StopJob(1)); err != nil || !ok || m.Message != stop.Message {
		t.Errorf("it is no longer stopped: %+v, %v", m, err)
	}
	found, err := ReapOptions{Stop: stop}.find("login1", now)
	if err != nil || len(found.waiting) != 1 || !strings.Contains(found.why[found.waiting[0].Key].Error(), file) {
		t.Errorf("%+v, %v", found, err)
	}
	if lives, err := liveJobs(dir, func(r journal.Record) bool { return r.Key.Job == 1 }); err != nil || len(lives) != 1 {
		t.Errorf("a drain does not wait for it: %+v, %v", lives, err)
	}
}

func TestAwaitIdle(t *testing.T) {
	dir := fill(t)[0]
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := AwaitIdle(ctx, dir); err == nil {
		t.Error("it does not wait for the live job")
	}
	j, err := journal.Open(dir, "login1")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	live, err := j.Resume(journal.Key{UID: 1, Project: 2, Job: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := live.End(journal.At(now, journal.Ended, journal.Context{Exit: "ok"})); err != nil {
		t.Fatal(err)
	}
	if err := AwaitIdle(context.Background(), dir); err != nil {
		t.Error(err)
	}
}
