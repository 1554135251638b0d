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

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/version"
)

func main() {
	c, err := parse(os.Args)
	switch {
	case err != nil:
		os.Exit(auth.Misused(c.call, fmt.Errorf("%w (see jacamar-auth --help)", err)))
	case c.text != nil:
		if _, err := io.WriteString(os.Stdout, c.text()); err != nil {
			fmt.Fprintf(os.Stderr, "jacamar-auth: %v\n", err)
			os.Exit(failure.DefaultCodes().System)
		}
	default:
		os.Exit(auth.Main(c.call))
	}
}

// command is what a command line asks for: a text, or a call.
type command struct {
	text func() string
	call driver.Call
}

var (
	showHelp    = command{text: func() string { return help }}
	showVersion = command{text: version.Text}
)
