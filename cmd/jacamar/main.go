// Command jacamar is the unprivileged half: it runs one stage of a CI job as
// the account that jacamar-auth chose.
//
// It has no command line library: jacamar-auth starts it for every stage, with
// one word, and what it never does it must not load.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun"
	"jacamar-ci/internal/version"
)

const help = `jacamar runs one stage of a CI job, as its user; jacamar-auth starts it.

  jacamar config|prepare|run|cleanup
  jacamar --no-auth config|cleanup --configuration FILE
  jacamar --no-auth prepare
  jacamar --no-auth run SCRIPT STAGE
  jacamar --version
  jacamar --help
`

func main() {
	err := closeMemory()
	if err == nil {
		err = call(os.Args)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "jacamar:", err)
		os.Exit(failure.DefaultCodes().System)
	}
}

// closeMemory keeps the job out: it has the same account, and would have the
// confinement of this process, its descriptors and its word (PR_SET_DUMPABLE in
// prctl(2)). A file that its account cannot read is so from execve(2) on.
func closeMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot keep other processes out of this one's memory: %w", err)
	}
	return nil
}

// call carries out what the command line asks for. The stage is there for those
// who look at ps; the order itself comes through the socket.
func call(args []string) error {
	if len(args) > 1 && args[1] == "--no-auth" {
		return withoutAuth(args)
	}
	if len(args) != 2 {
		return errors.New("it takes one argument (see jacamar --help)")
	}
	switch args[1] {
	case string(job.Config), string(job.Prepare), string(job.Run), string(job.Cleanup):
		return jobrun.Serve(os.Stdout, os.Stderr)
	case "--version":
		return write(version.Text())
	case "--help":
		return write(help)
	}
	return fmt.Errorf("no such command: %q (see jacamar --help)", args[1])
}

func write(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}
