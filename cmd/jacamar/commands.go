package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"jacamar-ci/internal/jobrun/own"
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

// ownCommand runs a command of the person whose jobs run; ok is false for another
// command.
func ownCommand(args []string) (ok bool, err error) {
	if len(args) < 2 || !slices.Contains(own.Commands(), args[1]) {
		return false, nil
	}
	return true, own.Run(os.Stdout, args[1:], os.Getenv("HOME"), os.Getenv("USER"))
}

// wantsHelp reports whether a command line asks for the help, of a command as well.
func wantsHelp(args []string) bool {
	return len(args) > 1 && (args[1] == "help" || slices.Contains(args[1:], "--help") || slices.Contains(args[1:], "-h"))
}
