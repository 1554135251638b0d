// Command jacamar-auth is the privileged half: GitLab Runner calls it for every
// stage of a CI job; it authorizes the job and starts jacamar as its user.
package main

import (
	"fmt"
	"os"

	"jacamar-ci/internal/failure"
)

func main() {
	status := 0
	if err := brief(app(&status)).Run(arguments(os.Args)); err != nil {
		fmt.Fprintln(os.Stderr, "jacamar-auth:", err)
		status = failure.DefaultCodes().System
	}
	os.Exit(status)
}

// arguments gives the program a name where its caller gave it none: execve(2)
// allows an empty list, and the command line library does not expect it.
func arguments(args []string) []string {
	if len(args) == 0 {
		return []string{"jacamar-auth"}
	}
	return args
}
