package site

import (
	"testing"

	"jacamar-ci/test/harness/setup/syscalls"
)

// builtVariable names the directory of the programs for a test process that builds none.
const builtVariable = "JACAMAR_TEST_BUILT"

// OnLinux418 runs tests of this test program once more, with the programs of this process, where
// the calls fail that the oldest kernel does not have: see syscalls.Again.
func OnLinux418(t *testing.T, run string, named ...string) {
	t.Helper()
	install, err := Installed()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(builtVariable, install.Bin)
	syscalls.Again(t, syscalls.Linux418(), run, named...)
}
