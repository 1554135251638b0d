// Package version identifies the build of a program. The linker sets the values
// (LDFLAGS in the Makefile).
package version

import (
	"fmt"
	"runtime"
)

var (
	number = "development"
	commit = "unknown"
	built  = "unknown"
)

// Number returns the release, such as "1.0.0".
func Number() string { return number }

// Text returns the lines of --version.
func Text() string {
	return fmt.Sprintf("Version: %s\nGit Commit: %s\nGo Version: %s-%s/%s\nBuilt: %s\n",
		number, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, built)
}
