package main

import (
	"fmt"
	"os"
	"syscall"

	"jacamar-ci/internal/programs"
)

// withoutAuth becomes jacamar-noauth, which is in the directory of this program: it
// alone reads the configuration, and this one stays without that code.
func withoutAuth(args []string) error {
	program, err := programs.Sibling("jacamar-noauth")
	if err != nil {
		return err
	}
	err = syscall.Exec(program.String(), args, os.Environ())
	return fmt.Errorf("cannot run %s: %w", program, err)
}
