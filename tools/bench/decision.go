package main

import (
	"fmt"
	"os/exec"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// decision measures the decision, in processor time beyond the start of the program:
// the stage of a job whose user was put on a blocklist after its config stage reads the
// configuration, the job, the token and the cached keys, applies every rule, and ends as a
// failed job.
func (b *benchmark) decision() error {
	var start, decided sample
	err := b.during("prepare", "true\n", func(c fakerunner.Call) error {
		if err := b.site.Reconfigure(func(c site.Config) {
			c.Set("auth", "user_blocklist", []string{b.site.Account.Name})
		}); err != nil {
			return err
		}
		for range b.rounds {
			s, err := processorTime(plain(b.site.Auth, "--version"), 0)
			if err != nil {
				return err
			}
			d, err := processorTime(again(c), 1)
			if err != nil {
				return err
			}
			start, decided = append(start, s), append(decided, d)
		}
		return b.site.Reconfigure()
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nThe decision alone, processor time; %d rounds, taking turns\n\n", b.rounds)
	fmt.Printf("start of the program           %s (%s)\n", millis(start.median()), start.spread())
	fmt.Printf("start, decision and refusal    %s (%s)\n", millis(decided.median()), decided.spread())
	fmt.Printf("the decision                   %s\n", millis(decided.median()-start.median()))
	return nil
}

// processorTime runs a command that must end with the status.
func processorTime(make func() *exec.Cmd, status int) (time.Duration, error) {
	cmd := make()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		return 0, fmt.Errorf("%v ended with %v, not with status %d: %s", cmd.Args, err, status, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
