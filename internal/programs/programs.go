// Package programs finds the files of Jacamar's programs, which are installed in one
// directory.
package programs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// own returns the file of this program. Its name in argv is the caller's choice;
// /proc/self/exe is the kernel's record (proc_pid_exe(5)).
func own() (job.AbsPath, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return job.AbsPath{}, failure.Privatef("cannot find this program's own file: %w", err)
	}
	return job.ParseAbsPath(self)
}

// Sibling returns the path of another program in the directory of this one. The
// program need not exist.
func Sibling(name string) (job.AbsPath, error) {
	self, err := own()
	if err != nil {
		return job.AbsPath{}, err
	}
	return job.ParseAbsPath(filepath.Join(filepath.Dir(self.String()), name))
}

// Untrusted turns the faults of a program into an error, nil for none. The purpose is
// what the program is needed for: "run jobs".
func Untrusted(purpose string, p job.AbsPath, faults []trustedfile.Fault) error {
	switch {
	case len(faults) == 0:
		return nil
	case errors.Is(&faults[0], fs.ErrNotExist):
		return failure.Configf("cannot %s: %s is missing: install all programs from one package", purpose, p)
	}
	return failure.Configf("cannot %s: %w", purpose, &faults[0])
}
