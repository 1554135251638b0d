package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// withoutAuth becomes jacamar-noauth, which is beside this program: it alone
// reads the configuration, and this one stays without that code.
func withoutAuth(args []string) error {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("cannot find jacamar-noauth: %w", err)
	}
	program := filepath.Join(filepath.Dir(own), "jacamar-noauth")
	err = syscall.Exec(program, args, os.Environ())
	return fmt.Errorf("cannot run %s: %w", program, err)
}
