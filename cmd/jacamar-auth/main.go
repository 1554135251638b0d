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
	status, err := run(os.Args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "jacamar-auth: %v\n", err)
		status = failure.DefaultCodes().System
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	c, err := parse(args)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w (see jacamar-auth --help)", err)
	case c.text != nil:
		_, err = io.WriteString(os.Stdout, c.text())
		return 0, err
	}
	return auth.Main(c.call), nil
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
