package main

import (
	"os"
	"slices"

	"jacamar-ci/internal/jobrun/own"
)

// ownCommand runs a command of the person whose jobs run; ok is false for another
// command.
func ownCommand(args []string) (ok bool, err error) {
	if len(args) < 2 || !slices.Contains(own.Commands(), args[1]) {
		return false, nil
	}
	if slices.Contains(args[2:], "--help") {
		return true, write(help)
	}
	return true, own.Run(os.Stdout, args[1:], os.Getenv("HOME"), os.Getenv("USER"))
}
