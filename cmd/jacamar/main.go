// The runtime would keep the file with the cgroup's processor limit open and read it again
// while it runs, without use here. It looks for it once at its start in any case.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command jacamar runs one stage of a CI job without privileges, as the account that
// jacamar-auth chose.
//
// It links no command-line library: jacamar-auth starts it for every stage, with one
// argument, and a library would slow the start.
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
Three commands are for you, about your own jobs on all hosts that share the directory:

  jacamar jobs [--json] [--base DIRECTORY]
                   list the jobs that have a directory
  jacamar du [--json] [--base DIRECTORY]
                   show what your jobs occupy
  jacamar clean [--older TIME] [--project PROJECT] [--caches] [--logs] [--dry-run]
                [--base DIRECTORY]
                   remove build directories that no job uses

  --base DIRECTORY   instead of ~/.jacamar-ci and those of /etc/jacamar/bases
  --json             print JSON
  --older TIME       what was not used for TIME, such as 2d (the default) or 12h
  --project PROJECT  only build directories with PROJECT, as in group/project
  --caches           files of the local caches as well
  --logs             retained logs of batch jobs as well
  -n, --dry-run      print what would be removed

Stages:

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

// closeMemory protects this process from the job, which runs as the same account and could
// otherwise read its memory, use its descriptors and control it (PR_SET_DUMPABLE in
// prctl(2)). A program file that its account cannot read is protected from execve(2) on.
func closeMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot protect the memory of this process: %w", err)
	}
	return nil
}

// call runs the command of the command line. The stage is an argument only for ps(1); the
// request comes through the socket.
func call(args []string) error {
	if wantsHelp(args) {
		return write(help)
	}
	if len(args) > 1 && args[1] == "--no-auth" {
		return withoutAuth(args)
	}
	if ok, err := ownCommand(args); ok {
		return err
	}
	if len(args) != 2 {
		return errors.New("needs one argument: jacamar-auth starts it, so GitLab Runner has to call jacamar-auth (see jacamar --help)")
	}
	switch args[1] {
	case string(job.Config), string(job.Prepare), string(job.Run), string(job.Cleanup):
		return jobrun.Serve(os.Stdout, os.Stderr)
	case "--version":
		return write(version.Text())
	}
	return fmt.Errorf("no such command: %q (see jacamar --help)", args[1])
}

func write(text string) error {
	_, err := io.WriteString(os.Stdout, text)
	return err
}
