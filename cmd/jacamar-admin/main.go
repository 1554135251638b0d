// Command jacamar-admin has the commands for administrators. It runs with the rights of
// its caller and has none of its own: no setuid bit, no file capability.
package main

import (
	"fmt"
	"os"

	"jacamar-ci/internal/failure"
)

func main() {
	status := 0
	if err := oneLineErrors(app(&status)).Run(withName(os.Args)); err != nil {
		fmt.Fprintln(os.Stderr, "jacamar-admin:", err)
		status = max(status, failure.DefaultCodes().System)
	}
	os.Exit(status)
}

// withName adds the name that execve(2) lets a caller leave out and that the command
// line library needs.
func withName(args []string) []string {
	if len(args) == 0 {
		return []string{"jacamar-admin"}
	}
	return args
}
