package site

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/setup/syscalls"
)

// Main is TestMain's body in a package whose tests use a Site:
//
//	func TestMain(m *testing.M) { os.Exit(site.Main(m)) }
//
// It removes the installation when the tests are done, if there was one. The test program can
// run itself under a filter of system calls (syscalls.Again).
func Main(m *testing.M) int {
	syscalls.Main()
	code := m.Run()
	if err := removeOwn(); err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		return 1
	}
	return code
}

func removeOwn() error {
	parent, err := parentDir()
	if err != nil {
		return nil // then nothing was installed either
	}
	return sweep(filepath.Join(parent, fmt.Sprintf("%s*-%d-*", dirPrefix, os.Getpid())))
}
