package admin

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/job"
)

// SelfTestOptions are what the command line of selftest gives.
type SelfTestOptions struct {
	Configuration, Account string
	// Limit bounds each stage: a batch system may let the job wait.
	Limit time.Duration
	// Verbose prints what every stage prints for the job's log.
	Verbose bool
}

// The exit statuses of SelfTest.
const (
	trialPassed = 0
	trialFailed = 1
	trialNotRun = 2
)

// SelfTest runs a job of its own through all stages as an account, and prints how each
// ended.
func SelfTest(o SelfTestOptions) int {
	if err := refuseClosed(); err != nil {
		return fail(err, trialNotRun)
	}
	i, err := open(o.Configuration, &o.Configuration)
	if err == nil {
		err = i.Load()
	}
	if err != nil {
		return fail(err, trialNotRun)
	}
	ctx, end := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer end()
	r, left, err := runTrial(ctx, i, trialOptions{o.Account, o.Limit, func(s trial.Stage) { printStage(os.Stdout, s, o.Verbose) }})
	if left != nil {
		fmt.Fprintln(os.Stderr, "jacamar-admin:", left)
	}
	if err != nil {
		return fail(err, trialNotRun)
	}
	return sumUp(os.Stdout, r, left == nil)
}

// printStage prints how a stage ended, and its log where it failed.
func printStage(w io.Writer, s trial.Stage, verbose bool) {
	result := "ok  "
	if !s.OK() {
		result = "fail"
	}
	fmt.Fprintf(w, "%s  %-22s  %s\n", result, s.Name, s.Took.Round(time.Millisecond))
	if s.Err != nil {
		fmt.Fprintf(w, "      %s\n", job.Printable(s.Err.Error()))
	}
	if verbose || !s.OK() {
		for line := range strings.Lines(s.Log) {
			fmt.Fprintf(w, "      %s\n", job.Printable(strings.TrimRight(line, "\n")))
		}
	}
}

func sumUp(w io.Writer, r trial.Result, clean bool) int {
	if s, failed := r.Failed(); failed {
		fmt.Fprintf(w, "a job fails in %s\n", s.Name)
		return trialFailed
	}
	rest := "nothing of it is left"
	if !clean {
		rest = "something of it is left"
	}
	fmt.Fprintf(w, "a job ran as %s through all stages; %s\n", job.Printable(r.Account), rest)
	if !clean {
		return trialFailed
	}
	return trialPassed
}
