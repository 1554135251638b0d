package main

import (
	"fmt"
	"os"
	"syscall"

	"jacamar-ci/internal/programs"
)

// withoutAuth executes jacamar-noauth, which is in the directory of this program: only
// that program reads the configuration, and this one does not link that code.
func withoutAuth(args []string) error {
	program, err := programs.Sibling("jacamar-noauth")
	if err != nil {
		return err
	}
	err = syscall.Exec(program.String(), args, os.Environ())
	return fmt.Errorf("cannot run %s: %w", program, err)
}
