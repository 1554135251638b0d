// The runtime would keep the file with the cgroup's processor limit open and read it again
// while it runs, without use here. It looks for it once at its start in any case.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Command jacamar-auth is the privileged half: GitLab Runner calls it for every
// stage of a CI job; it authorizes the job and starts jacamar as its user.
//
// It parses its few arguments itself: a command line library would run with its
// privileges, and take its time in every stage.
package main

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/version"
)

func main() {
	// A stage has one thing to do at a time. Goroutines that take turns on one processor
	// need fewer threads, and fewer switches between them, than the default.
	runtime.GOMAXPROCS(1)
	c, err := parse(os.Args)
	switch {
	case err != nil:
		os.Exit(auth.Misused(c.call, fmt.Errorf("%w (see jacamar-auth --help)", err)))
	case c.text != nil:
		if _, err := io.WriteString(os.Stdout, c.text()); err != nil {
			fmt.Fprintf(os.Stderr, "jacamar-auth: %v\n", err)
			os.Exit(failure.DefaultCodes().System)
		}
	case c.abandoned != journal.Key{}:
		os.Exit(auth.Reap(c.call, c.abandoned))
	default:
		os.Exit(auth.Main(c.call))
	}
}

// command is the meaning of a command line: a text to print, or a call.
type command struct {
	text func() string
	call driver.Call
	// abandoned is the job of the command reap.
	abandoned journal.Key
}

var (
	showHelp    = command{text: func() string { return help }}
	showVersion = command{text: version.Text}
)
