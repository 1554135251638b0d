package slurm

import (
	"os"
	"testing"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// TestErrorDecides: a line of a plugin has a meaning only with the error that sbatch ends
// with: another error after it, or the same error without it, is classified as usual.
func TestErrorDecides(t *testing.T) {
	const (
		unsignedLine = "sbatch: error: Munge encode failed: Failed to access \"/run/munge\"\n"
		limitLines   = "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: " + policy + "\n"
		failed       = "sbatch: error: Batch job submission failed: "
	)
	for name, tt := range map[string]struct {
		stderr string
		want   scheduler.Outcome
	}{
		"unsigned":                          {unsignedLine + failed + authentication + "\n", scheduler.Unreachable},
		"unsigned once, then another error": {unsignedLine + failed + "Invalid account or account/partition combination specified\n", scheduler.Refused},
		"authentication of the reply":       {failed + authentication + "\n", scheduler.Uncertain},
		"a limit on submitted jobs":         {limitLines, scheduler.Full},
		"a limit, then another error":       {limitLines + failed + "Invalid account or account/partition combination specified\n", scheduler.Refused},
		"another limit":                     {"sbatch: error: QOSMaxWallDurationPerJobLimit\n" + failed + policy + "\n", scheduler.Refused},
	} {
		if got := (Slurm{}).ParseSubmit(scheduler.Reply{Code: 1, Stderr: tt.stderr}).Outcome; got != tt.want {
			t.Errorf("%s: outcome %d, want %d", name, got, tt.want)
		}
	}
}

// TestFailedQueries: a query that failed shows neither a state nor an absence, whatever it
// printed before.
func TestFailedQueries(t *testing.T) {
	for program, line := range map[string]string{
		"squeue":   "RUNNING|1795193340|n1|None\n",
		"scontrol": "JobId=13 JobState=FAILED Reason=NonZeroExitCode ExitCode=7:0\n",
		"sacct":    "FAILED|7:0|1795193340|n1\n",
	} {
		for _, q := range (Slurm{}).Queries("13", true) {
			if q.Argv[0] != program {
				continue
			}
			if s := q.Parse(scheduler.Reply{Stdout: line}); s.Phase == scheduler.Unknown {
				t.Errorf("%s: %q is not parsed", program, line)
			}
			for _, r := range []scheduler.Reply{
				{Code: 1, Stdout: line}, {Err: os.ErrDeadlineExceeded, Stdout: line}, {Code: 1}, {Err: os.ErrDeadlineExceeded},
			} {
				if s := q.Parse(r); s.Phase != scheduler.Unknown || s.Missing {
					t.Errorf("%s with %+v: %+v", program, r, s)
				}
			}
		}
	}
}

// TestFirstKeyCounts: what a user chooses, such as the working directory, comes after the
// state, and cannot replace it.
func TestFirstKeyCounts(t *testing.T) {
	s := parseControl(scheduler.Reply{Stdout: "JobId=13 JobState=RUNNING Reason=None ExitCode=0:0 WorkDir=/home/u/x JobState=FAILED ExitCode=7:0\n"})
	if s.Name != "RUNNING" || s.Exit.Code != 0 {
		t.Errorf("%+v, want the first state", s)
	}
}

// TestExitOf: an exit code has 8 bits, a signal 7.
func TestExitOf(t *testing.T) {
	for text, want := range map[string]scheduler.Exit{
		"0:0":     {Known: true},
		"255:0":   {Known: true, Code: 255},
		"0:127":   {Known: true, Signal: 127},
		"256:0":   {Code: 256},
		"0:128":   {Signal: 128},
		"999:999": {Code: 999, Signal: 999},
		"7":       {},
		"":        {},
	} {
		if got := exitOf(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// TestUsageOfSteps: times, processors and nodes are the job's, the memory is the largest of
// all steps, in whatever order the lines are.
func TestUsageOfSteps(t *testing.T) {
	want := scheduler.Usage{Elapsed: time.Minute, CPU: 90 * time.Second, CPUs: 8, Memory: 300 << 10, Nodes: "n[1-2]"}
	const whole, batch, step = "25|60|00:01:30|8||n[1-2]\n", "25.batch|50|00:00:10|4|300K|n1\n", "25.0|40|00:01:20|2|200K|n2\n"
	for _, text := range []string{whole + batch + step, step + batch + whole, batch + whole + step} {
		if got := (Slurm{}).ParseUsage(scheduler.Reply{Stdout: text}); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
